#include "websocket.h"

#include <string>

#include "octets.h"
#include "rota/http/websocket.h"
#include "sha1.h"

namespace rota::http {

void WebSocketFields::add_key(std::string_view value) {
  constexpr std::size_t kDigits = 22;  // 16 octets in base64, and then "=="
  ++keys;
  key = value;
  key_valid = value.size() == kDigits + 2 && value.ends_with("==");
  for (const char octet : value.substr(0, kDigits)) {
    const char letter = lower(octet);
    key_valid = key_valid && ((letter >= 'a' && letter <= 'z') || is_digit(octet) || octet == '+' || octet == '/');
  }
}

Rejection judge_websocket(const WebSocketFields& fields) {
  if (!fields.offered) return {};
  if (fields.keys != 1 || !fields.key_valid) return {400, "a WebSocket handshake without one valid key"};
  if (fields.versions != 1) return {400, "a WebSocket handshake without one version"};
  return {};
}

WebSocketAccept websocket_accept(std::string_view key) {
  const auto digest = sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  WebSocketAccept accept;
  std::size_t at = 0;
  for (std::size_t i = 0; i < digest.size(); i += 3) {
    const bool last = i + 2 == digest.size();  // 20 octets: the last group lacks one
    const std::uint32_t group = static_cast<std::uint32_t>(digest[i]) << 16 |
                                static_cast<std::uint32_t>(digest[i + 1]) << 8 | (last ? 0U : digest[i + 2]);
    for (int shift = 18; shift >= 0; shift -= 6) accept[at++] = kDigits[group >> shift & 63];
    if (last) accept[at - 1] = '=';
  }
  return accept;
}

const char* why_no_websocket(const ResponseHead& head, const WebSocketAccept& accept) {
  unsigned upgrades = 0;
  unsigned accepts = 0;
  bool to_websocket = false;
  bool connection = false;
  bool accepted = false;
  for (const Field& field : head.fields) {
    if (equals_lower(field.name, "upgrade")) {
      ++upgrades;
      to_websocket = equals_lower(field.value, "websocket");
    } else if (equals_lower(field.name, "connection")) {
      connection |= list_has(field.value, "upgrade");
    } else if (equals_lower(field.name, "sec-websocket-accept")) {
      ++accepts;
      accepted = field.value == std::string_view(accept.data(), accept.size());
    }
  }
  if (head.version_minor == 0) return "a switch of protocols in HTTP/1.0";
  if (upgrades != 1 || !to_websocket || !connection) return "a switch to a protocol that was not asked for";
  if (accepts != 1 || !accepted) return "a WebSocket handshake with a wrong Sec-WebSocket-Accept";
  return nullptr;
}

}  // namespace rota::http
