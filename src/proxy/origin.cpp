#include "rota/proxy/origin.h"

#include <sys/random.h>

#include "rota/base/check.h"

namespace rota::proxy {

namespace {

void write_hex(char* to, std::uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 15; i >= 0; i--, number >>= 4) to[i] = kDigits[number & 15];
}

// splitmix64: one to one, so that no two counts give the same.
std::uint64_t mixed(std::uint64_t count) {
  count += 0x9e3779b97f4a7c15;
  count = (count ^ count >> 30) * 0xbf58476d1ce4e5b9;
  count = (count ^ count >> 27) * 0x94d049bb133111eb;
  return count ^ count >> 31;
}

// The port of an authority that was checked; 0: it has none.
std::uint16_t port_of(std::string_view authority) {
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return 0;
  unsigned port = 0;
  for (const char digit : authority.substr(colon + 1)) port = port * 10 + static_cast<unsigned>(digit - '0');
  return static_cast<std::uint16_t>(port);
}

}  // namespace

RequestIds::RequestIds() {
  std::uint64_t seeds[2];
  ROTA_CHECK(::getrandom(seeds, sizeof seeds, 0) == sizeof seeds);
  loop_ = seeds[0];
  counter_ = seeds[1];
}

std::string_view RequestIds::next() {
  write_hex(text_.data(), loop_);
  write_hex(text_.data() + 16, mixed(counter_++));
  return {text_.data(), text_.size()};
}

std::optional<std::uint64_t> RequestIds::number_of(std::string_view id) const {
  if (id.size() != text_.size()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : id.substr(16)) {
    const bool letter = digit >= 'a' && digit <= 'f';
    if (!letter && (digit < '0' || digit > '9')) return std::nullopt;
    number = number << 4 | static_cast<std::uint64_t>(letter ? digit - 'a' + 10 : digit - '0');
  }
  return text_of(number) == id ? std::optional(number) : std::nullopt;
}

std::string RequestIds::text_of(std::uint64_t number) const {
  std::string text(text_.size(), '0');
  write_hex(text.data(), loop_);
  write_hex(text.data() + 16, number);
  return text;
}

std::optional<http::IpAddress> believed_client(const http::Hops& hops, const ipc::ProxyState& state) {
  // From the front, with the same result: whatever stands before a hop that is not trusted, or cannot be read, counts
  // for nothing.
  std::optional<http::IpAddress> client;
  for (const std::optional<http::IpAddress>& hop : hops) {
    if (!hop || !client || !is_trusted(*hop, state)) client = hop;
  }
  return client;
}

void Origin::believe(const http::RequestHead& head, const ipc::ProxyState& state) {
  read_hop_claims(head, claims_);
  const auto by_list = believed_client(claims_.forwarded_for, state);
  const auto by_forwarded = believed_client(claims_.forwarded, state);
  const auto client = claims_.has_forwarded_for ? by_list : claims_.has_forwarded ? by_forwarded : claims_.real_ip;
  forwarding_.trusted = true;
  bool all_read = true;
  for (const auto& hop : claims_.forwarded_for) all_read = all_read && hop.has_value();
  forwarding_.extend_forwarded_for = claims_.has_forwarded_for && all_read;
  forwarding_.extend_forwarded = !claims_.forwarded.empty() && by_forwarded == client;
  if (client) {
    client_ = client->text();
    forwarding_.client = client_;
  }
  forwarding_.host = claims_.host;
  if (!claims_.proto.empty()) forwarding_.proto = claims_.proto;
  if (claims_.port != 0) {
    forwarding_.port = claims_.port;
  } else if (!claims_.proto.empty() || !claims_.host.empty()) {
    // Not the port of our listener, which that client never saw.
    forwarding_.port = port_of(claims_.host.empty() ? head.host : claims_.host);
    if (forwarding_.port == 0) forwarding_.port = forwarding_.proto == "https" ? 443 : 80;
  }
}

const http::Forwarding& Origin::judge(const http::RequestHead& head, const ClientInfo& client,
                                      const ipc::ProxyState& state) {
  forwarding_ = {};
  forwarding_.port = client.port;
  forwarding_.request_id = head.request_id.empty() ? ids_.next() : head.request_id;
  if (client.kind == ClientInfo::Kind::ip) {
    peer_ = client.address.text();
    forwarding_.peer = peer_;
  }
  if (is_trusted(client, state)) {
    forwarding_.trusted = true;
    if (head.has_forwarding) believe(head, state);
  }
  shown_ = forwarding_.client.empty() ? forwarding_.peer : forwarding_.client;
  if (shown_.empty()) shown_ = client.kind == ClientInfo::Kind::unix_peer ? "unix" : "unknown";
  return forwarding_;
}

std::string_view Origin::shown_of(const http::RequestHead* head, const ClientInfo& client,
                                  const ipc::ProxyState& state) {
  static const http::RequestHead kNone;
  judge(head != nullptr ? *head : kNone, client, state);
  return shown_;
}

}  // namespace rota::proxy
