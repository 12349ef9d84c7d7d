// Clients of a real loop: to which app their requests go, and how many connections an address may have.
#include <future>

#include "loop_fixture.h"

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

namespace {

// A second app beside the fixture's own, with one worker in slot 1.
ipc::AppState& add_app(Proxy& proxy, const char* name, std::uint64_t upstream) {
  ipc::AppState app = proxy.state.apps[0];
  app.name = name;
  app.routes.clear();
  app.upstreams.clear();
  ipc::UpstreamState worker;
  worker.id = upstream;
  worker.address = proxy.path(static_cast<int>(upstream));
  worker.phase = ipc::UpstreamPhase::ready;
  app.upstreams.push_back(worker);
  proxy.state.apps.push_back(app);
  return proxy.state.apps.back();
}

std::string saying(const std::string& word) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(word.size()) + "\r\n\r\n" + word;
}

std::string get(const Proxy& proxy, const std::string& host, const std::string& target) {
  std::string got = proxy.ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n", kNever);
  return got.substr(0, 12) + got.substr(got.find("\r\n\r\n") + 4);
}

// True when the proxy serves this connection, false when it closes it without a word.
bool served(int fd) {
  send_all(fd, kGet);
  return read_until(fd, contains("ok")).starts_with("HTTP/1.1 200");
}

}  // namespace

TEST_CASE("each request of a connection goes to the app that its host and path name") {
  Proxy proxy;
  Worker web(proxy.path(0), answering(saying("web")));
  Worker api(proxy.path(1), answering(saying("api")));
  proxy.add(10, 0);
  proxy.state.apps[0].routes = {{"a.example", "/", {}}};
  add_app(proxy, "api", 1).routes = {{"a.example", "/api", {}}, {"b.example", "/", {"listen"}}};
  proxy.apply();
  CHECK(get(proxy, "A.example:80", "/") == "HTTP/1.1 200web");
  CHECK(get(proxy, "a.example", "/api/x") == "HTTP/1.1 200api");
  CHECK(get(proxy, "b.example", "/x") == "HTTP/1.1 200api");
  // An absolute target's own authority decides.
  CHECK(get(proxy, "c.example", "http://b.example/x") == "HTTP/1.1 200api");
  CHECK(get(proxy, "c.example", "/x").starts_with("HTTP/1.1 404"));
  CHECK(get(proxy, "a.example", "/x/..%2fapi").starts_with("HTTP/1.1 400"));
  UniqueFd client = proxy.connect();
  for (const char* target : {"/api", "/", "/x/../api", "/other", "/api?"}) {
    INFO(target);
    send_all(client.get(), std::string("GET ") + target + " HTTP/1.1\r\nHost: a.example\r\n\r\n");
    const bool to_api = std::string_view(target).find("api") != std::string_view::npos;
    std::string got = read_until(client.get(), contains(to_api ? "\r\n\r\napi" : "\r\n\r\nweb"));
    CHECK(got.starts_with("HTTP/1.1 200"));
  }
  send_all(client.get(), "GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
  CHECK(read_until(client.get(), contains("\n\n")).starts_with("HTTP/1.1 404 Not Found\r\n"));
}

TEST_CASE("a new state changes the routes of connections that are open") {
  Proxy proxy;
  Worker web(proxy.path(0), answering(saying("web")));
  Worker api(proxy.path(1), answering(saying("api")));
  proxy.add(10, 0);
  add_app(proxy, "api", 1).routes = {{"", "/api", {}}};
  proxy.apply();
  UniqueFd client = proxy.connect();
  const std::string request = "GET /api HTTP/1.1\r\nHost: h\r\n\r\n";
  send_all(client.get(), request);
  CHECK(read_until(client.get(), contains("\r\n\r\napi")).starts_with("HTTP/1.1 200"));
  proxy.state.apps[1].routes[0].path = "/else";
  proxy.apply();
  send_all(client.get(), request);
  CHECK(read_until(client.get(), contains("\r\n\r\nweb")).starts_with("HTTP/1.1 200"));
  proxy.state.apps.erase(proxy.state.apps.begin());
  proxy.apply();
  send_all(client.get(), request);
  CHECK(read_until(client.get(), contains("\n\n")).starts_with("HTTP/1.1 404"));
}

TEST_CASE("a trusted peer's word about the client reaches the worker, nobody else's does") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    std::string head = read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
  });
  proxy.add(1, 0);
  proxy.apply();
  const std::string request =
      "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-ID: mine\r\nConnection: close\r\n\r\n";
  std::string got = proxy.ask(request, kNever);
  CHECK(contains("\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1;host=h;proto=http\r\n")(got));
  CHECK(contains("\r\nX-Forwarded-Port: " + std::to_string(proxy.port) + "\r\nX-Request-ID: mine\r\n")(got));
  CHECK(got.find("\r\nVia: 1.1 rota\r\n") < got.find("\r\n\r\n"));  // to the client
  ipc::NetworkState loopback;
  loopback.address = http::IpAddress::parse("127.0.0.0")->octets();
  loopback.prefix = 104;
  proxy.state.trusted_proxies.push_back(loopback);
  proxy.apply();
  got = proxy.ask(request, kNever);
  CHECK(contains("\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\r\nForwarded: for=192.0.2.1;")(got));
  CHECK(contains("\r\nX-Real-IP: 192.0.2.1\r\n")(got));
}

TEST_CASE("rows 40 and 122: a loop is noticed, and OPTIONS with Max-Forwards: 0 ends here") {
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker worker(proxy.path(0), answering(kOk, &count));
  proxy.add(1, 0);
  proxy.apply();
  std::string vias = "Via: 1.1 rota, 1.1 rota, 1.1 rota\r\nVia: 1.1 rota, 1.1 rota, 1.1 rota, 1.1 rota\r\n";
  std::string head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
  CHECK(proxy.ask(head + vias + "\r\n", kNever).starts_with("HTTP/1.1 200"));
  CHECK(proxy.ask(head + vias + "Via: 1.1 rota\r\n\r\n", kNever).starts_with("HTTP/1.1 508 Loop Detected\r\n"));
  CHECK(count == 1);
  UniqueFd client = proxy.connect();
  send_all(client.get(), "OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");
  std::string got = read_until(client.get(), contains("\r\n\r\n"));
  CHECK(got.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(contains("\r\nAllow: GET, ")(got));
  CHECK(contains("\r\nContent-Length: 0\r\n")(got));
  CHECK(contains("\r\nDate: ")(got));
  CHECK(count == 1);
  send_all(client.get(), "OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n");
  CHECK(contains("ok")(read_until(client.get(), contains("ok"))));
  CHECK(count == 2);
}

TEST_CASE("the limit of connections changes while it is reached") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.connections = 2;
  proxy.apply();
  UniqueFd first = proxy.connect();
  UniqueFd second = proxy.connect();
  CHECK(served(first.get()));
  CHECK(served(second.get()));
  UniqueFd third = proxy.connect();
  send_all(third.get(), kGet);
  SECTION("a higher one lets in who waits") { proxy.connections = 3; }
  SECTION("so does a lower one, when enough have left; and it turns out nobody") {
    proxy.connections = 1;
    proxy.apply();
    CHECK(served(first.get()));
    CHECK(served(second.get()));
    first.reset();
    second.reset();
  }
  proxy.apply();
  CHECK(contains("ok")(read_until(third.get(), contains("ok"))));
}

TEST_CASE("an address has its connections counted over all loops, and gets them back when they end") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.state.connections_per_address = 3;
  proxy.apply();
  sys::Listen listener = sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {});
  const std::uint16_t first_port = proxy.port;
  const std::uint16_t second_port = sys::local_address(listener.fd.get()).port();
  DataLoop second(1, proxy.log_writer, proxy.gate, proxy.suspects, proxy);
  second.start();
  TakeListeners order;
  order.name = "listen";
  order.fds.push_back(std::move(listener.fd));
  second.command(std::move(order));
  second.command(ApplyState{std::make_shared<const ipc::ProxyState>(proxy.state), 1000});
  const auto connect = [&](bool to_second) {
    proxy.port = to_second ? second_port : first_port;
    return proxy.connect();
  };
  {
    std::vector<UniqueFd> open;
    for (bool to_second : {false, true, true}) {
      open.push_back(connect(to_second));
      CHECK(served(open.back().get()));
    }
    CHECK(proxy.gate.addresses() == 1);
    for (bool to_second : {false, true}) {
      UniqueFd more = connect(to_second);
      CHECK_FALSE(served(more.get()));
    }
    CHECK(proxy.gate.too_many.total() == 2);
    open[1].reset();
    // The loop sees the end a moment later.
    bool again = false;
    for (int i = 0; i < 1000 && !again; i++) {
      UniqueFd next = connect(false);
      again = served(next.get());
    }
    CHECK(again);
  }
  proxy.port = first_port;
  for (int i = 0; i < 1000 && proxy.gate.addresses() > 0; i++) ::poll(nullptr, 0, 10);
  CHECK(proxy.gate.addresses() == 0);
  second.stop();
}

TEST_CASE("with the PROXY protocol the client is the one that a trusted balancer names") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    std::string head = read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
  });
  proxy.add(1, 0);
  proxy.state.listeners[0].proxy_protocol = true;
  proxy.state.header = 200ms;
  proxy.apply();
  const std::string named = "PROXY TCP4 192.0.2.1 192.0.2.2 4660 443\r\n";
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n";
  CHECK(proxy.ask(named + request, kNever).empty());  // nobody is trusted
  CHECK(proxy.gate.not_trusted.total() == 1);

  ipc::NetworkState loopback;
  loopback.address = http::IpAddress::parse("127.0.0.1")->octets();
  proxy.state.trusted_proxies.push_back(loopback);
  proxy.apply();
  std::string got = proxy.ask(named + request, kNever);
  CHECK(contains("\r\nX-Forwarded-For: 192.0.2.1\r\n")(got));
  CHECK(contains("\r\nX-Forwarded-Port: 443\r\n")(got));
  {
    // Byte by byte, the request's first bytes in the same pieces as the header's last.
    UniqueFd client = proxy.connect();
    for (char octet : named + request) send_all(client.get(), std::string_view(&octet, 1));
    CHECK(contains("X-Forwarded-For: 192.0.2.1\r\n")(read_until(client.get(), kNever)));
  }
  // A balancer that speaks for itself is believed, one that cannot name the client is not.
  got = proxy.ask("\r\n\r\n" + std::string("\0\r\nQUIT\n\x20\0\0\0", 12) + request, kNever);
  CHECK(contains("\r\nX-Forwarded-For: 6.6.6.6, 127.0.0.1\r\n")(got));
  got = proxy.ask("PROXY UNKNOWN\r\n" + request, kNever);
  CHECK(contains("\r\nX-Forwarded-For: 127.0.0.1\r\n")(got));
  // What has no header, or half of one, is closed without a word.
  CHECK(proxy.ask(request, kNever).empty());
  CHECK(proxy.ask("PROXY TCP4 1.2.3.4 nonsense\r\n" + request, kNever).empty());
  CHECK(proxy.gate.bad_proxy_header.total() == 2);
  CHECK(proxy.ask("PROXY TCP4 1.2", kNever).empty());  // the deadline of a head
  CHECK(proxy.gate.bad_proxy_header.total() == 2);
}

TEST_CASE("behind a balancer the limit of connections is for the client it names") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.state.listeners[0].proxy_protocol = true;
  proxy.state.connections_per_address = 1;
  ipc::NetworkState loopback;
  loopback.address = http::IpAddress::parse("127.0.0.1")->octets();
  proxy.state.trusted_proxies.push_back(loopback);
  proxy.apply();
  std::vector<UniqueFd> open;
  const auto connect_as = [&](const char* address) {
    open.push_back(proxy.connect());
    send_all(open.back().get(), std::string("PROXY TCP4 ") + address + " 192.0.2.2 4660 443\r\n");
    return served(open.back().get());
  };
  CHECK(connect_as("192.0.2.1"));
  CHECK(connect_as("192.0.2.3"));
  CHECK_FALSE(connect_as("192.0.2.1"));
  open.clear();
}

TEST_CASE("an IPv6 client is its /64, and no IPv4 client is an IPv6 one") {
  ClientGate gate;
  const auto address = [](const char* text) { return *http::IpAddress::parse(text); };
  std::vector<ClientGate::Slot> slots(4);
  CHECK(gate.enter(address("2001:db8::1"), 2, slots[0]));
  CHECK(gate.enter(address("2001:db8::ffff:0:0:2"), 2, slots[1]));
  CHECK_FALSE(gate.enter(address("2001:db8::3"), 2, slots[2]));
  CHECK(gate.enter(address("2001:db8:0:1::3"), 2, slots[2]));
  CHECK(gate.enter(address("0.0.0.0"), 1, slots[3]));
  ClientGate::Slot zero;
  CHECK(gate.enter(address("::"), 1, zero));
  CHECK(gate.addresses() == 4);
  slots[0] = {};
  CHECK(gate.enter(address("2001:db8::4"), 2, slots[0]));
  slots.clear();
  zero = {};
  CHECK(gate.addresses() == 0);
  CHECK_FALSE(gate.enter(address("192.0.2.1"), 0, zero));
  CHECK(gate.addresses() == 0);
}

TEST_CASE("what happens often is told once a second, with how often it happened") {
  RefusalCount count;
  const TimePoint start{};
  CHECK(count.add(start) == 1);
  CHECK(count.add(start) == 0);
  CHECK(count.add(start + 999ms) == 0);
  CHECK(count.add(start + 1000ms) == 3);
  CHECK(count.add(start + 1001ms) == 0);
  CHECK(count.total() == 5);
}
