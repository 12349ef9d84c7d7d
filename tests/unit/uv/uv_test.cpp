#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "rota/uv/handles.h"
#include "rota/uv/loop.h"
#include "rota/uv/ready_set.h"
#include "rota/uv/stream.h"

using namespace rota;
using namespace rota::uv;

namespace {

struct Stopper final : TimerListener {
  explicit Stopper(Loop& loop) : loop_(loop), timer_(loop, *this) {}
  void on_timer(Timer&) override {
    timed_out = true;
    loop_.stop();
  }
  void within(Duration limit) { timer_.start(limit); }
  bool timed_out = false;

 private:
  Loop& loop_;
  Timer timer_;
};

struct Recorder final : StreamListener {
  explicit Recorder(Loop& loop) : loop_(loop) {}
  void on_read(Stream&, std::string_view bytes) override {
    text += bytes;
    longest = std::max(longest, bytes.size());
    if (text.size() >= want) loop_.stop();
  }
  void on_end(Stream&) override {
    ended = true;
    loop_.stop();
  }
  void on_error(Stream&, int number) override {
    error = number;
    loop_.stop();
  }
  void on_writable(Stream&) override {
    writable++;
    if (stop_when_writable) loop_.stop();
  }
  std::string text;
  std::size_t longest = 0;  // that came at once
  std::size_t want = SIZE_MAX;
  bool ended = false;
  bool stop_when_writable = false;
  int error = 0;
  int writable = 0;

 private:
  Loop& loop_;
};

struct Pair {
  Pair() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    ours = UniqueFd(fds[0]);
    peer = UniqueFd(fds[1]);
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  }
  UniqueFd ours, peer;
};

struct Flagged final : Retirable {
  explicit Flagged(bool& gone) : gone_(gone) {}
  ~Flagged() override { gone_ = true; }
  bool& gone_;
};

}  // namespace

TEST_CASE("a stream reads what comes, and tells the end") {
  Loop loop("test");
  Stopper stopper(loop);
  stopper.within(5s);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  REQUIRE(::write(pair.peer.get(), "hello", 5) == 5);
  recorder.want = 5;
  loop.run();
  CHECK(recorder.text == "hello");
  pair.peer.reset();
  loop.run();
  CHECK(recorder.ended);
  CHECK_FALSE(stopper.timed_out);
}

TEST_CASE("reads are no longer than asked for, and room is what the kernel still takes") {
  Loop loop("test");
  Stopper stopper(loop);
  stopper.within(20s);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  stream.limit_reads(1000);
  REQUIRE(::write(pair.peer.get(), std::string(5000, 'x').data(), 5000) == 5000);
  recorder.want = 5000;
  loop.run();
  CHECK(recorder.text.size() == 5000);
  CHECK(recorder.longest == 1000);

  const std::size_t fresh = stream.room();
  CHECK(fresh > 4096);
  REQUIRE(stream.write(std::string(fresh, 'y')) == 0);
  CHECK(stream.queued() == 0);
  CHECK(stream.room() < fresh);
  while (stream.queued() == 0) REQUIRE(stream.write(std::string(50'000, 'z')) == 0);
  CHECK(stream.room() < fresh / 4);
  CHECK_FALSE(stopper.timed_out);
}

TEST_CASE("a loop can be turned by hand, and says when a turn would do something") {
  Loop loop("test");
  Recorder recorder(loop);
  Pair pair;
  const auto quiet = [&] {
    pollfd ready{loop.descriptor(), POLLIN, 0};
    return !loop.run_once() && ::poll(&ready, 1, 0) == 0;
  };
  CHECK_FALSE(loop.run_once());  // nothing is on it
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  while (!quiet()) continue;
  CHECK(recorder.text.empty());
  REQUIRE(::write(pair.peer.get(), "hello", 5) == 5);
  pollfd ready{loop.descriptor(), POLLIN, 0};
  CHECK(::poll(&ready, 1, 0) == 1);
  CHECK(recorder.text.empty());
  while (!quiet()) continue;
  CHECK(recorder.text == "hello");
  bool gone = false;
  loop.retire(std::make_unique<Flagged>(gone));
  CHECK_FALSE(gone);
  while (!quiet()) continue;
  CHECK(gone);
}

TEST_CASE("a loop's time stands still where it was put") {
  Loop loop("test");
  CHECK(loop.now() <= std::chrono::steady_clock::now());
  const TimePoint then = loop.now() + 1h;
  loop.hold_time(then);
  CHECK(loop.now() == then);
  loop.run_once();
  CHECK(loop.now() == then);
  loop.hold_time(then + 1ms);
  CHECK(loop.now() == then + 1ms);
}

TEST_CASE("what the kernel does not take is queued, counted, and written in order") {
  Loop loop("test");
  Stopper stopper(loop);
  stopper.within(20s);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  std::string sent;
  for (int i = 0; i < 40; i++) {
    std::string part(50'000, static_cast<char>('a' + i % 26));
    sent += part;
    REQUIRE(stream.write(part) == 0);
  }
  CHECK(stream.queued() > 0);
  CHECK(stream.congested());
  CHECK(stream.queued() + stream.accepted() == sent.size());
  stream.shut_down_writing();
  std::string got;
  std::thread reader([&] {
    char buffer[65536];
    ssize_t n = 0;
    while ((n = ::read(pair.peer.get(), buffer, sizeof buffer)) > 0) got.append(buffer, static_cast<std::size_t>(n));
  });
  recorder.stop_when_writable = true;
  while (stream.queued() > 0 && !stopper.timed_out) loop.run();
  reader.join();
  CHECK(got == sent);
  CHECK(recorder.writable >= 1);
  CHECK(stream.accepted() == sent.size());
}

TEST_CASE("a stream may be destroyed with a full queue; no callback comes afterwards") {
  Loop loop("test");
  Stopper stopper(loop);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  REQUIRE(stream.write(std::string(2'000'000, 'x')) == 0);
  stream.close();
  stopper.within(10ms);
  loop.run();
  CHECK(recorder.writable == 0);
  CHECK(recorder.error == 0);
}

TEST_CASE("writing to a peer that is gone reports EPIPE at once and raises no signal") {
  Loop loop("test");
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  pair.peer.reset();
  CHECK(stream.write("x") == EPIPE);
}

TEST_CASE("a stopped stream reads nothing until it is started again") {
  Loop loop("test");
  Stopper stopper(loop);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  stream.stop_reading();
  REQUIRE(::write(pair.peer.get(), "abc", 3) == 3);
  stopper.within(20ms);
  loop.run();
  CHECK(recorder.text.empty());
  stream.start_reading();
  recorder.want = 3;
  stopper.within(5s);
  loop.run();
  CHECK(recorder.text == "abc");
}

TEST_CASE("a limit that a callback sets counts for the next read") {
  Loop loop("test");
  Stopper stopper(loop);
  stopper.within(5s);
  Pair pair;
  struct Shrinking final : StreamListener {
    explicit Shrinking(Loop& of) : loop(of) {}
    void on_read(Stream& stream, std::string_view bytes) override {
      pieces.push_back(bytes.size());
      stream.limit_reads(10);
      total += bytes.size();
      if (total == 120) loop.stop();
    }
    void on_end(Stream&) override {}
    void on_error(Stream&, int) override {}
    void on_writable(Stream&) override {}
    Loop& loop;
    std::vector<std::size_t> pieces;
    std::size_t total = 0;
  } listener(loop);
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), listener));
  stream.limit_reads(100);
  REQUIRE(::write(pair.peer.get(), std::string(120, 'x').data(), 120) == 120);
  loop.run();
  CHECK(listener.pieces == std::vector<std::size_t>{100, 10, 10});
}

TEST_CASE("a stream that another's callback closes is not called, though it was ready too") {
  Loop loop("test");
  Stopper stopper(loop);
  Pair one, two;
  struct Closer final : StreamListener {
    void on_read(Stream&, std::string_view) override {
      calls++;
      for (Stream* stream : streams) stream->close();
    }
    void on_end(Stream&) override {}
    void on_error(Stream&, int) override {}
    void on_writable(Stream&) override {}
    std::vector<Stream*> streams;
    int calls = 0;
  } closer;
  Stream first, second;
  REQUIRE(first.open(loop, std::move(one.ours), closer));
  REQUIRE(second.open(loop, std::move(two.ours), closer));
  closer.streams = {&first, &second};
  REQUIRE(::write(one.peer.get(), "x", 1) == 1);
  REQUIRE(::write(two.peer.get(), "x", 1) == 1);
  stopper.within(20ms);
  loop.run();
  CHECK(closer.calls == 1);
  CHECK(loop.connections().size() == 0);
}

TEST_CASE("a stopped stream whose peer has gone does not keep the loop awake") {
  Loop loop("test");
  Stopper stopper(loop);
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  stream.stop_reading();
  pair.peer.reset();
  for (int i = 0; i < 5; i++) loop.run_once();
  pollfd asleep{loop.descriptor(), POLLIN, 0};
  CHECK(::poll(&asleep, 1, 0) == 0);
  CHECK_FALSE(recorder.ended);
  stream.start_reading();
  stopper.within(5s);
  loop.run();
  CHECK(recorder.ended);
}

TEST_CASE("room is told of when there is some, though nothing was queued") {
  Loop loop("test");
  Stopper stopper(loop);
  Recorder recorder(loop);
  recorder.stop_when_writable = true;
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  const std::string piece(1000, 'x');
  while (stream.queued() == 0) REQUIRE(stream.write(piece) == 0);
  std::string drained(1 << 20, 0);
  REQUIRE(::read(pair.peer.get(), drained.data(), drained.size()) > 0);
  stopper.within(5s);
  loop.run();  // what was queued
  CHECK(recorder.writable == 1);
  while (stream.room() >= 4096) REQUIRE(stream.write(piece) == 0);
  REQUIRE(stream.queued() == 0);
  stream.await_room();
  CHECK(stream.waits());
  while (::recv(pair.peer.get(), drained.data(), drained.size(), MSG_DONTWAIT) > 0) {
  }
  loop.run();
  CHECK(recorder.writable == 2);
  CHECK_FALSE(stream.waits());
  CHECK_FALSE(stopper.timed_out);
}

TEST_CASE("a retired object is freed in the same turn, and never inside the caller") {
  Loop loop("test");
  bool gone = false;
  struct Retirer final : TimerListener {
    Retirer(Loop& loop, bool& gone) : loop_(loop), gone_(gone), timer_(loop, *this) { timer_.start(1ms); }
    void on_timer(Timer&) override {
      loop_.retire(std::make_unique<Flagged>(gone_));
      gone_inside = gone_;
    }
    Loop& loop_;
    bool& gone_;
    bool gone_inside = true;
    Timer timer_;
  } retirer(loop, gone);
  Stopper stopper(loop);
  stopper.within(50ms);
  loop.run();
  CHECK_FALSE(retirer.gone_inside);
  CHECK(gone);
}

TEST_CASE("deferred work runs once from the top of the loop, and is forgotten when destroyed") {
  Loop loop("test");
  struct Work final : Deferred {
    explicit Work(int& count) : count_(count) {}
    void run_deferred() override { count_++; }
    int& count_;
  };
  int count = 0;
  Work work(count);
  loop.defer(work);
  loop.defer(work);
  int never = 0;
  {
    Work gone(never);
    loop.defer(gone);
  }
  Stopper stopper(loop);
  stopper.within(20ms);
  loop.run();
  CHECK(count == 1);
  CHECK(never == 0);
}

TEST_CASE("deferred work has been told of every connection that was ready before somebody asked for it") {
  Loop loop("test");
  Recorder recorder(loop);
  Pair pair;
  Stream stream;
  REQUIRE(stream.open(loop, std::move(pair.ours), recorder));
  struct Asker final : TimerListener, Deferred {
    Asker(Loop& on, int to, const std::string& seen) : loop(on), peer(to), text(seen), timer(on, *this) {}
    void on_timer(Timer&) override {
      REQUIRE(::write(peer, "x", 1) == 1);  // the turn has looked at the connections already
      loop.defer(*this);
    }
    void run_deferred() override {
      known = text;
      loop.stop();
    }
    Loop& loop;
    int peer;
    const std::string& text;
    std::string known;
    Timer timer;
  } asker(loop, pair.peer.get(), recorder.text);
  asker.timer.start(1ms);
  loop.run();
  CHECK(asker.known == "x");
}

TEST_CASE("a wakeup from another thread reaches the loop") {
  Loop loop("test");
  struct Waker final : WakeupListener {
    explicit Waker(Loop& loop) : loop_(loop), wakeup(loop, *this) {}
    void on_wakeup(Wakeup&) override {
      woken = true;
      loop_.stop();
    }
    Loop& loop_;
    bool woken = false;
    Wakeup wakeup;
  } waker(loop);
  Stopper stopper(loop);
  stopper.within(5s);
  std::thread other([&] { waker.wakeup.wake(); });
  loop.run();
  other.join();
  CHECK(waker.woken);
}
