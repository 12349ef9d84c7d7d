// Requests that workers die of: the table alone, with its own clock, and what a data loop makes of it.
#include "rota/proxy/suspects.h"

#include "loop_fixture.h"

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

namespace {

const TimePoint kStart{std::chrono::hours(100)};
using Verdict = Suspects::Verdict;

// Reads requests; dies, as a process does, of one for /boom, and answers all others.
struct Mortal {
  explicit Mortal(std::string at) : path(std::move(at)) {
    worker.emplace(path, [this](int fd) {
      while (true) {
        std::string request = read_until(fd, contains("\r\n\r\n"));
        if (request.find("\r\n\r\n") == std::string::npos) return;
        if (request.find(" /boom") != std::string::npos) {
          ::unlink(path.c_str());  // nobody listens there any more, before the connection ends
          deaths++;
          return;
        }
        send_all(fd, kOk);
      }
    });
  }
  std::string path;
  std::atomic<int> deaths = 0;
  std::optional<Worker> worker;
};

std::string status_of(Proxy& proxy, const std::string& method, const std::string& target) {
  std::string got = proxy.ask(method + " " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
                              [](const std::string& text) { return text.find("\r\n\r\n") != std::string::npos; });
  return got.substr(9, 3);
}

// Workers with the ids 1 to `count`, which die one by one.
struct Mortals {
  Mortals(Proxy& proxy, int count, std::uint32_t limit, std::uint32_t attempts) {
    proxy.state.apps[0].poison_after = limit;
    proxy.state.apps[0].retry_attempts = attempts;
    for (int i = 0; i < count; i++) {
      all.push_back(std::make_unique<Mortal>(proxy.path(i)));
      proxy.add(static_cast<std::uint64_t>(i) + 1, static_cast<std::uint32_t>(i));
    }
    proxy.apply();
  }
  int deaths() const {
    int sum = 0;
    for (const auto& one : all) sum += one->deaths;
    return sum;
  }
  std::vector<std::unique_ptr<Mortal>> all;
};

}  // namespace

TEST_CASE("a request is what stands in its first two lines, of its app") {
  Suspects suspects;
  auto of = [&](std::string_view app, std::string_view head) { return suspects.fingerprint_of(app, head); };
  const std::uint64_t boom = of("web", "GET /boom?a=1 HTTP/1.1\r\nHost: h\r\nCookie: a\r\n\r\n");
  CHECK(boom == of("web", "GET /boom?a=1 HTTP/1.1\r\nHost: h\r\nX-Request-ID: other\r\n\r\n"));
  CHECK(boom != of("api", "GET /boom?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK(boom != of("web", "GET /boom?a=2 HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK(boom != of("web", "POST /boom?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK(boom != of("web", "GET /boom?a=1 HTTP/1.1\r\nHost: g\r\n\r\n"));
  CHECK(boom != 0);
  CHECK(boom != Suspects().fingerprint_of("web", "GET /boom?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"));  // keyed by chance
}

TEST_CASE("so many deaths in a row, and it is refused; an answer in between begins anew") {
  Suspects suspects;
  CHECK_FALSE(suspects.any());
  CHECK(suspects.ask(1, 2, kStart) == Verdict::pass);
  CHECK(suspects.died(1, 10, 2, kStart).refused_for == 0ms);
  CHECK(suspects.any());
  CHECK(suspects.died(1, 10, 2, kStart).deaths == 1);  // told twice
  CHECK(suspects.ask(1, 2, kStart) == Verdict::pass);
  suspects.answered(1);
  CHECK_FALSE(suspects.any());
  suspects.died(1, 11, 2, kStart);
  CHECK(suspects.ask(1, 2, kStart) == Verdict::pass);
  CHECK(suspects.died(1, 12, 2, kStart).refused_for == Suspects::kRefusal);
  CHECK(suspects.died(1, 11, 2, kStart).refused_for == 0ms);  // an old death, told late
  CHECK(suspects.ask(1, 2, kStart) == Verdict::refuse);
  CHECK(suspects.ask(2, 2, kStart) == Verdict::pass);  // another's request
}

TEST_CASE("after its time one is let through, and decides") {
  Suspects suspects;
  suspects.died(1, 10, 1, kStart);
  TimePoint later = kStart + Suspects::kRefusal;
  CHECK(suspects.ask(1, 1, later - 1ms) == Verdict::refuse);
  CHECK(suspects.ask(1, 1, later) == Verdict::trial);
  CHECK(suspects.ask(1, 1, later) == Verdict::refuse);
  SECTION("it is answered") {
    suspects.answered(1);
    CHECK(suspects.ask(1, 1, later) == Verdict::pass);
  }
  SECTION("it kills, and the next waits twice as long") {
    CHECK(suspects.died(1, 11, 1, later).refused_for == 2 * Suspects::kRefusal);
    CHECK(suspects.ask(1, 1, later + 2 * Suspects::kRefusal - 1ms) == Verdict::refuse);
    CHECK(suspects.ask(1, 1, later + 2 * Suspects::kRefusal) == Verdict::trial);
    for (std::uint64_t upstream = 12; upstream < 20; upstream++) {
      later += Suspects::kRefusalMax;
      suspects.died(1, upstream, 1, later);
    }
    CHECK(suspects.died(1, 20, 1, later + Suspects::kRefusalMax).refused_for == Suspects::kRefusalMax);
  }
  SECTION("it kills, which is told when its connection has ended") {
    suspects.trial_over(1, later);
    CHECK(suspects.died(1, 11, 1, later + 50ms).refused_for == 2 * Suspects::kRefusal);
    CHECK(suspects.died(1, 12, 1, later + 60ms).refused_for == 0ms);  // another, which was in flight since before
    CHECK(suspects.ask(1, 1, later + 50ms + 2 * Suspects::kRefusal - 1ms) == Verdict::refuse);
  }
  SECTION("it tells nothing") {
    suspects.trial_over(1, later);
    CHECK(suspects.ask(1, 1, later + Suspects::kRefusal - 1ms) == Verdict::refuse);
    CHECK(suspects.ask(1, 1, later + Suspects::kRefusal) == Verdict::trial);
  }
}

TEST_CASE("workers that die together make no refusal longer") {
  Suspects suspects;
  CHECK(suspects.died(1, 10, 2, kStart).refused_for == Duration::zero());
  CHECK(suspects.died(1, 11, 2, kStart).refused_for == Suspects::kRefusal);
  for (std::uint64_t upstream = 12; upstream < 20; upstream++) {
    CHECK(suspects.died(1, upstream, 2, kStart + 20ms).refused_for == Duration::zero());
  }
  CHECK(suspects.ask(1, 2, kStart + Suspects::kRefusal) == Verdict::trial);
}

TEST_CASE("a row ends when there is no death for an hour") {
  Suspects suspects;
  suspects.died(1, 10, 2, kStart);
  CHECK(suspects.died(1, 11, 2, kStart + Suspects::kMemory + 1ms).deaths == 1);
  CHECK(suspects.ask(1, 1, kStart + 3 * Suspects::kMemory) == Verdict::pass);
  CHECK_FALSE(suspects.any());
}

TEST_CASE("of too many suspects the least suspicious, then the oldest are forgotten") {
  Suspects suspects;
  suspects.died(1, 10, 2, kStart);
  suspects.died(1, 11, 2, kStart);
  for (std::uint64_t i = 0; i < Suspects::kMax; i++) {
    suspects.died(100 + i, 12, 2, kStart + Duration(static_cast<Duration::rep>(i)));
  }
  CHECK(suspects.ask(1, 2, kStart) == Verdict::refuse);
  CHECK(suspects.died(100, 13, 2, kStart + 1s).deaths == 1);  // had made room
  CHECK(suspects.died(99 + Suspects::kMax, 13, 2, kStart + 1s).deaths == 2);
}

TEST_CASE("a GET is tried elsewhere until it has killed too many, then refused, while others are served") {
  Proxy proxy;
  Mortals mortals(proxy, 4, 2, 10);
  CHECK(status_of(proxy, "GET", "/boom") == "503");
  CHECK(mortals.deaths() == 2);
  std::string refused = proxy.ask("GET /boom HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n", contains("}\n"));
  CHECK(refused.starts_with("HTTP/1.1 503 "));
  CHECK(refused.find("Retry-After: 30\r\n") != std::string::npos);
  CHECK(refused.find("\"outcome\":\"poisoned\"") != std::string::npos);
  for (int i = 0; i < 10; i++) {
    CHECK(status_of(proxy, "GET", "/boom") == "503");
    CHECK(status_of(proxy, "GET", "/fine") == "200");
  }
  CHECK(mortals.deaths() == 2);
  CHECK(status_of(proxy, "GET", "/boom?else") == "503");  // another request, which kills two of its own
  CHECK(mortals.deaths() == 4);
}

TEST_CASE("a POST is never tried again, and refused when it comes again too often") {
  Proxy proxy;
  Mortals mortals(proxy, 4, 3, 1);
  for (int i = 0; i < 3; i++) CHECK(status_of(proxy, "POST", "/boom") == "502");
  CHECK(mortals.deaths() == 3);
  CHECK(status_of(proxy, "POST", "/boom") == "503");
  CHECK(status_of(proxy, "POST", "/fine") == "200");
  CHECK(mortals.deaths() == 3);
}

TEST_CASE("without retry.poison_after nothing is refused and nobody is a suspect") {
  Proxy proxy;
  proxy.state.apps[0].queue_timeout = 2s;  // which begins before the deaths do
  Mortals mortals(proxy, 4, 0, 10);
  CHECK(status_of(proxy, "GET", "/boom") == "503");  // nobody is left
  CHECK(mortals.deaths() == 4);
  CHECK_FALSE(proxy.suspects.any());
}

TEST_CASE("a worker that hangs up and lives has not died; told that it has, it is believed") {
  Proxy proxy;
  proxy.state.apps[0].poison_after = 1;
  proxy.state.apps[0].retry_attempts = 0;
  std::atomic<bool> answers = false;
  Worker worker(proxy.path(0), [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    if (answers) send_all(fd, kOk);
  });
  proxy.add(1, 0);
  proxy.apply();
  CHECK(status_of(proxy, "GET", "/x") == "502");
  CHECK_FALSE(proxy.suspects.any());
  proxy.loop->command(AskInFlight{1});
  REQUIRE(proxy.wait([&] { return proxy.in_flight.contains(1); }));
  CHECK(proxy.suspects.any());
  CHECK(status_of(proxy, "GET", "/x") == "503");
  answers = true;
  CHECK(status_of(proxy, "GET", "/y") == "200");
}

TEST_CASE("an answer clears a request of what it was suspected of") {
  Proxy proxy;
  proxy.state.apps[0].poison_after = 2;
  proxy.state.apps[0].retry_attempts = 1;
  std::atomic<int> count = 0;
  auto first_dies = std::make_unique<Mortal>(proxy.path(0));
  Worker other(proxy.path(1), answering(kOk, &count));
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  // The round begins with the one that dies; the other answers the same request.
  CHECK(status_of(proxy, "GET", "/boom") == "200");
  CHECK(first_dies->deaths == 1);
  CHECK_FALSE(proxy.suspects.any());
  // The supervisor tells of the death when the answer is there already.
  proxy.loop->command(AskInFlight{1});
  REQUIRE(proxy.wait([&] { return proxy.in_flight.contains(1); }));
  CHECK_FALSE(proxy.suspects.any());
}

TEST_CASE("of a response that had begun nobody is suspected") {
  Proxy proxy;
  proxy.state.apps[0].poison_after = 1;
  std::string path = proxy.path(0);
  Worker worker(path, [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly");
    ::unlink(path.c_str());
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  read_until(client.get(), kNever);
  proxy.loop->command(AskInFlight{1});
  REQUIRE(proxy.wait([&] { return proxy.in_flight.contains(1); }));
  CHECK_FALSE(proxy.suspects.any());
}

TEST_CASE("a loop that stops ends a session that is refused as soon as the one before it has gone") {
  Proxy proxy;
  proxy.state.apps[0].poison_after = 1;
  proxy.state.apps[0].queue_size = 2;
  proxy.state.apps[0].queue_timeout = 600s;
  proxy.apply();
  const UniqueFd first = proxy.connect();
  send_all(first.get(), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  const UniqueFd second = proxy.connect();
  send_all(second.get(), "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  ::shutdown(second.get(), SHUT_WR);
  for (int turn = 0; turn < 8; turn++) proxy.apply();  // accepted, read, and its end seen
  REQUIRE(status_of(proxy, "GET", "/c") == "503");     // both are held
  proxy.suspects.died(proxy.suspects.fingerprint_of("web", "GET /b HTTP/1.1\r\nHost: h\r\n"), 7, 1,
                      std::chrono::steady_clock::now());
  proxy.loop->command(StopLoop{});
  CHECK(read_until(first.get(), kNever).starts_with("HTTP/1.1 503"));
  CHECK(contains("Workers died again and again")(read_until(second.get(), kNever)));
}
