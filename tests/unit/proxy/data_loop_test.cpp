// A real data loop between real sockets: a scripted worker on a Unix socket on one side, raw clients on the other.
#include "rota/proxy/data_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>

#include "rota/sys/socket.h"

using namespace rota;
using namespace rota::proxy;

namespace {

constexpr int kPatienceMs = 10'000;

// Reads until `enough` says so, the peer closes, or patience ends.
std::string read_until(int fd, const std::function<bool(const std::string&)>& enough, bool* eof = nullptr) {
  std::string got;
  if (eof != nullptr) *eof = false;
  while (!enough(got)) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMs) <= 0) break;
    char buffer[65536];
    ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      if (eof != nullptr) *eof = n == 0;
      break;
    }
    got.append(buffer, static_cast<std::size_t>(n));
  }
  return got;
}
std::function<bool(const std::string&)> contains(std::string text) {
  return [text = std::move(text)](const std::string& got) { return got.find(text) != std::string::npos; };
}
const auto kNever = [](const std::string&) { return false; };
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// A worker: each connection is handed to `serve` on a thread of its own.
class Worker {
 public:
  using Serve = std::function<void(int fd)>;
  Worker(std::string path, Serve serve) : path_(std::move(path)), serve_(std::move(serve)) {
    sys::Listen made = sys::listen_unix(path_, 0700);
    REQUIRE(made.error == 0);
    listener_ = std::move(made.fd);
    ::fcntl(listener_.get(), F_SETFL, 0);
    thread_ = std::thread([this] { accept(); });
  }
  ~Worker() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    {
      std::lock_guard lock(mutex_);
      for (auto& one : served_) ::shutdown(one->fd.get(), SHUT_RDWR);  // ends what still reads
    }
    for (auto& one : served_) one->thread.join();
    ::unlink(path_.c_str());
  }
  std::atomic<int> connections = 0;

 private:
  void accept() {
    while (true) {
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      connections++;
      served_.push_back(std::make_unique<Served>());
      Served* one = served_.back().get();
      one->fd = std::move(fd);
      one->thread = std::thread([this, one] {
        serve_(one->fd.get());
        std::lock_guard lock(mutex_);
        one->fd.reset();
      });
    }
  }

  struct Served {
    UniqueFd fd;
    std::thread thread;
  };
  std::string path_;
  Serve serve_;
  UniqueFd listener_;
  std::thread thread_;
  std::mutex mutex_;  // over the fds
  std::vector<std::unique_ptr<Served>> served_;
};

// Answers every bodiless request with `answer`, for as long as the connection lives.
Worker::Serve answering(std::string answer, std::atomic<int>* count = nullptr) {
  return [answer = std::move(answer), count](int fd) {
    while (true) {
      std::string request = read_until(fd, contains("\r\n\r\n"));
      if (request.find("\r\n\r\n") == std::string::npos) return;
      if (count != nullptr) (*count)++;
      send_all(fd, answer);
    }
  };
}

class Proxy final : public LoopEvents {
 public:
  Proxy() {
    char made[] = "/tmp/rota-loop-XXXXXX";
    REQUIRE(::mkdtemp(made) != nullptr);
    directory = made;
    state.version = 1;
    state.header = state.body = state.write = 5s;
    state.idle = 5s;
    state.connect = 1s;
    state.upstream_idle = 5s;
    state.head = 32_KiB;
    state.target = 8_KiB;
    state.fields_max = 100;
    state.listeners.push_back({"listen", "test"});
    ipc::AppState app;
    app.name = "web";
    app.queue_size = 10;
    app.queue_timeout = 5s;
    app.retry_attempts = 1;
    app.response_timeout = 5s;
    app.idle_timeout = 5s;
    state.apps.push_back(app);
    sys::Listen listener = sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {});
    REQUIRE(listener.error == 0);
    port = sys::local_address(listener.fd.get()).port();
    loop = std::make_unique<DataLoop>(0, 1000, log_writer, *this);
    loop->start();
    TakeListeners order;
    order.name = "listen";
    order.fds.push_back(std::move(listener.fd));
    loop->command(std::move(order));
  }
  ~Proxy() {
    loop->stop();
    ::rmdir(directory.c_str());
  }

  std::string path(int slot) const { return directory + "/" + std::to_string(slot); }
  void add(std::uint64_t id, std::uint32_t slot, ipc::UpstreamPhase phase = ipc::UpstreamPhase::ready) {
    ipc::UpstreamState upstream;
    upstream.id = id;
    upstream.slot = slot;
    upstream.address = path(static_cast<int>(slot));
    upstream.phase = phase;
    state.apps[0].upstreams.push_back(upstream);
  }
  void apply() {
    state.version++;
    loop->command(ApplyState{std::make_shared<const ipc::ProxyState>(state)});
    std::uint64_t version = state.version;
    REQUIRE(wait([&] { return applied == version; }));
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::milliseconds(kPatienceMs), condition);
  }
  void post(LoopEvent event) override {
    std::lock_guard lock(mutex);
    if (auto* one = std::get_if<LoopApplied>(&event.what)) applied = one->version;
    if (auto* one = std::get_if<LoopDrained>(&event.what)) drained[one->upstream]++;
    if (auto* one = std::get_if<LoopConnectFailed>(&event.what)) failed[one->upstream] = one->error;
    if (std::holds_alternative<LoopQuiet>(event.what)) quiet = true;
    changed.notify_all();
  }
  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sys::SocketAddress to = *sys::tcp_address("127.0.0.1", port);
    REQUIRE(::connect(fd.get(), to.get(), to.size) == 0);
    return fd;
  }
  std::string ask(const std::string& request, const std::function<bool(const std::string&)>& enough) const {
    UniqueFd fd = connect();
    send_all(fd.get(), request);
    return read_until(fd.get(), enough);
  }

  std::string directory;
  ipc::ProxyState state;
  std::uint16_t port = 0;
  LogWriter log_writer;
  std::unique_ptr<DataLoop> loop;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t applied = 0;
  std::map<std::uint64_t, int> drained;
  std::map<std::uint64_t, int> failed;
  bool quiet = false;
};

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";

}  // namespace

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

TEST_CASE("a small request the worker never read goes to another, POST too") {
  Proxy proxy;
  std::atomic<int> count = 0;
  Worker bad(proxy.path(0), [](int fd) {
    // Wait until the request is there, and close without reading it: the proxy's read fails with ECONNRESET.
    pollfd ready{fd, POLLIN, 0};
    ::poll(&ready, 1, kPatienceMs);
  });
  Worker good(proxy.path(1), [&](int fd) {
    while (true) {
      std::string got = read_until(fd, contains("abc"));
      if (got.find("abc") == std::string::npos) return;
      count++;
      send_all(fd, kOk);
    }
  });
  proxy.add(1, 0);
  proxy.add(2, 1);
  proxy.apply();
  for (int i = 0; i < 4; i++) CHECK(proxy.ask(kPost, contains("\r\n\r\nok")).starts_with("HTTP/1.1 200"));
  CHECK(count == 4);
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
    send_all(fd, "HTTP/1.1 200 OK\r\n\r\n");
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
  std::size_t at = got.find(body);
  CHECK(at != std::string::npos);
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
