// Who is slow, who waits, and what it may cost: back-pressure and deadlines of a data loop.
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "loop_fixture.h"

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

namespace {

std::string answer_of(std::size_t bytes) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" + std::string(bytes, 'x');
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; i++) all += text;
  return all;
}

// Sends what the kernel takes within a moment, and no more.
std::size_t send_some(int fd, std::string_view bytes) {
  std::size_t sent = 0;
  pollfd room{fd, POLLOUT, 0};
  while (sent < bytes.size() && ::poll(&room, 1, 200) == 1) {
    ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  return sent;
}

void small_buffers(int fd, int size = 4096) { ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); }

}  // namespace

TEST_CASE("a pipelining client that reads nothing gets no further requests served than its buffers hold") {
  Proxy proxy;
  std::atomic<int> served = 0;
  Worker worker(proxy.path(0), answering(answer_of(60'000), &served));
  proxy.add(1, 0);
  proxy.state.write = 500ms;
  proxy.apply();
  UniqueFd client = proxy.connect();
  small_buffers(client.get());
  send_some(client.get(), repeated(kGet, 20'000));
  pollfd gone{client.get(), POLLRDHUP, 0};
  ::poll(&gone, 1, kPatienceMs);
  CHECK((gone.revents & (POLLHUP | POLLERR)) != 0);  // cut by the write deadline
  CHECK(served < 500);
}

TEST_CASE("a pipelined upload of which much came early is read to its end, or to its client's end") {
  constexpr std::size_t kEarly = 30'000;
  constexpr std::size_t kWhole = 60'000;
  Proxy proxy;
  std::atomic<bool> go = false;
  Worker worker(proxy.path(0), [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    while (!go) std::this_thread::yield();
    send_all(fd, kOk);
    read_until(fd, [](std::string_view got) { return got.size() >= kWhole; });
    send_all(fd, kOk);
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  std::string post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(kWhole) + "\r\n\r\n";
  send_all(client.get(), kGet + post + std::string(kEarly, 'x'));
  int left = 1;
  while (left > 0 && ::ioctl(client.get(), SIOCOUTQ, &left) == 0) std::this_thread::yield();  // it is with rota
  go = true;
  CHECK(read_until(client.get(), contains("ok")).starts_with("HTTP/1.1 200"));
  SECTION("the rest comes") {
    send_all(client.get(), std::string(kWhole - kEarly, 'x'));
    CHECK(read_until(client.get(), contains("ok")).starts_with("HTTP/1.1 200"));
  }
  SECTION("the rest never comes") {
    ::shutdown(client.get(), SHUT_WR);
    bool eof = false;
    auto begun = std::chrono::steady_clock::now();
    read_until(client.get(), kNever, &eof);
    CHECK(eof);
    CHECK(std::chrono::steady_clock::now() - begun < 10s);
  }
}

TEST_CASE("pipelined requests that rota answers itself are read no faster than they are answered") {
  Proxy proxy;
  proxy.state.apps.clear();
  proxy.apply();
  UniqueFd client = proxy.connect();
  std::string requests = repeated(kGet, 5000);
  std::thread sender([&] { send_all(client.get(), requests); });
  std::size_t answers = 0;
  std::string got;
  read_until(client.get(), [&](const std::string& all) {
    answers = 0;
    for (std::size_t at = all.find("404 Not Found\n"); at != std::string::npos;
         at = all.find("404 Not Found\n", at + 1))
      answers++;
    return answers >= 5000;
  });
  sender.join();
  CHECK(answers == 5000);
}

TEST_CASE("a client that never reads is cut by the write deadline, also while its own upload is paused") {
  Proxy proxy;
  Worker echo(proxy.path(0), [](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::string chunk = "10000\r\n" + std::string(65536, 'e') + "\r\n";
    for (int i = 0; i < 2000; i++) send_all(fd, chunk);  // never reads the upload
  });
  proxy.add(1, 0);
  proxy.state.write = 300ms;
  proxy.apply();
  UniqueFd client = proxy.connect();
  small_buffers(client.get());
  send_all(client.get(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
  std::string part(1'000'000, 'u');
  pollfd gone{client.get(), POLLRDHUP, 0};
  for (int i = 0; i < kPatienceMs / 100 && (gone.revents & (POLLHUP | POLLERR)) == 0; i++) {
    send_some(client.get(), part);
    ::poll(&gone, 1, 10);
  }
  CHECK((gone.revents & (POLLHUP | POLLERR)) != 0);
}

TEST_CASE("a slow but steady reader is not cut by the write deadline") {
  Proxy proxy;
  constexpr std::size_t kSize = 6'000'000;
  Worker worker(proxy.path(0), answering(answer_of(kSize)));
  proxy.add(1, 0);
  proxy.state.write = 300ms;
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  std::size_t got = 0;
  std::vector<char> buffer(100'000);
  while (got < kSize) {
    ::poll(nullptr, 0, 20);  // the pace is the point here
    ssize_t n = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  CHECK(got >= kSize);
}

TEST_CASE("a body that drips has the deadline of one that does not come, a slow one has not") {
  Proxy proxy;
  std::atomic<std::size_t> body = 0;
  Worker worker(proxy.path(0), [&](int fd) {
    std::string got = read_until(fd, contains("the end"));
    body = got.size() - got.find("\r\n\r\n") - 4;
    if (got.ends_with("the end")) send_all(fd, kOk);
  });
  proxy.add(1, 0);
  proxy.state.body = 600ms;
  proxy.apply();
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
  const auto send_slowly = [&](int fd, std::string_view piece, int pieces) {
    for (int i = 0; i < pieces; i++) {
      pollfd answered{fd, POLLIN, 0};
      if (::poll(&answered, 1, 20) != 0) break;
      send_all(fd, piece);
    }
  };
  UniqueFd dripping = proxy.connect();
  send_all(dripping.get(), head);
  send_slowly(dripping.get(), "x", 500);
  CHECK(read_until(dripping.get(), contains("\n\n")).starts_with("HTTP/1.1 408 "));
  CHECK(body < 256);

  UniqueFd slow = proxy.connect();
  send_all(slow.get(), head);
  const std::string piece(512, 'y');
  send_slowly(slow.get(), piece, 70);  // more than two deadlines
  send_all(slow.get(), std::string(100'000 - 70 * 512 - 7, 'z') + "the end");
  CHECK(read_until(slow.get(), contains("ok")).starts_with("HTTP/1.1 200 "));
  CHECK(body == 100'000);
}

TEST_CASE("an early response is not cut because the rest of the request does not come") {
  Proxy proxy;
  Worker worker(proxy.path(0), [](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
      ::poll(nullptr, 0, 60);  // longer in all than the body deadline
      send_all(fd, "y");
    }
    read_until(fd, kNever);
  });
  proxy.add(1, 0);
  proxy.state.body = 200ms;
  proxy.apply();
  std::string got = proxy.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", kNever);
  CHECK(got.ends_with("\r\n\r\nyyyyyyyyyy"));
}

TEST_CASE("draining waits for a response that is still going out") {
  Proxy proxy;
  constexpr std::size_t kSize = 4'000'000;
  Worker worker(proxy.path(0), answering(answer_of(kSize)));
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  small_buffers(client.get(), 65536);
  send_all(client.get(), kGet);
  std::size_t got = read_until(client.get(), contains("\r\n\r\n")).size();
  proxy.state.phase = ipc::ProxyPhase::draining;
  proxy.apply();
  ::poll(nullptr, 0, 800);  // longer than the grace of an idle connection
  bool eof = false;
  got += read_until(client.get(), kNever, &eof).size();
  CHECK(eof);
  CHECK(got > kSize);
}

TEST_CASE("a TCP server has its response deadline, not the connect's, once it has the request") {
  Proxy proxy;
  sys::Listen listener = sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {});
  REQUIRE(listener.error == 0);
  ::fcntl(listener.fd.get(), F_SETFL, 0);
  std::thread server([&] {
    UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    read_until(fd.get(), contains("\r\n\r\n"));
    ::poll(nullptr, 0, 400);
    send_all(fd.get(), kOk);
    read_until(fd.get(), kNever);
  });
  ipc::UpstreamState upstream;
  upstream.id = 1;
  upstream.kind = ipc::UpstreamKind::tcp4;
  upstream.address = "127.0.0.1";
  upstream.port = sys::local_address(listener.fd.get()).port();
  upstream.phase = ipc::UpstreamPhase::ready;
  proxy.state.apps[0].upstreams.push_back(upstream);
  proxy.state.connect = 100ms;
  proxy.apply();
  CHECK(proxy.ask(kGet, contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  proxy.state.apps[0].upstreams.clear();
  proxy.apply();
  server.join();
}

TEST_CASE("a POST whose worker read a part of it and closed is not sent to another") {
  Proxy proxy;
  std::atomic<int> acted = 0;
  auto byte_by_byte = [&](int fd) {
    std::string head;
    char c = 0;
    while (!head.ends_with("\r\n\r\n") && ::recv(fd, &c, 1, 0) == 1) head += c;
    if (head.ends_with("\r\n\r\n")) acted++;
  };
  Worker one(proxy.path(0), byte_by_byte);
  Worker two(proxy.path(1), byte_by_byte);
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  CHECK(proxy.ask(kPost, contains("request.\n")).starts_with("HTTP/1.1 502"));
  CHECK(acted == 1);
}

TEST_CASE("workers that take connections and read nothing are not tried in a busy loop") {
  Proxy proxy;
  Worker bad(proxy.path(0), [](int fd) {
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);
  });
  proxy.add(1, 0);
  proxy.state.apps[0].queue_timeout = 300ms;
  proxy.apply();
  CHECK(proxy.ask(kGet, contains("time.\n")).starts_with("HTTP/1.1 503"));
  CHECK(bad.connections < 200);
}

TEST_CASE("an upload of one-byte chunks to a worker that does not read costs bounded memory") {
  Proxy proxy;
  std::atomic<bool> done = false;
  Worker worker(proxy.path(0), [&](int fd) {
    read_until(fd, contains("\r\n\r\n"));
    for (int i = 0; i < kPatienceMs && !done; i++) ::poll(nullptr, 0, 1);
  });
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::size_t sent = send_some(client.get(), repeated("1\r\nx\r\n", 4'000'000));
  done = true;
  // What is not in kernel buffers (a few MB each side at most) would have to be in ours.
  CHECK(sent < 20'000'000);
}

TEST_CASE("stray line ends between requests neither start a head nor hold up the next one") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.state.header = 200ms;
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), kGet + "\r\n");
  read_until(client.get(), contains("\r\n\r\nok"));
  ::poll(nullptr, 0, 500);
  send_all(client.get(), kGet);
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
}

TEST_CASE("a client that pipelines and closes its sending side gets every answer") {
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker worker(proxy.path(0), answering(kOk, &count));
  proxy.add(1, 0);
  proxy.apply();
  UniqueFd client = proxy.connect();
  send_all(client.get(), repeated(kGet, 200) + "GET /half");
  ::shutdown(client.get(), SHUT_WR);
  bool eof = false;
  std::string got = read_until(client.get(), kNever, &eof);
  CHECK(eof);
  CHECK(count == 200);
  std::size_t answers = 0;
  for (std::size_t at = got.find("200 OK"); at != std::string::npos; at = got.find("200 OK", at + 1)) answers++;
  CHECK(answers == 200);
}
