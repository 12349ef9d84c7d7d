#include "websocket.h"

#include "octets.h"

namespace rota::http {

void WebSocketFields::add_key(std::string_view value) {
  constexpr std::size_t kDigits = 22;  // 16 octets in base64, and then "=="
  ++keys;
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

}  // namespace rota::http
