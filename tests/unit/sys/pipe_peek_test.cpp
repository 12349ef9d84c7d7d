#include "rota/sys/pipe_peek.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

using namespace rota;
using sys::PipePeek;

namespace {

struct Ends {
  UniqueFd read;
  UniqueFd write;
};
Ends a_pipe() {
  std::array<int, 2> fds{};
  REQUIRE(::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
void put(const Ends& ends, const std::string& text) {
  REQUIRE(::write(ends.write.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("what was peeked at and not taken is there for the next reader") {
  Ends ends = a_pipe();
  std::array<char, 16> into{};
  bool taken = true;
  {
    PipePeek first;
    put(ends, "one\ntwo\n");
    REQUIRE(first.peek(ends.read.get(), into, taken) == 8);
    REQUIRE(std::string(into.data(), 8) == "one\ntwo\n");
    REQUIRE_FALSE(taken);
    PipePeek::take(ends.read.get(), 4, into);
  }
  PipePeek second;
  REQUIRE(second.peek(ends.read.get(), into, taken) == 4);
  REQUIRE(std::string(into.data(), 4) == "two\n");
}

TEST_CASE("a peek takes no more than there is room for, and knows an empty pipe from an ended one") {
  Ends ends = a_pipe();
  std::array<char, 8> into{};
  bool taken = true;
  PipePeek peek;
  REQUIRE(peek.peek(ends.read.get(), into, taken) == -1);
  REQUIRE(errno == EAGAIN);
  put(ends, "0123456789");
  REQUIRE(peek.peek(ends.read.get(), into, taken) == 8);
  PipePeek::take(ends.read.get(), 8, into);
  ends.write.reset();
  REQUIRE(peek.peek(ends.read.get(), into, taken) == 2);
  REQUIRE(std::string(into.data(), 2) == "89");
  PipePeek::take(ends.read.get(), 2, into);
  REQUIRE(peek.peek(ends.read.get(), into, taken) == 0);
  REQUIRE_FALSE(taken);
}

TEST_CASE("what cannot be peeked at is read") {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) == 0);
  Ends ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
  put(ends, "read");
  std::array<char, 8> into{};
  bool taken = false;
  PipePeek peek;
  REQUIRE(peek.peek(ends.read.get(), into, taken) == 4);
  REQUIRE(taken);
  REQUIRE(peek.peek(ends.read.get(), into, taken) == -1);
  REQUIRE(errno == EAGAIN);
}
