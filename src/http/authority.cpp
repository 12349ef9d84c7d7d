#include "authority.h"

#include <arpa/inet.h>

#include "octets.h"

namespace rota::http {

namespace {

bool is_port(std::string_view digits) {
  if (digits.size() > 5) return false;
  unsigned port = 0;
  for (const char digit : digits) {
    if (!is_digit(digit)) return false;
    port = port * 10 + static_cast<unsigned>(digit - '0');
  }
  return port <= 65535;
}

bool is_ipv6(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof terminated) return false;
  text.copy(terminated, text.size());
  in6_addr address;
  return inet_pton(AF_INET6, terminated, &address) == 1;
}

}  // namespace

bool is_authority(std::string_view text) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return false;
    rest = text.substr(close + 1);
  } else {
    std::size_t name = 0;
    while (name < text.size() && is(text[name], kHost)) ++name;
    if (name == 0) return false;
    rest = text.substr(name);
  }
  return rest.empty() || (rest[0] == ':' && is_port(rest.substr(1)));
}

}  // namespace rota::http
