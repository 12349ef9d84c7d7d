// What rota writes: to workers, to clients, and that it reads back as the same message.
#include "rota/http/serialize.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "parsing.h"

namespace rota::http::test {
namespace {

constexpr Forwarding kFrom{.peer = "192.0.2.7", .proto = "http", .port = 8080, .request_id = "id"};

std::string to_worker(std::string_view lines, std::string_view start = "GET / HTTP/1.1") {
  const ParsedRequest r = parse_with(lines, start);
  REQUIRE(r.progress == Progress::complete);
  std::string out = "kept";
  append_request_head(out, r.head, kFrom);
  REQUIRE(out.starts_with("kept"));
  out.erase(0, 4);
  return out;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("the head a worker gets, octet for octet") {
  CHECK(to_worker("Accept: */*\r\nCookie:  a=b \r\n", "GET /x?y HTTP/1.1") ==
        "GET /x?y HTTP/1.1\r\nHost: t.example\r\nAccept: */*\r\nCookie: a=b\r\nX-Forwarded-For: 192.0.2.7\r\n"
        "Forwarded: for=192.0.2.7;host=t.example;proto=http\r\nX-Real-IP: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
        "X-Forwarded-Host: t.example\r\nX-Forwarded-Port: 8080\r\nX-Request-ID: id\r\nVia: 1.1 rota\r\n\r\n");
}

TEST_CASE("rows 31, 32, 45: Host is the authority asked for") {
  CHECK(has(to_worker("", "GET http://u:p@b.example:81/x HTTP/1.1"), "GET /x HTTP/1.1\r\nHost: b.example:81\r\n"));
  CHECK_FALSE(has(to_worker("", "GET http://b.example/ HTTP/1.1"), "t.example"));
  const ParsedRequest old = parse_request("GET / HTTP/1.0\r\n\r\n");
  std::string out;
  append_request_head(out, old.head, kFrom);
  CHECK(has(out, "GET / HTTP/1.1\r\nHost: \r\n"));
  CHECK_FALSE(has(out, "X-Forwarded-Host"));
}

TEST_CASE("row 41: Via is added behind the client's, with the version that was spoken") {
  const std::string out = to_worker("Via: 1.0 a, HTTP/2 b\r\n", "GET / HTTP/1.0");
  CHECK(has(out, "Via: 1.0 a, HTTP/2 b\r\n"));
  CHECK(has(out, "Via: 1.0 rota\r\n"));
  CHECK(out.find("Via: 1.0 a") < out.find("Via: 1.0 rota"));
}

TEST_CASE("rows 46 to 49, 51, 58: what is about the connection does not pass") {
  const std::string out = to_worker(
      "Connection: X-Foo, close\r\nConnection: x-bar\r\nX-Foo: 1\r\nX-BAR: 2\r\nX-Keep: 3\r\nKeep-Alive: "
      "timeout=5\r\nProxy-Connection: x\r\n"
      "TE: gzip\r\nTrailer: X-T\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nProxy-Authorization: Basic eA==\r\n");
  for (const char* gone :
       {"onnection", "X-Foo", "X-BAR", "Keep-Alive", "TE:", "Trailer", "Upgrade", "HTTP2", "Proxy-Auth"}) {
    INFO(gone);
    CHECK_FALSE(has(out, gone));
  }
  CHECK(has(out, "X-Keep: 3\r\n"));
}

TEST_CASE("row 49: of TE only trailers are asked for, and Connection says so") {
  const std::string out = to_worker("TE: gzip, trailers;q=1, trailers\r\n");
  CHECK(has(out, "\r\nConnection: TE\r\nTE: trailers\r\n"));
  CHECK_FALSE(has(out, "gzip"));
}

TEST_CASE("row 89: a body that workers may leave unread ends their connection") {
  const std::string body = "Content-Length: 5\r\n";
  for (const char* method : {"GET", "HEAD", "DELETE", "OPTIONS"}) {
    INFO(method);
    const std::string start = method + std::string(" / HTTP/1.1");
    CHECK(has(to_worker(body, start), "\r\nConnection: close\r\n"));
    CHECK(has(to_worker("Transfer-Encoding: chunked\r\nTE: trailers\r\n", start),
              "\r\nConnection: close, TE\r\nTE: trailers\r\n"));
    CHECK_FALSE(has(to_worker("Content-Length: 0\r\n", start), "onnection"));
  }
  for (const char* method : {"POST", "PUT", "PATCH", "PROPFIND", "QUERY"}) {
    CHECK_FALSE(has(to_worker(body, method + std::string(" / HTTP/1.1")), "onnection"));
  }
}

TEST_CASE("row 52: the one upgrade that is asked for is WebSocket, with Connection: upgrade") {
  const std::string handshake =
      "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string out = to_worker(handshake + "Sec-WebSocket-Protocol: b, a\r\n");
  CHECK(has(out, "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"));
  CHECK_FALSE(has(out, "h2c"));
  CHECK(has(out, "Sec-WebSocket-Protocol: b, a\r\n"));
  CHECK_FALSE(has(to_worker(handshake, "POST / HTTP/1.1"), "pgrade:"));
  CHECK_FALSE(has(to_worker(handshake, "GET / HTTP/1.0"), "pgrade:"));
}

TEST_CASE("rows 79 to 81: trailers end a chunked body, and are announced when they may come") {
  std::string out;
  append_last_chunk(out, {{"X-A", "1"}, {"X-B", ""}});
  CHECK(out == "0\r\nX-A: 1\r\nX-B: \r\n\r\n");
  const std::string chunked = "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n";
  CHECK(has(to_worker(chunked, "POST / HTTP/1.1"), "\r\nTrailer: X-T\r\n"));
  CHECK_FALSE(has(to_worker(chunked + "Connection: x-t\r\n", "POST / HTTP/1.1"), "Trailer"));
}

TEST_CASE("row 48: what is nominated against us stays, or is ours") {
  const std::string out = to_worker(
      "Connection: Host, X-Forwarded-For, X-Forwarded-Proto, Via, Transfer-Encoding\r\nTransfer-Encoding: "
      "chunked\r\nVia: 1.1 a\r\n",
      "POST / HTTP/1.1");
  for (const char* there : {"Host: t.example\r\n", "X-Forwarded-For: 192.0.2.7\r\n", "X-Forwarded-Proto: http\r\n",
                            "Via: 1.1 a\r\n", "Via: 1.1 rota\r\n", "Transfer-Encoding: chunked\r\n"}) {
    INFO(there);
    CHECK(has(out, there));
  }
}

TEST_CASE("a client's word about who it is does not pass, under no spelling") {
  for (const char* name : {"X-Forwarded-For",
                           "x-forwarded-for",
                           "X_Forwarded_For",
                           "X.Forwarded.For",
                           "X-Forwarded_For",
                           "X-Forwarded-Proto",
                           "X-Forwarded-Host",
                           "X-Forwarded-Port",
                           "X-Forwarded-Server",
                           "X-Forwarded-Ssl",
                           "X-Forwarded-Prefix",
                           "X-Forwarded",
                           "Forwarded",
                           "X-Real-IP",
                           "X_Real_IP",
                           "X.Real-IP",
                           "X_Request_ID",
                           "X-Request-ID",
                           "Proxy",
                           "PROXY",
                           "Transfer_Encoding",
                           "Transfer.Encoding",
                           "Proxy_Authorization",
                           "Keep_Alive"}) {
    INFO(name);
    CHECK_FALSE(has(to_worker(std::string(name) + ": evil\r\n"), "evil"));
  }
  CHECK(has(to_worker("X-Original-URL: /a\r\nX_Other: b\r\nForwarded-By: c\r\nX-Real: d\r\n"),
            "X-Original-URL: /a\r\nX_Other: b\r\nForwarded-By: c\r\nX-Real: d\r\n"));
}

TEST_CASE("rows 67, 75: framing is written anew, once") {
  CHECK(has(to_worker("Content-Length: 5\r\n", "POST / HTTP/1.1"), "Content-Length: 5\r\n\r\n"));
  CHECK(has(to_worker("Content-Length: 0\r\n", "POST / HTTP/1.1"), "Content-Length: 0\r\n\r\n"));
  CHECK(has(to_worker("Transfer-Encoding: CHUNKED\r\n", "POST / HTTP/1.1"), "Transfer-Encoding: chunked\r\n\r\n"));
  const std::string none = to_worker("", "POST / HTTP/1.1");
  CHECK_FALSE(has(none, "Content-Length"));
  CHECK_FALSE(has(none, "Transfer-Encoding"));
  CHECK(has(to_worker("Expect: 100-continue\r\nContent-Length: 5\r\n", "POST / HTTP/1.1"), "Expect: 100-continue\r\n"));
  CHECK_FALSE(has(to_worker("Expect: 100-continue\r\nContent-Length: 5\r\n", "POST / HTTP/1.0"), "Expect"));
}

TEST_CASE("row 122: Max-Forwards of OPTIONS is one less") {
  CHECK(has(to_worker("Max-Forwards: 5\r\n", "OPTIONS / HTTP/1.1"), "Max-Forwards: 4\r\n"));
  CHECK(has(to_worker("Max-Forwards: 99999999999999999999\r\n", "OPTIONS / HTTP/1.1"), "Max-Forwards: 254\r\n"));
  CHECK(has(to_worker("Max-Forwards: 5\r\n"), "Max-Forwards: 5\r\n"));
}

TEST_CASE("what is written is read as the same request") {
  const std::string out = to_worker("X-A: \xe9\tb\r\nX-B:\r\nContent-Length: 12\r\n", "PROPFIND /a%20b?c HTTP/1.1");
  const ParsedRequest again = parse_request(out);
  REQUIRE(again.progress == Progress::complete);
  CHECK(again.consumed == out.size());
  CHECK(again.head.method_text == "PROPFIND");
  CHECK(again.head.target == "/a%20b?c");
  CHECK(again.head.framing.length == 12);
  CHECK(again.value("x-a") == "\xe9\tb");
  CHECK(again.value("x-b").empty());
}

TEST_CASE("long and many fields are copied whole") {
  std::string lines;
  for (int i = 0; i < 90; ++i)
    lines += "X-" + std::to_string(i) + ": " + std::string(static_cast<std::size_t>(i) * 7, 'v') + "\r\n";
  CHECK(has(to_worker(lines), lines.substr(0, lines.find("\r\n"))));
  const ParsedRequest again = parse_request_cut(to_worker(lines), {});
  REQUIRE(again.progress == Progress::complete);
  CHECK(again.value("x-89") == std::string(89 * 7, 'v'));
}

std::string to_client(std::string_view head, const ResponseOptions& options, Method to = Method::get) {
  const ParsedResponse r = parse_response(head, to);
  REQUIRE(r.progress == Progress::complete);
  std::string out;
  append_response_head(out, r.head, options);
  return out;
}

TEST_CASE("the head a client gets, octet for octet") {
  const ResponseOptions options{.framing = ClientFraming::length, .length = 5, .date = "Sun, 06 Nov 1994 08:49:37 GMT"};
  CHECK(to_client("HTTP/1.0 200 Fine\r\nServer: x\r\nContent-Length: 5\r\nConnection: keep-alive, X-Hop\r\nX-Hop: "
                  "1\r\nKeep-Alive: timeout=5\r\n"
                  "ETag: \"a\"\r\nAllow: GET\r\n\r\n",
                  options) ==
        "HTTP/1.1 200 Fine\r\nServer: x\r\nETag: \"a\"\r\nAllow: GET\r\nDate: Sun, 06 Nov 1994 08:49:37 "
        "GMT\r\nContent-Length: 5\r\n\r\n");
}

TEST_CASE("rows 64, 67, 72, 74: the client's framing is what the proxy says, and never two") {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n";
  CHECK(to_client(chunked, {.framing = ClientFraming::chunked}) ==
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(to_client(chunked, {.framing = ClientFraming::until_close, .keep_alive = false, .client_minor = 0}) ==
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  CHECK(to_client("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", {}) == "HTTP/1.1 204 No Content\r\n\r\n");
  CHECK(to_client("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                  {.framing = ClientFraming::length, .length = 5}) ==
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
}

TEST_CASE("rows 92, 96: Connection towards the client") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const auto with = [&](bool keep_alive, int minor) {
    return to_client(head, {.framing = ClientFraming::length, .keep_alive = keep_alive, .client_minor = minor});
  };
  CHECK_FALSE(has(with(true, 1), "Connection"));
  CHECK(has(with(false, 1), "Connection: close\r\n"));
  CHECK(has(with(true, 0), "Connection: keep-alive\r\n"));
  CHECK(has(with(false, 0), "Connection: close\r\n"));
}

TEST_CASE("row 126: Date is added when it is missing, and only then") {
  CHECK(has(to_client("HTTP/1.1 200 OK\r\nDate: x\r\n\r\n", {.date = "now"}), "Date: x\r\n"));
  CHECK_FALSE(has(to_client("HTTP/1.1 200 OK\r\nDate: x\r\n\r\n", {.date = "now"}), "now"));
  CHECK(has(to_client("HTTP/1.1 200 OK\r\n\r\n", {.date = "now"}), "Date: now\r\n"));
}

TEST_CASE("row 113: an interim response carries its end-to-end fields and nothing else") {
  CHECK(to_client("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n",
                  {.keep_alive = false, .interim = true, .date = "now"}) ==
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

TEST_CASE("row 130: a missing reason is found in the table") {
  CHECK(to_client("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", {}).starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(to_client("HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", {}).starts_with("HTTP/1.1 599 Unknown\r\n"));
}

TEST_CASE("a response of our own is complete") {
  std::string out;
  append_own_response(out, {.status = 503,
                            .content_type = "text/plain",
                            .body = "busy\n",
                            .extra_fields = "Retry-After: 1\r\n",
                            .date = "now"});
  CHECK(out ==
        "HTTP/1.1 503 Service Unavailable\r\nDate: now\r\nContent-Type: text/plain\r\nContent-Length: "
        "5\r\nRetry-After: 1\r\n"
        "Connection: close\r\n\r\nbusy\n");
  out.clear();
  append_own_response(out, {.status = 404, .body = "busy\n", .keep_alive = true, .head_only = true});
  CHECK(out == "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n");
}

TEST_CASE("dates are IMF-fixdate") {
  struct Case {
    std::int64_t at;
    const char* text;
  };
  for (const Case& c :
       {Case{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, Case{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        Case{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"}, Case{253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        Case{1795305600, "Sun, 22 Nov 2026 00:00:00 GMT"}}) {
    char out[kDateLength];
    format_date(out, c.at);
    CHECK(std::string_view(out, sizeof out) == c.text);
  }
}

}  // namespace
}  // namespace rota::http::test
