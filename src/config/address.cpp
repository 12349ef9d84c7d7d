// One spelling per meaning: what is nearly right is refused with the right spelling.
#include "rota/config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "rota/config/units.h"

namespace rota::config {

namespace {

constexpr std::size_t kHostMax = 253;

Error bad(std::string context) { return Error{Errc::invalid, 0, std::move(context)}; }

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_numeric(int family, std::string_view host) {
  unsigned char binary[sizeof(in6_addr)];
  return ::inet_pton(family, std::string(host).c_str(), binary) == 1;
}

Result<Address> unix_address(std::string_view path) {
  if (path.substr(0, 2) == "//") {
    std::size_t start = path.find_first_not_of('/');
    if (start == std::string_view::npos) return bad("has no path; write unix:/run/app.sock");
    return bad(
        fmt::format("is not written as a URL; write {}", in_quotes(fmt::format("unix:/{}", path.substr(start)))));
  }
  if (path.empty()) return bad("has no path; write unix:/run/app.sock");
  if (path[0] != '/') return bad(fmt::format("must have an absolute path after unix:, not {}", in_quotes(path)));
  if (path.size() > kSocketPathMax) {
    return bad(fmt::format("has a path of {} bytes; a Unix socket's path may have {}", path.size(), kSocketPathMax));
  }
  if (path.back() == '/') return bad("must name a socket, not a directory");
  Address address;
  address.kind = Address::Kind::unix_path;
  address.path = path;
  return address;
}

Result<std::uint16_t> parse_port(std::string_view text, AddressUse use) {
  if (!is_digits(text)) return bad(fmt::format("has the port {}, which is not a number", in_quotes(text)));
  auto port = parse_count(text);
  std::uint64_t least = use == AddressUse::server ? 1 : 0;
  if (!port || *port > 65535 || *port < least) {
    return bad(fmt::format("has the port {}; ports are {} to 65535", text.substr(0, 20), least));
  }
  return static_cast<std::uint16_t>(*port);
}

Result<std::string> parse_host(std::string_view host, AddressUse use) {
  if (host == "*" && use == AddressUse::listener) return std::string();
  if (host == "*") return bad("must name one host to connect to, not *");
  if (host.size() > kHostMax)
    return bad(fmt::format("has a host name of {} bytes; it may have {}", host.size(), kHostMax));
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (host.find_first_not_of(kAllowed) != std::string_view::npos) {
    return bad(fmt::format("has the host {}, which is neither a name nor an address", in_quotes(host)));
  }
  bool looks_numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;
  if (looks_numeric && !is_numeric(AF_INET, host)) {
    return bad(fmt::format("has the host {}, which is not an IPv4 address", in_quotes(host)));
  }
  return std::string(host);
}

// "[::1]:80"
Result<Address> bracketed(std::string_view text, AddressUse use) {
  std::size_t end = text.find(']');
  if (end == std::string_view::npos) return bad(R"(has no closing "]"; write "[::1]:8080")");
  std::string_view host = text.substr(1, end - 1);
  if (!is_numeric(AF_INET6, host))
    return bad(fmt::format("has {} in brackets, which is not an IPv6 address", in_quotes(host)));
  if (text.size() < end + 2 || text[end + 1] != ':') {
    return bad(fmt::format("has no port; write \"[{}]:8080\"", host));
  }
  auto port = parse_port(text.substr(end + 2), use);
  if (!port) return port.error();
  Address address;
  address.host = host;
  address.port = *port;
  return address;
}

}  // namespace

Result<Address> parse_address(std::string_view text, AddressUse use) {
  if (text.empty()) return bad("is empty; write host:port or unix:/path");
  if (text.find('\0') != std::string_view::npos) return bad("contains a NUL byte");
  if (std::size_t scheme = text.find("://"); scheme != std::string_view::npos && text.substr(0, scheme) != "unix") {
    return bad(fmt::format("is not a URL; write host:port without {}", in_quotes(text.substr(0, scheme + 3))));
  }
  if (text.substr(0, 5) == "unix:") return unix_address(text.substr(5));
  if (text[0] == '/')
    return bad(fmt::format("needs unix: in front of a path; write {}", in_quotes(fmt::format("unix:{}", text))));
  if (text[0] == '[') return bracketed(text, use);
  if (is_digits(text)) {
    if (use == AddressUse::server) return bad(fmt::format("needs a host; write 127.0.0.1:{}", text.substr(0, 20)));
    auto port = parse_port(text, use);
    if (!port) return port.error();
    Address address;
    address.port = *port;
    return address;
  }
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return bad(fmt::format("has no port; write {}", in_quotes(fmt::format("{}:8080", text))));
  }
  std::string_view host_text = text.substr(0, colon);
  if (host_text.empty()) {
    return bad(use == AddressUse::server
                   ? fmt::format("needs a host; write {}", in_quotes(fmt::format("127.0.0.1{}", text)))
                   : fmt::format("needs a host; write {} for all addresses", in_quotes(fmt::format("*{}", text))));
  }
  if (host_text.find(':') != std::string_view::npos) {
    return bad(R"(has several ":"; an IPv6 address goes in brackets, as in "[::1]:8080")");
  }
  auto host = parse_host(host_text, use);
  if (!host) return host.error();
  auto port = parse_port(text.substr(colon + 1), use);
  if (!port) return port.error();
  Address address;
  address.host = *std::move(host);
  address.port = *port;
  return address;
}

std::string Address::text() const {
  if (kind == Kind::unix_path) return "unix:" + path;
  if (host.empty()) return fmt::format("*:{}", port);
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

}  // namespace rota::config
