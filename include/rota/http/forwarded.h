// What a request says of the way it came before it reached us: X-Forwarded-*, Forwarded (RFC 7239), X-Real-IP. Only
// reads it; whom to believe is decided elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "rota/http/ip_address.h"
#include "rota/http/request_head.h"

namespace rota::http {

// The addresses of a list, the client first. nullopt: an entry that names none (malformed, "unknown", obfuscated).
using Hops = std::vector<std::optional<IpAddress>>;

struct HopClaims {
  bool has_forwarded_for = false;  // X-Forwarded-For, at least one entry
  Hops forwarded_for;
  bool has_forwarded = false;         // Forwarded, whether it can be read or not
  bool forwarded_well_formed = true;  // it may be extended: no open quote swallows what is added
  Hops forwarded;                     // empty unless it is well formed
  // Of a field that is there once and valid; else empty.
  std::optional<IpAddress> real_ip;
  std::string_view proto;  // "http" or "https"
  std::string_view host;
  std::uint16_t port = 0;

  void clear();  // keeps the lists' memory
};
// Spans point into the head.
void read_hop_claims(const RequestHead& head, HopClaims& claims);

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
std::optional<IpAddress> parse_hop(std::string_view text);

}  // namespace rota::http
