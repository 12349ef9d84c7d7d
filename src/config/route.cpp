// One spelling per meaning, as for addresses: the proxy compares what it has made of a request with these texts, so a
// route that no request could ever equal is refused.
#include "rota/config/route.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "rota/config/units.h"

namespace rota::config {

namespace {

constexpr std::size_t kHostMax = 253;
constexpr std::size_t kLabelMax = 63;
constexpr std::size_t kPathMax = 1024;

Error bad(std::string context) { return Error{Errc::invalid, 0, std::move(context)}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_unreserved(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~'; }
bool is_all_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

int hex(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string with_slash(std::string_view path) { return path.empty() ? "/" : std::string(path); }

// ---- path

// "%2F" as it is; what needs no escape is not written as one.
Result<std::string> escape_at(std::string_view path, std::size_t i) {
  int high = i + 1 < path.size() ? hex(path[i + 1]) : -1;
  int low = i + 2 < path.size() ? hex(path[i + 2]) : -1;
  if (high < 0 || low < 0) return bad("has a \"%\" that no two hexadecimal digits follow; write %25 for the character");
  char octet = static_cast<char>(high * 16 + low);
  if (is_unreserved(octet)) return bad(fmt::format("writes \"{}\" as {}; write it as it is", octet, path.substr(i, 3)));
  return std::string{'%', upper(path[i + 1]), upper(path[i + 2])};
}

Error about_octet(std::string_view path, char octet) {
  if (octet == '?' || octet == '#') {
    return bad(fmt::format("has a \"{}\": queries and fragments are not routed by; write {}", octet,
                           in_quotes(with_slash(path.substr(0, path.find_first_of("?#"))))));
  }
  if (octet == '*' || octet == '{') {
    std::string_view before = path.substr(0, path.find(octet));
    while (before.size() > 1 && before.back() == '/') before.remove_suffix(1);
    return bad(
        fmt::format("has a \"{}\" in its path: there are no patterns, and a path stands for everything below it; "
                    "write {}",
                    octet, in_quotes(before)));
  }
  auto number = static_cast<unsigned>(static_cast<unsigned char>(octet));
  std::string name = number == ' '                   ? "a blank"
                     : number > ' ' && number < 0x7F ? fmt::format("a \"{}\"", octet)
                                                     : fmt::format("the byte 0x{:02X}", number);
  return bad(fmt::format("has {} in its path; a request has it as %{:02X}", name, number));
}

std::string segment_problem(std::string_view path) {
  for (std::size_t start = 1; start <= path.size();) {
    std::size_t end = std::min(path.find('/', start), path.size());
    std::string_view segment = path.substr(start, end - start);
    if (segment == "." || segment == "..") {
      return fmt::format("has a {} segment in its path, which requests are freed of; write the path without it",
                         in_quotes(segment));
    }
    if (segment.empty() && end < path.size()) return "has an empty segment (\"//\") in its path; write one \"/\"";
    start = end + 1;
  }
  return "";
}

Result<std::string> parse_path(std::string_view path) {
  constexpr std::string_view kAllowed = "/!$&'()+,;=:@";
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%') {
      auto escape = escape_at(path, i);
      if (!escape) return escape.error();
      out += *escape;
      i += 2;
    } else if (is_unreserved(path[i]) || kAllowed.find(path[i]) != std::string_view::npos) {
      out += path[i];
    } else {
      return about_octet(path, path[i]);
    }
  }
  if (out.size() > kPathMax) return bad(fmt::format("has a path of {} bytes; it may have {}", out.size(), kPathMax));
  if (std::string wrong = segment_problem(out); !wrong.empty()) return bad(std::move(wrong));
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

// ---- host

std::string label_problem(std::string_view name) {
  for (std::size_t start = 0; start <= name.size();) {
    std::size_t end = std::min(name.find('.', start), name.size());
    if (end == start) return fmt::format("has an empty part in the host {}", in_quotes(name));
    if (end - start > kLabelMax) return fmt::format("has a part of more than {} bytes in its host", kLabelMax);
    start = end + 1;
  }
  return "";
}

Error about_star(std::string_view host) {
  if (host == "*") return bad("needs no \"*\" for every host; leave the host out, as in \":8080\" or \"/\"");
  return bad(fmt::format("can have one \"*\", at the beginning and before a dot, as in \"*.example.com\"; not {}",
                         in_quotes(host)));
}

Result<std::string> parse_name(std::string_view host) {
  bool is_wildcard = host.substr(0, 2) == "*.";
  std::string_view name = is_wildcard ? host.substr(2) : host;
  if (name.find('*') != std::string_view::npos || (is_wildcard && name.empty())) return about_star(host);
  for (char c : name) {
    if (static_cast<unsigned char>(c) >= 0x80) {
      return bad(fmt::format("has the host {} with letters beyond ASCII; write its xn-- form, which requests have",
                             in_quotes(host)));
    }
    if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '.' && c != '_') {
      return bad(fmt::format("has the host {}, which is neither a name nor an address", in_quotes(host)));
    }
  }
  if (name[0] == '.')
    return bad(fmt::format("has a host that begins with a dot; write \"*{}\"", name.substr(0, kHostMax)));
  if (name.back() == '.') {
    return bad(
        fmt::format("has the host {}; write it without the dot at its end, which is not compared", in_quotes(host)));
  }
  if (host.size() > kHostMax) return bad(fmt::format("has a host of {} bytes; it may have {}", host.size(), kHostMax));
  if (std::string wrong = label_problem(name); !wrong.empty()) return bad(std::move(wrong));
  in_addr v4{};
  bool looks_numeric = name.find_first_not_of("0123456789.") == std::string_view::npos;
  if (looks_numeric && ::inet_pton(AF_INET, std::string(name).c_str(), &v4) != 1) {
    return bad(fmt::format("has the host {}, which is not an IPv4 address", in_quotes(host)));
  }
  std::string out(host);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// "[::1]" in the one form that clients write.
Result<std::string> parse_bracketed(std::string_view host) {
  in6_addr address{};
  std::string inside(host.substr(1, host.size() - 2));
  if (::inet_pton(AF_INET6, inside.c_str(), &address) != 1) {
    return bad(fmt::format("has {} in brackets, which is not an IPv6 address", in_quotes(inside)));
  }
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(AF_INET6, &address, text, sizeof text);
  return fmt::format("[{}]", text);
}

// ---- what stands before the path

Result<std::uint16_t> parse_port(std::string_view text) {
  if (!is_all_digits(text)) return bad(fmt::format("has the port {}, which is not a number", in_quotes(text)));
  auto port = parse_count(text);
  if (port && *port == 0) return bad("has the port 0, which stands for any free one and cannot be named");
  if (!port || *port > 65535) return bad(fmt::format("has the port {}; ports are 1 to 65535", text.substr(0, 20)));
  return static_cast<std::uint16_t>(*port);
}

std::string parse_authority(std::string_view text, WrittenRoute& into) {
  std::size_t bracket = text[0] == '[' ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return R"(has no closing "]"; write "[::1]" or "[::1]:8080")";
  std::size_t colon = text.find(':', bracket);
  std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    if (text.find(':', colon + 1) != std::string_view::npos) {
      return R"(has several ":"; an IPv6 address goes in brackets, as in "[::1]:8080")";
    }
    auto port = parse_port(text.substr(colon + 1));
    if (!port) return port.error().context;
    into.port = *port;
  }
  if (host.empty()) return "";
  if (colon == std::string_view::npos && is_all_digits(host)) {
    return fmt::format("is the number {}; write {} for the listener with that port", host.substr(0, 20),
                       in_quotes(fmt::format(":{}", host.substr(0, 20))));
  }
  if (bracket > 0 && bracket + 1 != host.size()) {
    return fmt::format("has {} after the \"]\"; write \"[::1]\" or \"[::1]:8080\"",
                       in_quotes(host.substr(bracket + 1)));
  }
  auto parsed = bracket > 0 ? parse_bracketed(host) : parse_name(host);
  if (!parsed) return parsed.error().context;
  into.route.host = *std::move(parsed);
  return "";
}

std::string parse_unix(std::string_view path, WrittenRoute& into) {
  if (path.empty() || path[0] != '/' || path.substr(0, 2) == "//") {
    return "names a Unix listener by unix: and its absolute path, as listen does";
  }
  into.unix_path = path;
  into.route.path = "/";
  return "";
}

}  // namespace

Result<WrittenRoute> parse_route(std::string_view text) {
  if (text.empty()) return bad("has an empty route; write a host, a path such as /api, or \":8080\"");
  if (std::size_t scheme = text.find("://"); scheme != std::string_view::npos && text.substr(0, 5) != "unix:") {
    return bad(fmt::format("is not a URL; write {}", in_quotes(text.substr(scheme + 3))));
  }
  WrittenRoute written;
  written.route.text = text;
  if (text.substr(0, 5) == "unix:") {
    std::string wrong = parse_unix(text.substr(5), written);
    if (!wrong.empty()) return bad(std::move(wrong));
    return written;
  }
  std::size_t slash = std::min(text.find('/'), text.size());
  std::size_t query = text.find_first_of("?#");
  if (query < slash) return about_octet(text.substr(query), text[query]);
  if (slash > 0) {
    std::string wrong = parse_authority(text.substr(0, slash), written);
    if (!wrong.empty()) return bad(std::move(wrong));
  }
  auto path = parse_path(slash < text.size() ? text.substr(slash) : "/");
  if (!path) return path.error();
  written.route.path = *std::move(path);
  return written;
}

}  // namespace rota::config
