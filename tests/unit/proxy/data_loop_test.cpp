// Requests through a data loop: the round, pipelining, holding, retries, framing, draining.
#include "loop_fixture.h"

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

TEST_CASE("requests of one connection go round the workers, and worker connections are used again") {
  Proxy proxy;
  std::atomic<int> counts[3] = {0, 0, 0};
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < 3; i++) {
    workers.push_back(std::make_unique<Worker>(proxy.path(i), answering(kOk, &counts[i])));
    proxy.add(static_cast<std::uint64_t>(i) + 1, static_cast<std::uint32_t>(i));
  }
  proxy.apply();
  {
    UniqueFd client = proxy.connect();
    for (int i = 0; i < 30; i++) {
      send_all(client.get(), kGet);
      REQUIRE(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200 OK\r\n"));
    }
  }
  for (int i = 0; i < 3; i++) {
    CHECK(counts[i] == 10);
    CHECK(workers[static_cast<std::size_t>(i)]->connections == 1);
  }
}

TEST_CASE("pipelined requests are answered in order") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    while (true) {
      std::string request = read_until(fd, contains("\r\n\r\n"));
      if (request.empty()) return;
      std::string target = request.substr(4, request.find(' ', 4) - 4);
      send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(target.size()) + "\r\n\r\n" + target);
    }
  });
  proxy.add(1, 0);
  proxy.apply();
  std::string requests;
  std::string expected;
  for (int i = 0; i < 20; i++) {
    requests += "GET /n" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  }
  std::string got = proxy.ask(requests, contains("/n19"));
  std::size_t at = 0;
  for (int i = 0; i < 20; i++) {
    at = got.find("\r\n\r\n/n" + std::to_string(i), at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("a request that waits for a worker is answered when one becomes ready") {
  Proxy proxy;
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kPost);
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.apply();
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
}

TEST_CASE("with no worker a request gets 503 at its deadline, and at once when the queue is full") {
  Proxy proxy;
  proxy.state.apps[0].queue_timeout = 50ms;
  proxy.state.apps[0].queue_size = 1;
  proxy.apply();
  UniqueFd first = proxy.connect();
  send_all(first.get(), kGet);
  std::string got = proxy.ask("GET / HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n", contains("}\n"));
  std::string held = read_until(first.get(), contains("time.\n"));
  CHECK(held.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(held.find("Retry-After: 1\r\n") != std::string::npos);
  CHECK(got.starts_with("HTTP/1.1 503"));
  CHECK(got.find("\"outcome\":\"queue_") != std::string::npos);
}

TEST_CASE("a dead worker's socket is left out, told once, and any method goes elsewhere") {
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker worker(proxy.path(1), answering(kOk, &count));
  proxy.add(1, 0);  // nobody listens there
  proxy.add(2, 1);
  proxy.apply();
  for (int i = 0; i < 6; i++) {
    CHECK(proxy.ask("DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n", contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  }
  CHECK(count == 6);
  CHECK(proxy.wait([&] { return proxy.failed.contains(1); }));
  CHECK(proxy.failed[1] == ENOENT);
}

TEST_CASE("a server whose connects are not answered is left out too, and told") {
  // Its backlog is full, so that the kernel drops every further SYN.
  sys::Listen full = sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {});
  REQUIRE(full.error == 0);
  REQUIRE(::listen(full.fd.get(), 0) == 0);
  std::vector<sys::Connect> waiting;
  for (int i = 0; i < 4; i++) waiting.push_back(sys::connect_to(sys::local_address(full.fd.get())));
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker worker(proxy.path(1), answering(kOk, &count));
  proxy.add(1, 0);
  ipc::UpstreamState& server = proxy.state.apps[0].upstreams[0];
  server.kind = ipc::UpstreamKind::tcp4;
  server.address = "127.0.0.1";
  server.port = sys::local_address(full.fd.get()).port();
  proxy.add(2, 1);
  proxy.state.connect = 200ms;
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet + kGet + kGet);
  std::string got = read_until(client.get(), contains("\r\n\r\nokHTTP/1.1 200 OK"));
  CHECK(got.starts_with("HTTP/1.1 504"));
  CHECK(proxy.wait([&] { return proxy.failed.contains(1); }));
  CHECK(proxy.failed[1] == ETIMEDOUT);
}

TEST_CASE("a request the worker has read: GET is tried once more, POST is a 502 and executed once") {
  Proxy proxy;
  std::atomic<int> seen = 0;
  auto read_and_close = [&](int fd) {
    std::string got = read_until(fd, contains("\r\n\r\n"));
    if (got.find("Content-Length: 3") != std::string::npos && got.find("abc") == std::string::npos) {
      got += read_until(fd, contains("abc"));
    }
    if (!got.empty()) seen++;
  };
  Worker bad(proxy.path(0), read_and_close);
  Worker other(proxy.path(1), read_and_close);
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  CHECK(proxy.ask(kPost, contains("request.\n")).starts_with("HTTP/1.1 502"));
  CHECK(seen == 1);
  seen = 0;
  CHECK(proxy.ask(kGet, contains("request.\n")).starts_with("HTTP/1.1 502"));
  CHECK(seen == 2);
}

TEST_CASE("a request without a body that the worker never read goes to another, whatever its method") {
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker bad(proxy.path(0), [](int fd) {
    // Wait until the request is there, and close without reading it: the proxy's read fails with ECONNRESET.
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);
  });
  Worker good(proxy.path(1), answering(kOk, &count));
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  for (int i = 0; i < 4; i++) {
    CHECK(proxy.ask("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  }
  CHECK(count == 4);
}

TEST_CASE("a small POST left unread by a worker that died goes to another") {
  Proxy proxy;
  auto doomed = std::make_unique<Worker>(proxy.path(0), [](int fd) {  // dies with the request unread
    pollfd gone{fd, POLLRDHUP, 0};
    ::poll(&gone, 1, 200);
  });
  Worker good(proxy.path(1), [](int fd) {
    if (read_until(fd, contains("abc")).ends_with("abc")) send_all(fd, kOk);
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kPost);
  for (int i = 0; i < kPatienceMs && doomed->connections == 0; i++) ::poll(nullptr, 0, 1);
  doomed->stop_listening();
  proxy.add(2, 1);
  proxy.apply();
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
}

TEST_CASE("a small POST left unread goes to another although the dying worker's listener closes last") {
  Proxy proxy;
  std::atomic<bool> closed = false;
  auto doomed = std::make_unique<Worker>(proxy.path(0), [&](int fd) {
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);
    closed = true;
  });
  Worker good(proxy.path(1), [](int fd) {
    if (read_until(fd, contains("abc")).ends_with("abc")) send_all(fd, kOk);
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kPost);
  for (int i = 0; i < kPatienceMs && !closed; i++) ::poll(nullptr, 0, 1);
  ::poll(nullptr, 0, 10);  // the proxy sees the reset first
  doomed->stop_listening();
  proxy.add(2, 1);
  proxy.apply();
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
}

TEST_CASE("a small POST left unread by a worker that lives on is a 502") {
  Proxy proxy;
  std::atomic<int> seen = 0;
  auto close_unread = [&](int fd) {
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);
    char byte = 0;
    if (::recv(fd, &byte, 1, MSG_PEEK) == 1) seen++;  // not one that only looked whether anybody listens
  };
  Worker one(proxy.path(0), close_unread);
  Worker other(proxy.path(1), close_unread);
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  CHECK(proxy.ask(kPost, contains("request.\n")).starts_with("HTTP/1.1 502"));
  CHECK(seen == 1);
}

TEST_CASE("a response that breaks off looks broken: no last chunk, no full length") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    std::string request = read_until(fd, contains("\r\n\r\n"));
    if (request.find("GET /chunked") == 0) {
      send_all(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else {
      send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    }
  });
  proxy.add(1, 0);
  proxy.apply();
  std::string chunked = proxy.ask("GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n", kNever);
  CHECK(chunked.ends_with("5\r\nhello\r\n"));
  std::string length = proxy.ask("GET /length HTTP/1.1\r\nHost: h\r\n\r\n", kNever);
  CHECK(length.ends_with("\r\n\r\nhello"));
}

TEST_CASE("a body that only the end delimits is chunked for 1.1 and plain for 1.0") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.0 200 OK\r\n\r\nhello");
  });
  proxy.add(1, 0);
  proxy.apply();
  std::string modern = proxy.ask(kGet, contains("0\r\n\r\n"));
  CHECK(modern.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(modern.ends_with("5\r\nhello\r\n0\r\n\r\n"));
  std::string old = proxy.ask("GET / HTTP/1.0\r\n\r\n", kNever);
  CHECK(old.find("Transfer-Encoding") == std::string::npos);
  CHECK(old.ends_with("\r\n\r\nhello"));
}

TEST_CASE("a large chunked upload and download pass byte for byte through a slow worker") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    // An echo: sends each byte back as a close-delimited body, never holding more than it reads.
    send_all(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    bool eof = false;
    std::string all;
    while (all.find("#end#") == std::string::npos && !eof) {
      pollfd ready{fd, POLLIN, 0};
      if (::poll(&ready, 1, kPatienceMs) <= 0) return;
      char buffer[3000];
      ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return;
      std::string_view part(buffer, static_cast<std::size_t>(n));
      all = all.substr(all.size() > 5 ? all.size() - 5 : 0);
      all += part;
      send_all(fd, part);
    }
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  std::string body;
  for (int i = 0; body.size() < 3'000'000; i++) body += std::to_string(i) + ",";
  std::thread sender([&] {
    send_all(client.get(), "POST / HTTP/1.0\r\nContent-Length: " + std::to_string(body.size() + 5) + "\r\n\r\n");
    send_all(client.get(), body);
    send_all(client.get(), "#end#");
  });
  std::string got = read_until(client.get(), kNever);
  sender.join();
  INFO("got " << got.size() << " bytes: " << got.substr(0, 200));
  CHECK((got.find(body) != std::string::npos));
}

TEST_CASE("a draining worker finishes what it has, then is reported, and takes no more") {
  Proxy proxy;
  std::mutex gate;
  gate.lock();
  std::atomic<int> asked = 0;
  Worker worker(proxy.path(0), [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    asked++;
    gate.lock();
    gate.unlock();
    send_all(fd, kOk);
    read_until(fd, kNever);
  });
  Worker other(proxy.path(1), answering(kOk));
  proxy.add(7, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  for (int i = 0; i < kPatienceMs && asked == 0; i++) ::poll(nullptr, 0, 1);
  REQUIRE(asked == 1);
  proxy.state.apps[0].upstreams[0].phase = ipc::UpstreamPhase::draining;
  proxy.add(8, 1);
  proxy.apply();
  CHECK(proxy.drained[7] == 0);
  CHECK(proxy.ask(kGet, contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  CHECK(asked == 1);
  gate.unlock();
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  CHECK(proxy.wait([&] { return proxy.drained[7] > 0; }));
}

TEST_CASE("a draining proxy answers with Connection: close and is quiet at the end") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).find("Connection: close") == std::string::npos);
  proxy.state.phase = ipc::ProxyPhase::draining;
  proxy.apply();
  send_all(client.get(), kGet);
  bool eof = false;
  std::string last = read_until(client.get(), kNever, &eof);
  CHECK(last.find("Connection: close\r\n") != std::string::npos);
  CHECK(last.ends_with("ok"));
  CHECK(eof);
  client.reset();
  CHECK_FALSE(proxy.quiet);  // somebody may still connect
  TakeListeners none;
  none.name = "listen";
  proxy.loop->command(std::move(none));
  CHECK(proxy.wait([&] { return proxy.quiet; }));
}

TEST_CASE("what is not HTTP gets 400 and the end; a request without a route 404") {
  Proxy proxy;
  proxy.apply();
  std::string bad = proxy.ask("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", kNever);
  CHECK(bad.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(bad.find("Connection: close\r\n") != std::string::npos);
  std::string refused = proxy.ask("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", kNever);
  CHECK(refused.starts_with("HTTP/1.1 405 "));
  CHECK(refused.find("Allow: GET, ") != std::string::npos);
  proxy.state.apps.clear();
  proxy.apply();
  std::string none = proxy.ask(kGet, contains("address.\n"));
  CHECK(none.starts_with("HTTP/1.1 404 Not Found\r\n"));
}

TEST_CASE("a body over the limit is refused before a worker sees it, and the client can read why") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.state.body_max = 1000_B;
  proxy.apply();
  UniqueFd client = proxy.connect();
  std::thread sender([&] {
    send_all(client.get(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n");
    send_all(client.get(), std::string(5'000'000, 'x'));
  });
  std::string got = read_until(client.get(), contains("accepts.\n"));
  sender.join();
  CHECK(got.starts_with("HTTP/1.1 413"));
  CHECK(worker.connections == 0);
  std::string chunked = proxy.ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                                      std::string(2000, 'x') + "\r\n0\r\n\r\n",
                                  contains("accepts.\n"));
  CHECK(chunked.starts_with("HTTP/1.1 413"));
}

TEST_CASE("slow clients: 408 for an unfinished head, silence for an idle connection; a silent worker is a 504") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) { read_until(fd, kNever); });
  proxy.add(1, 0);
  proxy.state.header = 150ms;
  proxy.state.apps[0].response_timeout = 150ms;
  proxy.apply();
  CHECK(proxy.ask("GET / HT", kNever).starts_with("HTTP/1.1 408"));
  CHECK(proxy.ask("", kNever).empty());
  CHECK(proxy.ask(kGet, contains("time.\n")).starts_with("HTTP/1.1 504"));
  CHECK(proxy.ask(kPost, contains("time.\n")).starts_with("HTTP/1.1 504"));
}

TEST_CASE("a body that does not come is the client's fault, however long the worker's own deadline") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) { read_until(fd, kNever); });
  proxy.add(1, 0);
  proxy.state.body = 300ms;
  proxy.state.apps[0].response_timeout = 100ms;
  proxy.apply();
  for (std::string framing : {"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    CHECK(proxy.ask("POST / HTTP/1.1\r\nHost: h\r\n" + framing, contains("time.\n")).starts_with("HTTP/1.1 408"));
  }
}

TEST_CASE("at the end a request that no worker will take any more is told so at once") {
  Proxy proxy;
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  // Held for want of a worker: nothing comes back yet.
  pollfd answer{client.get(), POLLIN, 0};
  CHECK(::poll(&answer, 1, 100) == 0);
  proxy.state.phase = ipc::ProxyPhase::draining;
  proxy.apply();
  std::string got = read_until(client.get(), kNever);
  CHECK(got.starts_with("HTTP/1.1 503"));
  CHECK(got.find("shutting down") != std::string::npos);
}

TEST_CASE("a loop that ends at once answers requests that have no response yet") {
  auto proxy = std::make_unique<Proxy>();
  std::atomic<int> asked = 0;
  Worker worker(proxy->path(0), [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    asked++;
    read_until(fd, kNever);
  });
  proxy->add(1, 0);
  proxy->apply();
  UniqueFd client = proxy->connect();
  send_all(client.get(), kGet);
  for (int i = 0; i < kPatienceMs && asked == 0; i++) ::poll(nullptr, 0, 1);
  proxy.reset();
  CHECK(read_until(client.get(), kNever).starts_with("HTTP/1.1 503"));
}

TEST_CASE("what came before a broken chunk goes to no other request") {
  Proxy proxy;
  std::string seen;
  Worker worker(proxy.path(0), [&](int fd) {
    seen = read_until(fd, contains("#end#"));
    send_all(fd, kOk);
  });
  proxy.apply();  // no worker yet: the broken request waits
  std::string broken = "POST /broken HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
  CHECK(proxy.ask(broken, kNever).starts_with("HTTP/1.1 400"));
  proxy.add(1, 0);
  proxy.apply();
  std::string next = "POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n#end#";
  CHECK(proxy.ask(next, contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  CHECK(seen.find("hello") == std::string::npos);
  CHECK(seen.starts_with("POST /next "));
}

TEST_CASE("pipelined requests that rota answers itself are all answered, also when the client has sent its FIN") {
  Proxy proxy;
  UniqueFd client;
  Worker worker(proxy.path(0), [&](int fd) {
    if (read_until(fd, contains("\r\n\r\n")).empty()) return;
    ::shutdown(client.get(), SHUT_WR);
    send_all(fd, kOk);
    read_until(fd, kNever);
  });
  proxy.add(1, 0);
  proxy.apply();
  client = proxy.connect();
  std::string requests = kGet;
  for (int i = 0; i < 20; i++) requests += "OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n";
  send_all(client.get(), requests);
  bool eof = false;
  const std::string got = read_until(client.get(), kNever, &eof);
  CHECK(eof);
  int answers = 0;
  for (std::size_t at = got.find("HTTP/1.1 200"); at != std::string::npos; at = got.find("HTTP/1.1 200", at + 1))
    answers++;
  CHECK(answers == 21);
}
