// The smallest worker worth balancing: an HTTP/1.1 server with one thread per connection and nothing rota-specific in
// it. It listens where $PORT says (a number: that TCP port on 127.0.0.1; anything else: a Unix socket of that path) and
// names itself by $WORKER_ID. It has no shutdown code on purpose: rota sends TERM only when nothing is in flight any
// more.
//
//   GET /            who answered: slot and pid
//   GET /healthz     200 "ok"
//   GET /slow?ms=N   the same as /, N milliseconds later
//   GET /bytes?n=N   N bytes
//   any /echo        the request body, sent back while it arrives
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace {

constexpr std::size_t kHeadMax = 32 * 1024;
constexpr std::size_t kPieceMax = 64 * 1024;

std::uint64_t number_or(std::string_view text, std::uint64_t fallback, int base = 10) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end != text.data() ? value : fallback;
}

std::string environment(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

struct Request {
  std::string method, path, query, head;  // head: start line and fields, lower case
  bool chunked = false, keep_alive = true;
  std::uint64_t length = 0;

  std::uint64_t parameter(std::string_view name, std::uint64_t fallback) const {
    std::size_t at = ("&" + query).find("&" + std::string(name) + "=");
    return at == std::string::npos ? fallback
                                   : number_or(std::string_view(query).substr(at + name.size() + 1), fallback);
  }
};

// The value of a field in a lower-case head, or nothing.
std::string_view field(std::string_view head, std::string_view name) {
  std::size_t at = head.find("\r\n" + std::string(name) + ":");
  if (at == std::string_view::npos) return {};
  std::string_view value = head.substr(at + name.size() + 3);
  value = value.substr(0, value.find("\r\n"));
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

Request parse(std::string head) {
  Request request;
  std::string_view line = std::string_view(head).substr(0, head.find("\r\n"));
  request.method = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), request.method.size() + 1));
  std::string_view target = line.substr(0, line.find(' '));
  std::size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  request.keep_alive = line.ends_with("HTTP/1.1");
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  request.head = std::move(head);
  request.chunked = field(request.head, "transfer-encoding").find("chunked") != std::string_view::npos;
  request.length = number_or(field(request.head, "content-length"), 0);
  if (field(request.head, "connection").find("close") != std::string_view::npos) request.keep_alive = false;
  return request;
}

// One client connection. Every call answers "did it work"; after a false the connection is of no more use.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::optional<Request> next_request() {
    std::size_t end;
    while ((end = held_.find("\r\n\r\n")) == std::string::npos) {
      if (held_.size() > kHeadMax || !receive()) return std::nullopt;
    }
    Request request = parse(held_.substr(0, end + 2));
    held_.erase(0, end + 4);
    body_left_ = request.length;
    chunked_ = request.chunked;
    return request;
  }

  // The next piece of the request body; empty at its end; nothing when the client is gone.
  std::optional<std::string> next_piece() {
    if (chunked_ && body_left_ == 0) {
      std::optional<std::string> size = next_line();
      if (!size) return std::nullopt;
      body_left_ = number_or(*size, 0, 16);
      if (body_left_ == 0) {
        chunked_ = false;
        for (std::optional<std::string> trailer = next_line(); trailer != std::string(); trailer = next_line()) {
          if (!trailer) return std::nullopt;
        }
      }
    }
    if (body_left_ == 0) return std::string();
    if (held_.empty() && !receive()) return std::nullopt;
    std::string piece = held_.substr(0, std::min<std::uint64_t>(body_left_, held_.size()));
    held_.erase(0, piece.size());
    body_left_ -= piece.size();
    if (chunked_ && body_left_ == 0 && !next_line()) return std::nullopt;  // the line end behind a chunk
    return piece;
  }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = write(fd_, bytes.data(), bytes.size());
      if (n < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

 private:
  bool receive() {
    char buffer[kPieceMax];
    ssize_t n = read(fd_, buffer, sizeof buffer);
    if (n <= 0) return false;
    held_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  std::optional<std::string> next_line() {
    std::size_t end;
    while ((end = held_.find("\r\n")) == std::string::npos) {
      if (held_.size() > kHeadMax || !receive()) return std::nullopt;
    }
    std::string line = held_.substr(0, end);
    held_.erase(0, end + 2);
    return line;
  }

  int fd_;
  std::string held_;             // received and not yet used
  std::uint64_t body_left_ = 0;  // of the body, or of the chunk
  bool chunked_ = false;
};

std::string head_of(const Request& request, std::string_view status, std::string_view framing) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: text/plain; charset=utf-8\r\n" + std::string(framing) +
         (request.keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

bool answer(Connection& client, const Request& request, std::string_view status, std::string_view text) {
  std::string response = head_of(request, status, "Content-Length: " + std::to_string(text.size()) + "\r\n");
  if (request.method != "HEAD") response += text;
  return client.send(response);
}

bool answer_bytes(Connection& client, const Request& request) {
  std::uint64_t left = request.parameter("n", 0);
  if (!client.send(head_of(request, "200 OK", "Content-Length: " + std::to_string(left) + "\r\n"))) return false;
  if (request.method == "HEAD") return true;
  static const std::string piece = [] {
    std::string text(kPieceMax, '\0');
    for (std::size_t i = 0; i < text.size(); i++) text[i] = static_cast<char>('a' + i % 26);
    return text;
  }();
  for (; left > 0; left -= std::min<std::uint64_t>(left, kPieceMax)) {
    if (!client.send(std::string_view(piece).substr(0, std::min<std::uint64_t>(left, kPieceMax)))) return false;
  }
  return true;
}

bool echo(Connection& client, const Request& request) {
  std::string framing =
      request.chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: " + std::to_string(request.length) + "\r\n";
  if (!client.send(head_of(request, "200 OK", framing))) return false;
  for (;;) {
    std::optional<std::string> piece = client.next_piece();
    if (!piece) return false;
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece->size());
    if (request.chunked && !client.send(size + *piece + "\r\n")) return false;
    if (!request.chunked && !client.send(*piece)) return false;
    if (piece->empty()) return true;
  }
}

bool respond(Connection& client, const Request& request) {
  static const std::string self =
      "hello from slot " + environment("WORKER_ID", "?") + " (pid " + std::to_string(getpid()) + ")\n";
  if (request.path == "/echo") return echo(client, request);
  for (std::optional<std::string> piece = client.next_piece(); piece != std::string(); piece = client.next_piece()) {
    if (!piece) return false;  // an unread body would be taken for the next request
  }
  if (request.path == "/healthz") return answer(client, request, "200 OK", "ok\n");
  if (request.path == "/bytes") return answer_bytes(client, request);
  if (request.path == "/slow") std::this_thread::sleep_for(std::chrono::milliseconds(request.parameter("ms", 1000)));
  if (request.path != "/" && request.path != "/slow") return answer(client, request, "404 Not Found", "no such page\n");
  return answer(client, request, "200 OK", self);
}

void serve(int fd) {
  Connection client(fd);
  for (;;) {
    std::optional<Request> request = client.next_request();
    if (!request || !respond(client, *request) || !request->keep_alive) return;
  }
}

int listener(const std::string& port) {
  bool tcp = port.find_first_not_of("0123456789") == std::string::npos;
  int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = htons(static_cast<std::uint16_t>(tcp ? number_or(port, 0) : 0));
  inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  port.copy(local.sun_path, sizeof local.sun_path - 1);
  int on = 1;
  if (tcp) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr* address = tcp ? reinterpret_cast<sockaddr*>(&inet) : reinterpret_cast<sockaddr*>(&local);
  if (bind(fd, address, tcp ? sizeof inet : sizeof local) != 0 || listen(fd, 1024) != 0) {
    std::fprintf(stderr, "hello: cannot listen on %s: %s\n", port.c_str(), std::strerror(errno));
    std::exit(1);
  }
  return fd;
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);  // a client that leaves is an error of write(), not of the worker
  std::string port = environment("PORT", "3000");
  int fd = listener(port);
  std::fprintf(stderr, "hello: listening on %s\n", port.c_str());
  for (;;) {
    int client = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0)
      std::thread(serve, client).detach();
    else if (errno == EMFILE || errno == ENFILE)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}
