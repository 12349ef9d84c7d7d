#include "rota/http/forwarded.h"

#include <charconv>
#include <string>

#include "authority.h"
#include "field_names.h"
#include "octets.h"

namespace rota::http {

namespace {

bool read_port(std::string_view digits, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port != 0;
}

// A field that may be there once.
class Once {
 public:
  void add(std::string_view value) {
    value_ = value;
    ++count_;
  }
  std::string_view value() const { return count_ == 1 ? value_ : std::string_view(); }

 private:
  std::string_view value_;
  unsigned count_ = 0;
};

// Forwarded as RFC 7239 4 has it, white space around "," and ";" allowed besides. What is no pair, or has an open
// quote, ends the reading.
class ForwardedReader {
 public:
  ForwardedReader(std::string_view text, Hops& hops) : rest_(text), hops_(hops) {}

  bool read() {
    for (;;) {
      if (!element()) return false;
      if (rest_.empty()) return true;
      rest_.remove_prefix(1);  // the comma
    }
  }

 private:
  // The pairs up to a comma or the end. An element without any is as an empty list element: nothing.
  bool element() {
    bool any = false;
    std::optional<IpAddress> hop;
    bool has_for = false;
    for (;;) {
      skip_space();
      if (!rest_.empty() && rest_[0] != ';' && rest_[0] != ',') {
        std::string_view name;
        if (!pair(name)) return false;
        any = true;
        if (equals_lower(name, "for")) {
          if (has_for) return false;
          has_for = true;
          hop = parse_hop(value_);
        }
      }
      skip_space();
      if (rest_.empty() || rest_[0] == ',') break;
      if (rest_[0] != ';') return false;
      rest_.remove_prefix(1);
    }
    if (any) hops_.push_back(hop);
    return true;
  }

  bool pair(std::string_view& name) {
    name = token();
    if (name.empty() || rest_.empty() || rest_[0] != '=') return false;
    rest_.remove_prefix(1);
    if (!rest_.empty() && rest_[0] == '"') return quoted();
    const std::string_view value = token();
    value_.assign(value);
    return !value.empty();
  }

  std::string_view token() {
    std::size_t size = 0;
    while (size < rest_.size() && is(rest_[size], kToken)) ++size;
    const std::string_view found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
  }

  bool quoted() {
    value_.clear();
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) return false;
      value_.push_back(rest_[i]);
    }
    return false;
  }

  void skip_space() {
    while (!rest_.empty() && is_space(rest_[0])) rest_.remove_prefix(1);
  }

  std::string_view rest_;
  Hops& hops_;
  std::string value_;  // of the last pair, unquoted
};

void take_forwarded(std::string_view value, HopClaims& claims) {
  claims.has_forwarded = true;
  if (!claims.forwarded_well_formed) return;
  claims.forwarded_well_formed = ForwardedReader(value, claims.forwarded).read();
  if (!claims.forwarded_well_formed) claims.forwarded.clear();
}

void take_forwarded_for(std::string_view value, HopClaims& claims) {
  for_each_element(value, [&](std::string_view entry) {
    if (entry.empty()) return;
    claims.has_forwarded_for = true;
    claims.forwarded_for.push_back(parse_hop(entry));
  });
}

std::string_view scheme_of(std::string_view value) {
  if (equals_lower(value, "https")) return "https";
  return equals_lower(value, "http") ? std::string_view("http") : std::string_view();
}

}  // namespace

void HopClaims::clear() {
  has_forwarded_for = has_forwarded = false;
  forwarded_well_formed = true;
  forwarded_for.clear();
  forwarded.clear();
  real_ip.reset();
  proto = host = {};
  port = 0;
}

std::optional<IpAddress> parse_hop(std::string_view text) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    port = text.substr(close + 1);
    text = text.substr(1, close - 1);
    if (text.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const std::size_t colon = text.find(':'); colon == text.rfind(':') && colon != std::string_view::npos) {
    port = text.substr(colon);
    text = text.substr(0, colon);
  }
  std::uint16_t number = 0;
  if (!port.empty() && (port[0] != ':' || !read_port(port.substr(1), number))) return std::nullopt;
  return IpAddress::parse(text);
}

void read_hop_claims(const RequestHead& head, HopClaims& claims) {
  claims.clear();
  Once real_ip;
  Once proto;
  Once host;
  Once port;
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (known.alias) continue;
    switch (known.field) {
      case KnownField::forwarded: take_forwarded(field.value, claims); break;
      case KnownField::x_forwarded_for: take_forwarded_for(field.value, claims); break;
      case KnownField::x_forwarded_proto: proto.add(field.value); break;
      case KnownField::x_forwarded_host: host.add(field.value); break;
      case KnownField::x_forwarded_port: port.add(field.value); break;
      case KnownField::x_real_ip: real_ip.add(field.value); break;
      default: break;
    }
  }
  claims.real_ip = parse_hop(real_ip.value());
  claims.proto = scheme_of(proto.value());
  if (is_authority(host.value())) claims.host = host.value();
  if (!read_port(port.value(), claims.port)) claims.port = 0;
}

}  // namespace rota::http
