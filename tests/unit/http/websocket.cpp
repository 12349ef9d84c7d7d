#include "rota/http/websocket.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "parsing.h"

using namespace rota::http;

namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 1.3

bool switches(const std::string& fields, const std::string& version = "HTTP/1.1") {
  const std::string text = version + " 101 Switching Protocols\r\n" + fields + "\r\n";
  ResponseHeadParser parser({.bytes = 65536, .fields = 100, .target = 0});
  ResponseHead head;
  REQUIRE(parser.parse(text, Method::get, head) == Progress::complete);
  return why_no_websocket(head, websocket_accept(kKey)) == nullptr;
}

}  // namespace

TEST_CASE("row 141: Sec-WebSocket-Accept is made of the key") {
  const WebSocketAccept accept = websocket_accept(kKey);
  CHECK(std::string_view(accept.data(), accept.size()) == kAccept);
  const WebSocketAccept other = websocket_accept("AAAAAAAAAAAAAAAAAAAAAA==");
  CHECK(std::string_view(other.data(), other.size()) == "ICX+Yqv66kxgM0FcWaLWlFLwTAI=");
}

TEST_CASE("rows 54, 141: a 101 switches to WebSocket, with the right answer to the key, or not at all") {
  const std::string upgrade = "Upgrade: WebSocket\r\nConnection: x, Upgrade\r\n";
  const std::string accept = "Sec-WebSocket-Accept: " + std::string(kAccept) + "\r\n";
  CHECK(switches(upgrade + accept));
  CHECK(switches(accept + upgrade + "Sec-WebSocket-Protocol: chat\r\n"));
  CHECK_FALSE(switches(upgrade));
  CHECK_FALSE(switches(accept));
  CHECK_FALSE(switches(upgrade + accept + accept));
  CHECK_FALSE(switches(upgrade + "Upgrade: websocket\r\n" + accept));
  CHECK_FALSE(switches("Upgrade: websocket\r\n" + accept));
  CHECK_FALSE(switches("Connection: upgrade\r\n" + accept));
  CHECK_FALSE(switches("Upgrade: foo\r\nConnection: upgrade\r\n" + accept));
  CHECK_FALSE(switches("Upgrade: websocket, foo\r\nConnection: upgrade\r\n" + accept));
  CHECK_FALSE(switches(upgrade + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n"));
  CHECK_FALSE(switches(upgrade + accept, "HTTP/1.0"));
}
