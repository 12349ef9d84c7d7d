// What a slow client costs: bytes of heap that the proxy holds for it beyond those it has sent, counted, in the three
// forms of slowloris. tests/long/slowloris measures the same with ten thousand of them and the built program.
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <vector>

#include "loop_fixture.h"
#include "rota/proxy/exchange.h"
#include "rota/proxy/session.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROTA_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ROTA_SANITIZED 1
#endif
#endif
#ifdef ROTA_SANITIZED
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT: its name
#endif

using namespace rota;
using namespace rota::proxy;
using namespace rota::proxy::test;

namespace {

constexpr std::size_t kPromised = 512;
constexpr std::size_t kClients = 100;

// With what the allocator rounds up, where it tells.
std::size_t heap() {
#ifdef ROTA_SANITIZED
  return __sanitizer_get_current_allocated_bytes();
#else
  return ::mallinfo2().uordblks;
#endif
}

// As on a network: the kernel would buy more of a response with the segments of loopback.
void read_slowly(int fd) {
  const int buffer = 4096;
  const int segment = 1448;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
}

class SlowClients {
 public:
  SlowClients() {
    proxy_.add(1, 0);
    proxy_.state.header = proxy_.state.body = proxy_.state.write = 600s;
    proxy_.state.apps[0].response_timeout = proxy_.state.apps[0].idle_timeout = 600s;
    sys::Listen made = sys::listen_unix(proxy_.path(0), 0700);
    REQUIRE(made.error == 0);
    worker_ = std::move(made.fd);
    proxy_.apply();
    fds_.reserve(4 * kClients);
  }
  ~SlowClients() {
    fds_.clear();
    ::unlink(proxy_.path(0).c_str());
  }

  int connect(std::string_view first) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    read_slowly(fd.get());
    const sys::SocketAddress to = *sys::tcp_address("127.0.0.1", proxy_.port);
    REQUIRE(::connect(fd.get(), to.get(), to.size) == 0);
    const int now = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
    send_all(fd.get(), first);
    settle();
    fds_.push_back(std::move(fd));
    return fds_.back().get();
  }
  void drip(int client) {
    send_all(client, "a");
    settle();
  }

  // The worker's end of the newest connection; its listener would hold them without that.
  int accept() {
    UniqueFd fd(::accept4(worker_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(fd);
    fds_.push_back(std::move(fd));
    return fds_.back().get();
  }

  // The loop has read whatever came before this.
  void settle() {
    for (int i = 0; i < 2; i++) {
      UniqueFd fd = proxy_.connect();
      char answer[512];
      send_all(fd.get(), "GET / HTTP/9.9\r\n\r\n");
      pollfd ready{fd.get(), POLLIN, 0};
      REQUIRE(::poll(&ready, 1, kPatienceMs) == 1);
      REQUIRE(::recv(fd.get(), answer, sizeof answer, 0) > 0);
    }
  }

 private:
  Proxy proxy_;
  UniqueFd worker_;
  std::vector<UniqueFd> fds_;
};

// Of one client, in the middle of many. `one` makes a slow client that sends `sent` bytes. On a busy machine the kernel
// takes less of some responses than it had room for, and the proxy holds that.
template <class One>
std::int64_t cost_of(std::size_t sent, One one) {
  for (int i = 0; i < 5; i++) one();  // what grows once
  std::vector<std::int64_t> costs(kClients);
  for (std::int64_t& cost : costs) {
    const std::size_t before = heap();
    one();
    cost = static_cast<std::int64_t>(heap() - before) - static_cast<std::int64_t>(sent);
  }
  std::ranges::nth_element(costs, costs.begin() + kClients / 2);
  return costs[kClients / 2];
}

}  // namespace

TEST_CASE("a client that sends its head octet by octet costs no more than promised") {
  SlowClients clients;
  const std::string head = "GET /slow HTTP/1.1\r\nHost: slow.example\r\nX-Drip: ";
  const std::int64_t cost = cost_of(head.size() + 1, [&] { clients.drip(clients.connect(head)); });
  CAPTURE(cost, sizeof(Session), sizeof(uv::Stream));
  CHECK(cost > 0);
  CHECK(cost <= static_cast<std::int64_t>(kPromised));
}

TEST_CASE("a client that sends its body octet by octet costs no more than promised") {
  SlowClients clients;
  const std::string head = "POST /upload HTTP/1.1\r\nHost: slow.example\r\nContent-Length: 1000000\r\n\r\n";
  const std::int64_t cost = cost_of(head.size() + 1, [&] {
    const int client = clients.connect(head);
    clients.accept();
    clients.drip(client);
  });
  CAPTURE(cost, sizeof(Session), sizeof(Exchange), sizeof(UpstreamConnection));
  CHECK(cost > 0);
  CHECK(cost <= static_cast<std::int64_t>(kPromised));
}

TEST_CASE("a client that does not read its response costs no more than promised") {
  SlowClients clients;
  const std::string head = "GET /large HTTP/1.1\r\nHost: slow.example\r\n\r\n";
  const std::string large = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(160 * 1024, 'x');
  const std::int64_t cost = cost_of(head.size() + 1, [&] {
    const int client = clients.connect(head);
    const int worker = clients.accept();
    // Until it is taken no more: by the worker's own buffer, which the proxy does not empty.
    std::string_view rest = large;
    pollfd room{worker, POLLOUT, 0};
    while (!rest.empty() && ::poll(&room, 1, kPatienceMs) == 1) {
      const ssize_t n = ::send(worker, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      REQUIRE(n > 0);
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    clients.settle();
    clients.drip(client);  // which is for the kernel to keep
  });
  CAPTURE(cost, sizeof(Session), sizeof(Exchange), sizeof(UpstreamConnection));
  CHECK(cost > 0);
  CHECK(cost <= static_cast<std::int64_t>(kPromised));
}

TEST_CASE("names of listeners are forgotten with them and their sessions, not before") {
  Proxy proxy;
  Worker worker(proxy.path(0), answering(kOk));
  proxy.add(1, 0);
  proxy.apply();
  const UniqueFd client = proxy.connect();
  send_all(client.get(), kGet);
  REQUIRE(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  const auto rename = [&](int from, int to) {
    for (int i = from; i < to; i++) {
      TakeListeners order;
      order.name = std::string(4000, 'n') + std::to_string(i);
      proxy.loop->command(std::move(order));
    }
    TakeListeners none;
    none.name = "listen";
    proxy.loop->command(std::move(none));
    proxy.apply();
    proxy.apply();  // in a turn after those orders, which are gone then
  };
  rename(0, 20);  // what is made once
  const std::size_t before = heap();
  rename(20, 220);
  CHECK(heap() < before + 100'000);
  send_all(client.get(), kGet);
  CHECK(read_until(client.get(), contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
}
