// A worker for tests under load that must be able to tell afterwards what was executed: it appends the id of each POST
// (its body) to a file before it answers. O_APPEND and one write for each line, so that several workers share the file
// and a line of it is whole.
//
//   PORT   the Unix socket to listen on;  IDS   the file;  ANSWER_AFTER_US   how long it takes over each answer
//   GET anything: "slot pid"      POST anything: 200 when its body is in the file
#include <fcntl.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  for (std::size_t at = 0; (at = head.find("\r\n", at)) != std::string_view::npos; at += 2) {
    if (head.size() - at < kName.size() || ::strncasecmp(head.data() + at, kName.data(), kName.size()) != 0) continue;
    return std::strtoul(std::string(head.substr(at + kName.size(), 20)).c_str(), nullptr, 10);
  }
  return 0;
}

class Connection {
 public:
  Connection(int fd, int ids, std::string page) : fd_(fd), ids_(ids), page_(std::move(page)) {}
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void serve() {
    for (std::size_t end = 0; (end = head_end()) != 0;) {
      std::size_t length = content_length(std::string_view(held_).substr(0, end));
      while (held_.size() < end + length) {
        if (!receive()) return;
      }
      bool post = held_.starts_with("POST ");
      if (post) {
        std::string line = held_.substr(end, length) + "\n";
        if (::write(ids_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
      }
      held_.erase(0, end + length);
      if (delay_us_ > 0)
        ::usleep(delay_us_);  // executed and not answered: a death now is the one that tempts to repeat
      if (!send_all(fd_, page_)) return;
    }
  }

 private:
  bool receive() {
    char buffer[16384];
    ssize_t got = 0;
    do {
      got = ::recv(fd_, buffer, sizeof buffer, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) held_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }

  // 0: the connection has ended.
  std::size_t head_end() {
    std::size_t at = 0;
    while ((at = held_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return 0;
    }
    return at + 4;
  }

  int fd_, ids_;
  unsigned delay_us_ = static_cast<unsigned>(std::atoi(environment("ANSWER_AFTER_US")));
  std::string page_, held_;
};

}  // namespace

int main() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", environment("PORT"));
  int ids = ::open(environment("IDS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (ids < 0 || listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 1024) != 0) {
    std::perror("post_log_worker");
    return 1;
  }
  std::string body = std::string(environment("WORKER_ID")) + " " + std::to_string(::getpid()) + "\n";
  std::string page = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (;;) {
    int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    std::thread([fd, ids, page] { Connection(fd, ids, page).serve(); }).detach();
  }
}
