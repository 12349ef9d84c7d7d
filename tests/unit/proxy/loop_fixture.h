// A real data loop between real sockets: scripted workers on Unix sockets on one side, raw clients on the other.
#pragma once

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

#include "rota/proxy/data_loop.h"
#include "rota/sys/socket.h"

namespace rota::proxy::test {

constexpr int kPatienceMs = 10'000;

// Reads until `enough` says so, the peer closes, or patience ends.
inline std::string read_until(int fd, const std::function<bool(const std::string&)>& enough, bool* eof = nullptr) {
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
inline std::function<bool(const std::string&)> contains(std::string text) {
  return [text = std::move(text)](const std::string& got) { return got.find(text) != std::string::npos; };
}
inline const auto kNever = [](const std::string&) { return false; };
inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

inline void send_all(int fd, std::string_view bytes) {
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
    stop_listening();
    {
      std::lock_guard lock(mutex_);
      for (auto& one : served_) ::shutdown(one->fd.get(), SHUT_RDWR);  // ends what still reads
    }
    for (auto& one : served_) one->thread.join();
    ::unlink(path_.c_str());
  }
  void stop_listening() {
    if (!listener_) return;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    listener_.reset();
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
inline Worker::Serve answering(std::string answer, std::atomic<int>* count = nullptr) {
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
    loop = std::make_unique<DataLoop>(0, log_writer, gate, suspects, *this);
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
    loop->command(ApplyState{std::make_shared<const ipc::ProxyState>(state), connections});
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
    if (auto* one = std::get_if<LoopInFlight>(&event.what)) in_flight[one->upstream] = std::move(one->list);
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
  std::size_t connections = 1000;
  std::uint16_t port = 0;
  LogWriter log_writer;
  ClientGate gate;
  Suspects suspects;
  std::unique_ptr<DataLoop> loop;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t applied = 0;
  std::map<std::uint64_t, int> drained;
  std::map<std::uint64_t, int> failed;
  std::map<std::uint64_t, ipc::InFlight> in_flight;
  bool quiet = false;
};

inline const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
inline const std::string kPost = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";

}  // namespace rota::proxy::test
