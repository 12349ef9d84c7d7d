// A load of GETs and POSTs that can say afterwards exactly what became of each request; wrk cannot tell a refused
// connection from one that was cut, nor a GET that failed from a POST.
//
//   load PORT CONNECTIONS POST_PERCENT BAD_PERCENT IDS
//
// Each connection sends one request after the other, as fast as they are answered, to 127.0.0.1:PORT until TERM. A
// POST's body is an id that is never used twice; those that were answered 200 are appended to the file IDS. A bad
// request is one that breaks HTTP and must be answered 400. When it ends it prints one JSON object:
//   get, post, bad   how many were answered as they should be
//   refused          connections that could not be made
//   failures         of each other request {at (CLOCK_MONOTONIC), method, what, status}, the first kFailuresMax of
//   them;
//                    what: status (another one than it should be), cut (the connection ended first), fresh-cut (on its
//                    first request), slow (no answer for kPatience)
//   failed           how many those were;   slowest_ms   of those that were answered
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC

constexpr std::size_t kFailuresMax = 20000;
constexpr int kPatience = 30;  // seconds

std::atomic<bool> stopping{false};

enum class Kind { get, post, bad };
constexpr const char* kMethods[] = {"GET", "POST", "BAD"};
constexpr const char* kBadRequests[] = {
    "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
};

struct Failure {
  double at;
  Kind kind;
  const char* what;
  int status;
};

struct Tally {
  std::size_t answered[3] = {};
  std::size_t refused = 0;
  double slowest_ms = 0;
  std::vector<Failure> failures;
};

class Client {
 public:
  Client(std::uint16_t port, unsigned number, int posts, int bad, int ids)
      : port_(port),
        prefix_(std::to_string(::getpid()) + "-" + std::to_string(number) + "-"),
        posts_(posts),
        bad_(bad),
        ids_(ids),
        random_(number * 2654435761U + 1) {}

  void run() {
    while (!stopping) {
      if (fd_ < 0 && !connect()) continue;
      exchange();
    }
    disconnect();
  }
  const Tally& tally() const { return tally_; }

 private:
  unsigned random(unsigned below) {
    random_ = random_ * 1664525U + 1013904223U;
    return (random_ >> 8) % below;
  }

  bool connect() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval patience{kPatience, 0};
    int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fresh_ = true;
    held_.clear();
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
    tally_.refused++;
    disconnect();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return false;
  }

  void disconnect() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  void exchange() {
    Kind kind = static_cast<int>(random(100)) < bad_     ? Kind::bad
                : static_cast<int>(random(100)) < posts_ ? Kind::post
                                                         : Kind::get;
    std::string id = prefix_ + std::to_string(sequence_++);
    std::string request;
    if (kind == Kind::get) request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    if (kind == Kind::bad) request = kBadRequests[random(std::size(kBadRequests))];
    if (kind == Kind::post) {
      request = "POST /log HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(id.size()) + "\r\n\r\n" + id;
    }
    Clock::time_point began = Clock::now();
    bool sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
    int status = sent ? response() : 0;
    bool fresh = std::exchange(fresh_, false);
    if (status == 0) {
      const char* what = errno == EAGAIN ? "slow" : fresh ? "fresh-cut" : "cut";
      disconnect();
      return failed(began, kind, what, 0);
    }
    if (status != (kind == Kind::bad ? 400 : 200)) {
      failed(began, kind, "status", status);
    } else {
      tally_.answered[static_cast<int>(kind)]++;
      double ms = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
      tally_.slowest_ms = std::max(tally_.slowest_ms, ms);
      std::string line = id + "\n";
      if (kind == Kind::post && ::write(ids_, line.data(), line.size()) < 0) std::abort();
    }
    if (closes_ || kind == Kind::bad) disconnect();
  }

  void failed(Clock::time_point at, Kind kind, const char* what, int status) {
    tally_.failures.push_back({std::chrono::duration<double>(at.time_since_epoch()).count(), kind, what, status});
  }

  bool receive() {
    char buffer[65536];
    ssize_t got = 0;
    errno = 0;
    do {
      got = ::recv(fd_, buffer, sizeof buffer, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) held_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }

  // The status of a whole response, or 0. errno EAGAIN: it took too long.
  int response() {
    std::size_t end = 0;
    while ((end = held_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return 0;
    }
    end += 4;
    std::string head = held_.substr(0, end);
    std::transform(head.begin(), head.end(), head.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    std::size_t at = head.find("\r\ncontent-length:");
    std::size_t length = at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 17, nullptr, 10);
    while (held_.size() < end + length) {
      if (!receive()) return 0;
    }
    held_.erase(0, end + length);
    closes_ = head.find("\r\nconnection: close\r\n") != std::string::npos;
    return static_cast<int>(std::strtol(head.c_str() + 9, nullptr, 10));
  }

  std::uint16_t port_;
  std::string prefix_;  // of ids: other loads use the same workers
  int posts_, bad_, ids_;
  unsigned random_;
  unsigned long sequence_ = 0;
  int fd_ = -1;
  bool fresh_ = false, closes_ = false;
  std::string held_;
  Tally tally_;
};

void print(const Tally& all) {
  std::printf("{\"get\":%zu,\"post\":%zu,\"bad\":%zu,\"refused\":%zu,\"failed\":%zu,\"slowest_ms\":%.1f,\"failures\":[",
              all.answered[0], all.answered[1], all.answered[2], all.refused, all.failures.size(), all.slowest_ms);
  for (std::size_t i = 0; i < std::min(all.failures.size(), kFailuresMax); i++) {
    const Failure& failure = all.failures[i];
    std::printf("%s{\"at\":%.4f,\"method\":\"%s\",\"what\":\"%s\",\"status\":%d}", i == 0 ? "" : ",", failure.at,
                kMethods[static_cast<int>(failure.kind)], failure.what, failure.status);
  }
  std::printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: load PORT CONNECTIONS POST_PERCENT BAD_PERCENT IDS\n");
    return 2;
  }
  int ids = ::open(argv[5], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (ids < 0) {
    std::perror(argv[5]);
    return 1;
  }
  ::signal(SIGTERM, [](int) { stopping = true; });
  std::vector<Client> clients;
  for (int i = 0; i < std::atoi(argv[2]); i++) {
    clients.emplace_back(static_cast<std::uint16_t>(std::atoi(argv[1])), static_cast<unsigned>(i), std::atoi(argv[3]),
                         std::atoi(argv[4]), ids);
  }
  std::vector<std::thread> threads;
  for (Client& client : clients) threads.emplace_back([&client] { client.run(); });
  for (std::thread& thread : threads) thread.join();
  Tally all;
  for (const Client& client : clients) {
    const Tally& one = client.tally();
    for (int i = 0; i < 3; i++) all.answered[i] += one.answered[i];
    all.refused += one.refused;
    all.slowest_ms = std::max(all.slowest_ms, one.slowest_ms);
    all.failures.insert(all.failures.end(), one.failures.begin(), one.failures.end());
  }
  std::sort(all.failures.begin(), all.failures.end(), [](const Failure& a, const Failure& b) { return a.at < b.at; });
  print(all);
  return 0;
}
