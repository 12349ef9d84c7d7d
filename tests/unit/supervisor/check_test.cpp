// Checks against real sockets on a real loop: what a worker can do to them, and what is made of it.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "fake_keeper.h"
#include "rota/supervisor/checker.h"

using namespace rota;
using namespace rota::supervisor;
using Kind = ProbeOutcome::Kind;

namespace {

// Answers every connection with these bytes and closes it, or keeps it open.
class Answerer final : uv::FdListener {
 public:
  Answerer(uv::Loop& loop, int listener) : watcher_(loop, listener, *this) { watcher_.start(); }
  std::string answer;
  bool close = true;
  int asked = 0;

 private:
  void on_readable(uv::FdWatcher& watcher) override {
    sys::Accept accepted = sys::accept_connection(watcher.fd());
    if (accepted.error != 0) return;
    asked++;
    if (!answer.empty()) {
      REQUIRE(::write(accepted.fd.get(), answer.data(), answer.size()) == static_cast<ssize_t>(answer.size()));
    }
    if (!close) kept_.push_back(std::move(accepted.fd));
  }
  uv::FdWatcher watcher_;
  std::vector<UniqueFd> kept_;
};

struct Results final : CheckListener, uv::TimerListener {
  explicit Results(uv::Loop& l) : loop(l), guard(l, *this) { guard.start(20s); }
  void on_check(const CheckResult& result) override {
    std::holds_alternative<CheckPassed>(result) ? passed++ : failed++;
    if (const auto* failure = std::get_if<CheckFailed>(&result)) last = *failure;
    if (passed >= want_passed || failed >= want_failed) loop.stop();
  }
  void on_odd_health_path(int status) override { odd = status; }
  void on_timer(uv::Timer&) override { FAIL("nothing came"); }
  uv::Loop& loop;
  uv::Timer guard;
  int passed = 0, failed = 0, want_passed = 1, want_failed = 1, odd = 0;
  CheckFailed last;
};

CheckRules rules(const std::string& path, bool strict = false) { return {path, strict, 10ms, 100ms}; }

}  // namespace

TEST_CASE("what an answer means for readiness and for health") {
  auto passes = [](const std::optional<CheckResult>& r) { return r && std::holds_alternative<CheckPassed>(*r); };
  auto answered = [](int status) { return ProbeOutcome{Kind::answered, status, 0}; };
  CheckRules connect = rules("");
  CheckRules automatic = rules("/healthz");
  CheckRules strict = rules("/healthz", true);
  REQUIRE(passes(judge_readiness(connect, {Kind::connected, 0, 0})));
  REQUIRE(passes(judge_readiness(connect, {Kind::busy, 0, EAGAIN})));
  REQUIRE_FALSE(passes(judge_readiness(automatic, {Kind::busy, 0, EAGAIN})));
  REQUIRE(passes(judge_readiness(automatic, answered(204))));
  REQUIRE(passes(judge_readiness(automatic, answered(404))));
  REQUIRE_FALSE(passes(judge_readiness(automatic, answered(503))));
  REQUIRE_FALSE(passes(judge_readiness(strict, answered(404))));
  REQUIRE(passes(judge_readiness(strict, answered(302))));
  REQUIRE_FALSE(passes(judge_readiness(strict, {Kind::broken, 0, 0})));

  REQUIRE_FALSE(judge_health(connect, {Kind::busy, 0, EAGAIN}));
  REQUIRE(passes(judge_health(connect, {Kind::connected, 0, 0})));
  REQUIRE(passes(judge_health(automatic, answered(200))));
  for (const ProbeOutcome& bad : {answered(404), answered(500), ProbeOutcome{Kind::timeout, 0, 0},
                                  ProbeOutcome{Kind::gone, 0, ENOENT}, ProbeOutcome{Kind::busy, 0, EAGAIN}}) {
    auto result = judge_health(automatic, bad);
    REQUIRE(result);
    REQUIRE_FALSE(passes(result));
    REQUIRE_FALSE(std::get<CheckFailed>(*result).text.empty());
  }
}

TEST_CASE("checks over real sockets") {
  test::ScratchDir dir;
  std::string path = dir.path() + "/s";
  std::mt19937_64 random(1);
  uv::Loop loop("test");
  auto listening = sys::listen_unix(path, 0700);
  REQUIRE(listening.error == 0);
  Answerer answerer(loop, listening.fd.get());
  Results results(loop);

  auto check = [&](const CheckRules& how, Checks kind) {
    Checker checker(loop, how, random, results);
    checker.aim(*sys::unix_address(path));
    checker.set(kind);
    loop.run();
  };
  SECTION("an answer in pieces of a protocol") {
    answerer.answer = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.passed == 1);
  }
  SECTION("closed without a word") {
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.last.failure == CheckFailure::broken);
  }
  SECTION("not HTTP") {
    answerer.answer = "220 mail ready\r\n";
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.last.failure == CheckFailure::broken);
  }
  SECTION("endless head") {
    answerer.answer = "HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'a');
    answerer.close = false;
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.last.failure == CheckFailure::broken);
  }
  SECTION("no answer in time") {
    answerer.close = false;
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.last.failure == CheckFailure::timeout);
    REQUIRE(results.last.text == "GET /healthz: no answer within 100 ms");
  }
  SECTION("an error is told with its status") {
    answerer.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    check(rules("/healthz"), Checks::health);
    REQUIRE(results.last.text == "GET /healthz answers 500");
  }
  SECTION("ready although the path is not there, and that is said") {
    answerer.answer = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    check(rules("/healthz"), Checks::readiness);
    REQUIRE(results.passed == 1);
    REQUIRE(results.odd == 404);
  }
  SECTION("not ready where the path must answer well, and nobody says that it takes part") {
    answerer.answer = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    check(rules("/healthz", true), Checks::readiness);
    REQUIRE(results.failed == 1);
    REQUIRE(results.odd == 0);
  }
  SECTION("health goes on") {
    answerer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    results.want_passed = 5;
    check(rules("/healthz"), Checks::health);
    REQUIRE(answerer.asked == 5);
  }
  SECTION("a worker that listens later is found soon") {
    ::unlink(path.c_str());
    Checker checker(loop, rules(""), random, results);
    checker.aim(*sys::unix_address(path));
    checker.set(Checks::readiness);
    results.want_failed = 3;
    loop.run();
    REQUIRE(results.last.failure == CheckFailure::gone);
    auto late = sys::listen_unix(path, 0700);
    results.want_failed = 1'000'000;
    auto from = std::chrono::steady_clock::now();
    loop.run();
    REQUIRE(results.passed == 1);
    REQUIRE(std::chrono::steady_clock::now() - from < 1s);  // 20 ms on a machine with time to spare
  }
}

TEST_CASE("a TCP server is checked by a connect, or by its answer") {
  std::mt19937_64 random(1);
  uv::Loop loop("test");
  auto listening = sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {});
  REQUIRE(listening.error == 0);
  Results results(loop);
  sys::SocketAddress address = sys::local_address(listening.fd.get());
  SECTION("connect") {
    Checker checker(loop, rules(""), random, results);
    checker.aim(address);
    checker.set(Checks::health);
    loop.run();
    REQUIRE(results.passed == 1);
  }
  SECTION("answer") {
    Answerer answerer(loop, listening.fd.get());
    answerer.answer = "HTTP/1.1 200 OK\r\n\r\n";
    Checker checker(loop, rules("/"), random, results);
    checker.aim(address);
    checker.set(Checks::health);
    loop.run();
    REQUIRE(results.passed == 1);
  }
  SECTION("nobody there") {
    listening.fd.reset();
    Checker checker(loop, rules(""), random, results);
    checker.aim(address);
    checker.set(Checks::health);
    loop.run();
    REQUIRE(results.last.failure == CheckFailure::gone);
  }
}
