#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "rota/ipc/channel.h"

using namespace rota;
using namespace rota::ipc;

namespace {

struct Ends {
  Channel a, b;
  Ends() {
    auto pair = Channel::make_pair();
    REQUIRE(pair);
    a = Channel(std::move(pair->first));
    b = Channel(std::move(pair->second));
  }
};

bool same_file(int left, int right) {
  struct stat a {
  }, b{};
  return ::fstat(left, &a) == 0 && ::fstat(right, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (int fd = 0; fd < 1024; fd++) count += ::fcntl(fd, F_GETFD) >= 0;
  return count;
}

}  // namespace

TEST_CASE("messages arrive whole and in order, with their descriptors") {
  Ends ends;
  std::vector<UniqueFd> files;
  std::vector<int> fds;
  for (std::size_t i = 0; i < kFdsMax; i++) {
    files.emplace_back(::memfd_create("x", MFD_CLOEXEC));
    fds.push_back(files.back().get());
  }
  Notify text;
  std::string longest(kMessageMax - 6, 'x');
  text.text = longest;
  REQUIRE(ends.a.send(text));
  REQUIRE(ends.a.send(List{}, fds));

  auto first = ends.b.receive();
  REQUIRE(first);
  REQUIRE(*first);
  Notify got;
  REQUIRE(decode_message((**first).bytes, got));
  CHECK(got.text == longest);
  CHECK((**first).fd_count == 0);
  auto second = ends.b.receive();
  REQUIRE(*second);
  CHECK((**second).type() == static_cast<std::uint16_t>(KeeperMessage::list));
  REQUIRE((**second).fd_count == kFdsMax);
  for (std::size_t i = 0; i < kFdsMax; i++) {
    int fd = (**second).fds[i].get();
    CHECK(same_file(fd, fds[i]));
    CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
  }
  auto third = ends.b.receive();
  REQUIRE(third);
  CHECK_FALSE(*third);
}

TEST_CASE("a message that is too long is refused before it is sent") {
  Ends ends;
  std::string longer(kMessageMax - 5, 'x');
  Notify text;
  text.text = longer;
  auto sent = ends.a.send(text);
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == Errc::limit);
  CHECK_FALSE(*ends.b.receive());
}

TEST_CASE("what was sent before the peer closed is still read, also when it has left our messages unread") {
  Ends ends;
  REQUIRE(ends.b.send(List{}));
  REQUIRE(ends.a.send(ShutDown{7}));
  ends.a.close();
  auto last = ends.b.receive();
  REQUIRE(last);
  REQUIRE(*last);
  CHECK((**last).type() == static_cast<std::uint16_t>(KeeperMessage::shutdown));
  auto end = ends.b.receive();
  REQUIRE_FALSE(end);
  CHECK(end.error().code == Errc::closed);
  auto sent = ends.b.send(List{});
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == Errc::closed);
}

TEST_CASE("a peer that does not read is would_block, and the channel works on") {
  Ends ends;
  std::size_t count = 0;
  for (;; count++) {
    Ping ping;
    ping.number = count;
    auto sent = ends.a.send(ping);
    if (sent) continue;
    CHECK(sent.error().code == Errc::would_block);
    break;
  }
  CHECK(count > 200);
  for (std::size_t i = 0; i < count; i++) {
    auto packet = ends.b.receive();
    REQUIRE(*packet);
    Ping ping;
    REQUIRE(decode_message((**packet).bytes, ping));
    CHECK(ping.number == i);
  }
  CHECK(ends.a.send(List{}));
}

TEST_CASE("a message that is cut, or loses descriptors, ends the channel and leaks none") {
  Ends ends;
  std::size_t before = 0;
  SECTION("longer than a message may be") {
    std::string bytes(kMessageMax + 1, 'x');
    REQUIRE(::send(ends.a.fd(), bytes.data(), bytes.size(), 0) > 0);
    before = open_descriptors();
  }
  SECTION("no descriptor is free") {
    int fds[] = {0, 1, 2};
    REQUIRE(ends.a.send(List{}, fds));
    before = open_descriptors();
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    rlimit small = limit;
    int next = ::dup(0);
    ::close(next);
    small.rlim_cur = static_cast<rlim_t>(next) + 1;  // room for one
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
    auto packet = ends.b.receive();
    ::setrlimit(RLIMIT_NOFILE, &limit);
    REQUIRE_FALSE(packet);
    CHECK(packet.error().code == Errc::protocol);
    CHECK_FALSE(ends.b);
    CHECK(open_descriptors() == before - 1);
    return;
  }
  auto packet = ends.b.receive();
  REQUIRE_FALSE(packet);
  CHECK(packet.error().code == Errc::protocol);
  CHECK_FALSE(ends.b);
  CHECK(open_descriptors() == before - 1);
  CHECK(ends.b.receive().error().code == Errc::closed);
  CHECK(ends.b.send(List{}).error().code == Errc::closed);
}

TEST_CASE("bulk is read as often as one likes and cannot be changed") {
  auto bulk = make_bulk("state", "some bytes");
  REQUIRE(bulk);
  for (int i = 0; i < 2; i++) {
    auto bytes = read_bulk(bulk->get());
    REQUIRE(bytes);
    CHECK(*bytes == "some bytes");
  }
  CHECK(::write(bulk->get(), "x", 1) < 0);
  CHECK(::ftruncate(bulk->get(), 0) != 0);
  CHECK(make_bulk("empty", ""));
}

TEST_CASE("what is not sealed, no memfd or too large is refused as bulk") {
  UniqueFd open_one(::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(read_bulk(open_one.get()).error().code == Errc::protocol);
  REQUIRE(::fcntl(open_one.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0);
  CHECK(read_bulk(open_one.get()).error().code == Errc::protocol);  // another seal might still be added
  REQUIRE(::fcntl(open_one.get(), F_ADD_SEALS, F_SEAL_SEAL) == 0);
  CHECK(read_bulk(open_one.get()));

  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(read_bulk(null.get()).error().code == Errc::protocol);

  UniqueFd large(::memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(large.get(), static_cast<off_t>(kBulkMax) + 1) == 0);
  REQUIRE(::fcntl(large.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
  CHECK(read_bulk(large.get()).error().code == Errc::limit);
  CHECK_FALSE(make_bulk("large", std::string(kBulkMax + 1, 'x')));
}
