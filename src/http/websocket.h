// The client's half of WebSocket's opening handshake, as far as a head can be wrong about it (RFC 6455 4.2.1).
#pragma once

#include <string_view>

#include "rota/http/message.h"

namespace rota::http {

struct WebSocketFields {
  bool offered = false;  // Upgrade lists websocket
  unsigned keys = 0;
  std::string_view key;
  bool key_valid = false;
  unsigned versions = 0;

  void add_key(std::string_view value);
};

// Of a GET in HTTP/1.1 with Connection: upgrade that offers websocket. Which versions there are is the app's business.
Rejection judge_websocket(const WebSocketFields& fields);

}  // namespace rota::http
