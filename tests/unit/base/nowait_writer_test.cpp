#include "rota/base/nowait_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

using namespace rota;

namespace {

constexpr std::chrono::seconds kPatience{20};

struct Pair {
  UniqueFd read, write;
};
Pair make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);  // blocking, as a shell makes them
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
Pair make_sockets() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}
// read: what a terminal program has; write: what a program in the terminal has.
Pair make_terminal() {
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(master);
  REQUIRE(::grantpt(master.get()) == 0);
  REQUIRE(::unlockpt(master.get()) == 0);
  UniqueFd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(slave);
  return {std::move(master), std::move(slave)};
}

std::string read_some(int fd) {
  std::array<char, 65536> bytes;
  ssize_t n = ::read(fd, bytes.data(), bytes.size());
  return {bytes.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

// False, and the test is over: `call` has not come back.
bool comes_back(const std::function<void()>& call, const std::function<void()>& let_go) {
  std::atomic<bool> back = false;
  std::thread other([&] {
    call();
    back = true;
  });
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (!back && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  bool in_time = back;
  while (!back) let_go();
  other.join();
  return in_time;
}

// Another process that writes page after page to the same pipe whenever it has room.
class Competitor {
 public:
  explicit Competitor(int pipe) {
    UniqueFd own(::open(("/proc/self/fd/" + std::to_string(pipe)).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(own);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    std::array<char, PIPE_BUF> page;
    page.fill('c');
    while (::getppid() != 1) static_cast<void>(!::write(own.get(), page.data(), page.size()));
    ::_exit(0);
  }
  ~Competitor() { stop(); }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  Competitor(const Competitor&) = delete;
  Competitor& operator=(const Competitor&) = delete;

 private:
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("what is taken arrives, whatever the descriptor is") {
  auto reopen = GENERATE(NowaitWriter::Reopen::if_possible, NowaitWriter::Reopen::never);
  auto make = GENERATE(make_pipe, make_sockets, make_terminal);
  Pair pair = make();
  NowaitWriter writer(pair.write.get(), reopen);
  auto written = writer.write("hello\n");
  CHECK(written.bytes == 6);
  CHECK(written.error == 0);
  CHECK(read_some(pair.read.get()).starts_with("hello"));
  CHECK((::fcntl(pair.write.get(), F_GETFL) & O_NONBLOCK) == 0);  // as those who share it want it
}

TEST_CASE("a reader that has stopped stops no writer; afterwards there is room again") {
  auto reopen = GENERATE(NowaitWriter::Reopen::if_possible, NowaitWriter::Reopen::never);
  auto make = GENERATE(make_pipe, make_sockets);
  Pair pair = make();
  NowaitWriter writer(pair.write.get(), reopen);
  const std::string line = std::string(2999, 'x') + "\n";
  std::size_t taken = 0;
  NowaitWriter::Written last;
  auto fill = [&] {
    for (int i = 0; i < 1000; i++) taken += (last = writer.write(line)).bytes;
  };
  REQUIRE(comes_back(fill, [&] { read_some(pair.read.get()); }));
  CHECK(last.error == EAGAIN);
  CHECK(taken < 1000 * line.size());
  std::size_t got = 0;
  while (got < taken) got += read_some(pair.read.get()).size();
  CHECK(got == taken);
  CHECK(writer.write(line).bytes == line.size());
  CHECK(read_some(pair.read.get()) == line);  // nothing was left over anywhere
}

TEST_CASE("a terminal that is stopped stops no writer") {
  Pair terminal = make_terminal();
  NowaitWriter writer(terminal.write.get());
  REQUIRE(::tcflow(terminal.write.get(), TCOOFF) == 0);  // Ctrl-S
  auto fill = [&] {
    for (int i = 0; i < 1000; i++) writer.write(std::string(3000, 'x'));
  };
  CHECK(comes_back(fill, [&] { ::tcflow(terminal.write.get(), TCOON); }));
}

// Each page that is read is room that both want; the next one is read when the writer has come back. One that asks
// first and then writes stands in write(2) before long.
TEST_CASE("another process that takes the room stops no writer") {
  auto reopen = GENERATE(NowaitWriter::Reopen::if_possible, NowaitWriter::Reopen::never);
  Pair pair = make_pipe();
  Competitor competitor(pair.write.get());
  NowaitWriter writer(pair.write.get(), reopen);
  std::atomic<std::uint64_t> calls = 0;
  std::atomic<bool> over = false;
  std::thread writing([&] {
    const std::string page(PIPE_BUF, 'w');
    while (!over) {
      writer.write(page);
      calls++;
    }
  });
  bool stands = false;
  std::array<char, PIPE_BUF> page;
  std::size_t won = 0;
  for (int i = 0; i < 5000 && !stands; i++) {
    REQUIRE(::read(pair.read.get(), page.data(), page.size()) == PIPE_BUF);
    won += page[0] == 'w' ? 1 : 0;
    std::uint64_t before = calls;
    auto end = std::chrono::steady_clock::now() + kPatience;
    while (calls < before + 2 && !stands) stands = std::chrono::steady_clock::now() > end;
  }
  CHECK_FALSE(stands);
  CHECK(won > 0);
  over = true;
  std::thread draining([&] {
    while (!read_some(pair.read.get()).empty()) {
    }
  });
  writing.join();
  competitor.stop();
  pair.write.reset();
  writer = NowaitWriter(-1);
  draining.join();
}

TEST_CASE("a descriptor that comes to mean another file is looked at anew") {
  Pair one = make_pipe();
  Pair other = make_pipe();
  UniqueFd fd(::dup(one.write.get()));
  NowaitWriter writer(fd.get());
  CHECK(writer.write("one").bytes == 3);
  REQUIRE(::dup2(other.write.get(), fd.get()) == fd.get());
  CHECK(writer.write("other").bytes == 5);
  CHECK(read_some(one.read.get()) == "one");
  CHECK(read_some(other.read.get()) == "other");
}

TEST_CASE("a file is written at its end, and a closed descriptor is an error") {
  char path[] = "/tmp/rota-nowait-XXXXXX";
  UniqueFd file(::mkostemp(path, O_APPEND | O_CLOEXEC));
  REQUIRE(file);
  REQUIRE(::unlink(path) == 0);
  NowaitWriter writer(file.get());
  const std::string much(100'000, 'x');
  CHECK(writer.write(much).bytes == much.size());
  CHECK(::lseek(file.get(), 0, SEEK_END) == 100'000);
  CHECK(NowaitWriter(-1).write("x").error == EBADF);
}
