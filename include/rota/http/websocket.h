// The worker's half of WebSocket's opening handshake (RFC 6455 4.1, 4.2.2): may this 101 turn the connection into a
// tunnel? What goes through it afterwards is nobody's business here.
#pragma once

#include <array>
#include <string_view>

#include "rota/http/response_head.h"

namespace rota::http {

// What Sec-WebSocket-Accept must be to a key: base64 of the SHA-1 of the key and a constant.
inline constexpr std::size_t kWebSocketAcceptLength = 28;
using WebSocketAccept = std::array<char, kWebSocketAcceptLength>;
WebSocketAccept websocket_accept(std::string_view key);

// nullptr: `head`, a 101, switches to WebSocket and to nothing else. Otherwise one clause that says what is wrong.
const char* why_no_websocket(const ResponseHead& head, const WebSocketAccept& accept);

}  // namespace rota::http
