// The fields rota itself cares about, told by the length of their name first.
#pragma once

#include <cstdint>
#include <string_view>

namespace rota::http {

enum class KnownField : std::uint8_t {
  other,
  // framing and routing
  host,
  content_length,
  transfer_encoding,
  // about the connection only, RFC 9110 7.6.1
  connection,
  keep_alive,
  proxy_connection,
  te,
  trailer,
  upgrade,
  http2_settings,
  proxy_authorization,
  // who the client is: only we may say
  proxy,
  forwarded,
  x_forwarded,  // any other of them
  x_forwarded_for,
  x_forwarded_proto,
  x_forwarded_host,
  x_forwarded_port,
  x_real_ip,
  // read by us, end-to-end all the same
  expect,
  max_forwards,
  date,
  via,
  x_request_id,
  sec_websocket_key,
  sec_websocket_version,
};

struct KnownName {
  KnownField field = KnownField::other;
  // Spelt with '_' or '.' for '-'. Another field to HTTP, and the same one to many an app server behind us.
  bool alias = false;
};

KnownName known_name(std::string_view name);
// Content-Length or Transfer-Encoding, and no alias of them.
bool is_framing_name(std::string_view name);

// Never copied from one side to the other, whoever nominates it or not.
constexpr bool is_hop_by_hop(KnownField field) {
  return field >= KnownField::connection && field <= KnownField::proxy_authorization;
}
constexpr bool is_forwarding(KnownField field) { return field >= KnownField::proxy && field <= KnownField::x_real_ip; }

// RFC 9110 6.5.1: framing, routing, authentication, and what must be known before the content.
bool may_be_trailer(std::string_view name);

}  // namespace rota::http
