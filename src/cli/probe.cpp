#include "probe.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "rota/base/exit_code.h"
#include "rota/config/address.h"
#include "rota/config/units.h"
#include "rota/http/response_head.h"
#include "rota/sys/socket.h"

namespace rota::cli {

namespace {

// PROXY protocol, version 2: the command LOCAL, which names no client but the sender itself, and no addresses.
constexpr std::string_view kLocalHeader("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);

// A step of the conversation: nothing, or the operator's sentence about what went wrong.
using Trouble = std::string;

class Deadline {
 public:
  explicit Deadline(Duration timeout) : end_(std::chrono::steady_clock::now() + timeout) {}

  // False when the time is over.
  bool wait(int fd, short events) const {
    for (;;) {
      auto left = std::chrono::ceil<Duration>(end_ - std::chrono::steady_clock::now());
      if (left <= Duration::zero()) return false;
      pollfd one{fd, events, 0};
      int ready = ::poll(&one, 1, static_cast<int>(left.count()));
      if (ready > 0) return true;
      if (ready == 0 || errno != EINTR) return false;
    }
  }

 private:
  TimePoint end_;
};

bool is_visible(char c) { return c > ' ' && c < 0x7f; }

bool all_visible(std::string_view text) { return std::all_of(text.begin(), text.end(), is_visible); }

std::vector<sys::SocketAddress> addresses_of(const config::Address& address) {
  std::vector<sys::SocketAddress> found;
  if (address.kind == config::Address::Kind::unix_path) {
    if (auto one = sys::unix_address(address.path)) found.push_back(*one);
    return found;
  }
  // A listener on all addresses is asked at the machine's own.
  if (address.host.empty() || address.host == "localhost" || address.host == "0.0.0.0" || address.host == "::") {
    for (const char* own : {"127.0.0.1", "::1"}) {
      if (auto one = sys::tcp_address(own, address.port)) found.push_back(*one);
    }
    return found;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list) != 0) return found;
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    sys::SocketAddress socket;
    if (one->ai_addrlen > sizeof socket.storage) continue;
    std::memcpy(&socket.storage, one->ai_addr, one->ai_addrlen);
    socket.size = one->ai_addrlen;
    found.push_back(socket);
  }
  return found;
}

Trouble connect(const config::Address& address, const Deadline& deadline, UniqueFd& connected) {
  Trouble trouble = fmt::format("{} is no address", address.host);
  for (const sys::SocketAddress& one : addresses_of(address)) {
    sys::Connect attempt = sys::connect_to(one);
    int error = attempt.error;
    if (error == EINPROGRESS)
      error = deadline.wait(attempt.fd.get(), POLLOUT) ? sys::socket_error(attempt.fd.get()) : ETIMEDOUT;
    if (error == 0) {
      connected = std::move(attempt.fd);
      return {};
    }
    trouble = fmt::format("cannot connect: {}", std::strerror(error));
  }
  return trouble;
}

Trouble send(int fd, std::string_view bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (!deadline.wait(fd, POLLOUT)) return "no answer in time";
    } else if (errno != EINTR) {
      return fmt::format("cannot send: {}", std::strerror(errno));
    }
  }
  return {};
}

// The first final response's status.
Trouble receive(int fd, const Deadline& deadline, int& status) {
  std::string head;
  for (;;) {
    http::ResponseHeadParser parser({kProbeHeadMax, 1000, kProbeHeadMax});
    http::ResponseHead parsed;
    http::Progress progress = parser.parse(head, http::Method::get, parsed);
    if (progress == http::Progress::rejected)
      return fmt::format("the answer is no valid HTTP: {}", parser.rejection().why);
    if (progress == http::Progress::complete && parsed.status >= 200) {
      status = parsed.status;
      return {};
    }
    if (progress == http::Progress::complete) {
      head.erase(0, parser.consumed());  // 100, 103: the answer is still to come
      continue;
    }
    if (head.size() >= kProbeHeadMax) return "the answer's head does not end";
    if (!deadline.wait(fd, POLLIN)) return "no answer in time";
    std::array<char, 4096> buffer{};
    ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n == 0) return "closed without an answer";
    if (n < 0 && errno != EAGAIN && errno != EINTR) return fmt::format("no answer: {}", std::strerror(errno));
    if (n > 0) head.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::string host_of(const ProbeArguments& arguments) {
  if (!arguments.host.empty()) return arguments.host;
  const config::Address& address = arguments.address;
  if (address.kind == config::Address::Kind::unix_path || address.host.empty()) return "localhost";
  return address.text();
}

// An option's value is the next word or stands behind "=".
struct Option {
  std::string_view name;
  std::string value;
  bool given = false;
};
Option take_option(const std::vector<std::string>& words, std::size_t& at) {
  std::string_view word = words[at];
  std::size_t equals = word.find('=');
  if (equals != std::string_view::npos) return {word.substr(0, equals), std::string(word.substr(equals + 1)), true};
  if (at + 1 == words.size()) return {word, "", false};
  return {word, words[++at], true};
}

std::string set_option(const Option& option, ProbeArguments& arguments) {
  if (option.name != "--timeout" && option.name != "--host") {
    return fmt::format("unknown option {}", config::in_quotes(option.name));
  }
  if (!option.given || option.value.empty()) return fmt::format("{} needs a value", option.name);
  if (option.name == "--host") {
    if (!all_visible(option.value)) return "--host is no name of a host";
    arguments.host = option.value;
    return "";
  }
  auto timeout = config::parse_duration(option.value);
  if (!timeout) return "--timeout " + timeout.error().text();
  if (*timeout <= Duration::zero() || *timeout > kProbeTimeoutMax) return "--timeout must be between 1ms and 10m";
  arguments.timeout = *timeout;
  return "";
}

std::string set_place(const std::string& word, ProbeArguments& arguments) {
  auto address = config::parse_address(word, config::AddressUse::listener);
  if (!address) return fmt::format("the address {} {}", config::in_quotes(word), address.error().text());
  if (address->kind == config::Address::Kind::tcp && address->port == 0) return "port 0 cannot be connected to";
  arguments.address = *address;
  return "";
}

}  // namespace

ProbeArguments read_probe_arguments(const std::vector<std::string>& words) {
  ProbeArguments arguments;
  std::size_t places = 0;
  for (std::size_t i = 0; i < words.size() && arguments.wrong.empty(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      arguments.help = true;
      return arguments;
    }
    if (word == "--proxy-protocol") {
      arguments.proxy_protocol = true;
    } else if (word.size() > 1 && word[0] == '-') {
      arguments.wrong = set_option(take_option(words, i), arguments);
    } else if (++places == 1) {
      arguments.wrong = set_place(word, arguments);
    } else if (places == 2 && word.starts_with('/') && all_visible(word)) {
      arguments.path = word;
    } else {
      arguments.wrong = places == 2 ? fmt::format("{} is no path; it begins with \"/\"", config::in_quotes(word))
                                    : "probe asks one address";
    }
  }
  if (arguments.wrong.empty() && places == 0) arguments.wrong = "which address? Write rota probe 8080 /healthz";
  return arguments;
}

int probe(const ProbeArguments& arguments) {
  Deadline deadline(arguments.timeout);
  UniqueFd fd;
  int status = 0;
  Trouble trouble = connect(arguments.address, deadline, fd);
  if (trouble.empty()) {
    trouble = send(
        fd.get(),
        fmt::format("{}GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rota-probe/{}\r\nAccept: */*\r\n"
                    "Connection: close\r\n\r\n",
                    arguments.proxy_protocol ? kLocalHeader : "", arguments.path, host_of(arguments), ROTA_VERSION),
        deadline);
  }
  if (trouble.empty()) trouble = receive(fd.get(), deadline, status);
  // On stdout, also what went wrong: that is what container engines keep of a health check.
  std::string line = fmt::format("{}{}: {}\n", arguments.address.text(), arguments.path,
                                 trouble.empty() ? std::to_string(status) : trouble);
  bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fflush(stdout) == 0;
  bool good = trouble.empty() && status < 500 && written;
  return static_cast<int>(good ? ExitCode::clean : ExitCode::failed);
}

}  // namespace rota::cli
