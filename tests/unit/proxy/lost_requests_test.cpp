// What is known of requests whose worker went away: told of them alone, and through a data loop.
#include "rota/proxy/lost_requests.h"

#include "loop_fixture.h"

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

namespace {

ipc::RequestInFlight named(const std::string& path, Duration age = 1ms) {
  ipc::RequestInFlight request;
  request.path = path;
  request.age = age;
  return request;
}

ipc::InFlight ask(Proxy& proxy, std::uint64_t upstream) {
  proxy.loop->command(AskInFlight{upstream});
  REQUIRE(proxy.wait([&] { return proxy.in_flight.contains(upstream); }));
  std::lock_guard lock(proxy.mutex);
  ipc::InFlight list = std::move(proxy.in_flight.at(upstream));
  proxy.in_flight.erase(upstream);
  return list;
}

// Takes requests and answers none, until it is told to close.
struct Silent {
  std::atomic<int> taken = 0;
  std::atomic<bool> closes = false;
  Worker::Serve serve() {
    return [this](int fd) {
      read_until(fd, contains("\r\n\r\n"));
      taken++;
      while (!closes) std::this_thread::yield();
    };
  }
  void wait(int count) const {
    while (taken < count) std::this_thread::yield();
  }
};

}  // namespace

TEST_CASE("of a request's head the method, the path without its query, and the id are told") {
  ipc::RequestInFlight request = describe_request(
      "POST /pay?card=4711 HTTP/1.1\r\nHost: h\r\nX-Request-ID: theirs\r\nCookie: secret\r\nX-Request-ID: ours\r\nVia: "
      "1.1 rota\r\n\r\n",
      12ms, true);
  CHECK(request.method == "POST");
  CHECK(request.path == "/pay");
  CHECK_FALSE(request.path_cut);
  CHECK(request.request_id == "ours");
  CHECK(request.age == 12ms);
  CHECK(request.answered);
  CHECK(describe_request("OPTIONS * HTTP/1.1\r\n\r\n", -1ms, false).path == "*");
  CHECK(describe_request("OPTIONS * HTTP/1.1\r\n\r\n", -1ms, false).age == 0ms);
  CHECK(describe_request("", 0ms, false).path.empty());

  std::string longest = "GET /" + std::string(ipc::kPathMax - 1, 'x');
  CHECK_FALSE(describe_request(longest + " HTTP/1.1\r\n", 0ms, false).path_cut);
  CHECK_FALSE(describe_request(longest + "?q HTTP/1.1\r\n", 0ms, false).path_cut);
  request = describe_request(longest + "x HTTP/1.1\r\n", 0ms, false);
  CHECK(request.path_cut);
  CHECK(request.path.size() == ipc::kPathMax);
}

TEST_CASE("what was lost is remembered for a moment, each upstream's for itself") {
  LostRequests lost;
  TimePoint start{std::chrono::hours(1)};
  lost.add(1, named("/a"), start);
  lost.add(2, named("/b"), start);
  lost.add_unread(1, start);
  lost.add(1, named("/c"), start + 4s);
  CHECK(lost.of(1, start + 4s).total == 2);
  CHECK(lost.of(1, start + 4s).unread == 1);
  CHECK(lost.of(1, start + 4s).requests[1].path == "/c");
  CHECK(lost.of(1, start + 4s).total == 2);  // whoever asked first may have died
  CHECK(lost.of(1, start + 6s).total == 1);
  CHECK(lost.of(1, start + 6s).unread == 0);
  CHECK(lost.of(2, start + 6s).total == 0);
  CHECK(lost.of(3, start).total == 0);
}

TEST_CASE("a bounded number is remembered, and the rest counted") {
  LostRequests lost;
  TimePoint now{std::chrono::hours(1)};
  for (std::size_t i = 0; i < LostRequests::kRequestsMax + 7; i++) lost.add(1, named("/x"), now);
  lost.add_unread(1, now);
  CHECK(lost.of(1, now).total == LostRequests::kRequestsMax + 7);
  CHECK(lost.of(1, now).requests.size() == LostRequests::kRequestsMax);
  lost.add(2, named("/y"), now);
  CHECK(lost.of(2, now).total == 1);
  CHECK(lost.of(2, now).requests.empty());
  now += LostRequests::kMemory + 1ms;
  lost.add_unread(1, now);
  CHECK(lost.of(1, now).total == 0);
  CHECK(lost.of(1, now).unread == 1);
  lost.add(1, named("/z"), now);
  for (std::uint64_t upstream = 2; upstream < 2 + LostRequests::kUpstreamsMax; upstream++) {
    now += 1ms;
    lost.add(upstream, named("/y"), now);
  }
  CHECK(lost.of(1, now).total == 0);  // the oldest made room
  CHECK(lost.of(2, now).total == 1);
}

TEST_CASE("each lost request is counted once, however often its worker's death is told") {
  LostRequests lost;
  Suspects suspects;
  TimePoint now{std::chrono::hours(1)};
  lost.add(1, named("/a"), now, {7, 2, "web"});
  lost.blame(1, suspects, now);
  suspects.answered(7);
  lost.blame(1, suspects, now);
  CHECK_FALSE(suspects.any());
  lost.add(1, named("/b"), now, {8, 2, "web"});  // lost there too, and seen later
  lost.blame(1, suspects, now);
  CHECK(suspects.ask(8, 1, now) == Suspects::Verdict::trial);
  CHECK(suspects.ask(7, 1, now) == Suspects::Verdict::pass);
}

TEST_CASE("of several loops' lists the oldest and the youngest are told") {
  ipc::InFlight list;
  for (int loop = 0; loop < 3; loop++) {
    ipc::InFlight more;
    more.unread = 1;
    for (int i = 0; i < 20; i++) more.requests.push_back(named("/r", Duration(loop * 20 + i)));
    more.total = 25;
    merge(list, std::move(more));
  }
  cut(list);
  CHECK(list.total == 75);
  CHECK(list.unread == 3);
  CHECK(list.is_sound());
  REQUIRE(list.requests.size() == ipc::kInFlightMax);
  CHECK(list.requests.front().age == 59ms);
  CHECK(list.requests[15].age == 44ms);
  CHECK(list.requests[16].age == 15ms);
  CHECK(list.requests.back().age == 0ms);
}

TEST_CASE("a loop tells what was in flight on a worker, before and after the end of its connections is seen") {
  Proxy proxy;
  Silent silent;
  Worker worker(proxy.path(0), silent.serve());
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd get = proxy.connect();
  send_all(get.get(), "GET /slow?token=s HTTP/1.1\r\nHost: h\r\nX-Request-ID: my-id\r\n\r\n");
  silent.wait(1);
  UniqueFd post = proxy.connect();
  send_all(post.get(), "POST /order HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  silent.wait(2);
  CHECK(ask(proxy, 7).total == 0);
  for (bool closed : {false, true}) {
    if (closed) {
      proxy.state.apps[0].retry_attempts = 0;
      proxy.apply();
      silent.closes = true;
      CHECK(read_until(get.get(), contains("request.\n")).starts_with("HTTP/1.1 502"));
      CHECK(read_until(post.get(), contains("request.\n")).starts_with("HTTP/1.1 502"));
    }
    ipc::InFlight list = ask(proxy, 1);
    CHECK(list.total == 2);
    CHECK(list.unread == 0);
    REQUIRE(list.requests.size() == 2);
    auto is_get = [](const auto& one) { return one.method == "GET"; };
    auto at = std::find_if(list.requests.begin(), list.requests.end(), is_get);
    REQUIRE(at != list.requests.end());
    CHECK(at->path == "/slow");
    CHECK(at->request_id == "my-id");
    CHECK_FALSE(at->answered);
    auto other = at == list.requests.begin() ? at + 1 : list.requests.begin();
    CHECK(other->path == "/order");
    CHECK(other->request_id.size() == 32);
  }
}

TEST_CASE("a response that was cut off, and a request that was never read, are told as such") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly");
  });
  proxy.add(1, 0);
  proxy.apply();
  bool eof = false;
  UniqueFd client = proxy.connect();
  send_all(client.get(), "GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
  read_until(client.get(), kNever, &eof);
  ipc::InFlight list = ask(proxy, 1);
  REQUIRE(list.requests.size() == 1);
  CHECK(list.requests[0].path == "/cut");
  CHECK(list.requests[0].answered);
}

TEST_CASE("a request that its worker certainly never read is counted apart") {
  Proxy proxy;
  std::atomic<int> answered = 0;
  std::optional<Worker> unreading;
  unreading.emplace(proxy.path(0), [](int fd) {
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);  // and closed with its bytes unread
  });
  Worker other(proxy.path(1), answering(kOk, &answered));
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  CHECK(proxy.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", contains("ok"))
            .starts_with("HTTP/1.1 200"));
  ipc::InFlight list = ask(proxy, 1);
  CHECK(list.total == 0);
  CHECK(list.unread == 1);
}
