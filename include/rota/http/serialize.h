// Heads as rota writes them: start line and framing made anew, validated fields copied one by one. What could end a
// line early cannot get in: every value was checked by a parser of ours, and is checked again (a CHECK) while it is
// copied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rota/http/message.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"

namespace rota::http {

// What the proxy knows of the client beside the head.
struct Forwarding {
  std::string_view peer = {};    // the other end's numeric address, without brackets or port; empty: it has none
  std::string_view client = {};  // who `peer` speaks for, as far as it is believed; empty: for itself
  // What the client asked for, when it told a proxy in front of us; else what we were asked for.
  std::string_view proto = "http";
  std::string_view host = {};  // empty: the request's own
  std::uint16_t port = 0;      // 0: not known
  // The request's own lists are right as far as they go: ours is added to them. Else they are made anew.
  bool extend_forwarded_for = false;
  bool extend_forwarded = false;
  bool trusted = false;  // X-Forwarded-* fields that none of these rules are about pass too
  std::string_view request_id = {};
  std::string_view via = kViaName;
};

// Appends the head for the worker: origin-form target, HTTP/1.1, Host, the client's end-to-end fields in their order,
// X-Forwarded-For/-Proto/-Host/-Port, X-Real-IP, Forwarded, X-Request-ID and Via (the client's own of these, under any
// spelling with `-`, `_` or `.`, and Proxy are dropped), framing by `head.framing`, and nothing
// hop-by-hop but what a WebSocket handshake needs, and TE: trailers.
void append_request_head(std::string& out, const RequestHead& head, const Forwarding& forwarding);

// How the response's body goes to the client.
enum class ClientFraming : std::uint8_t {
  none,         // no body and no framing field (1xx, 204, 304 without a length)
  length,       // Content-Length: `length` (also for HEAD and 304 with the worker's own figure)
  chunked,      // never to a 1.0 client (a CHECK)
  until_close,  // a 1.0 client and an unknown length; keep_alive must be false (a CHECK)
};
struct ResponseOptions {
  ClientFraming framing = ClientFraming::none;
  std::uint64_t length = 0;
  bool keep_alive = true;  // say Connection: close when false; keep-alive to a 1.0 client when true
  int client_minor = 1;
  bool interim = false;        // a 1xx: no framing, no Connection
  bool to_websocket = false;   // a 101: Connection: upgrade, Upgrade: websocket
  bool trailers = false;       // the body's trailers are passed on: so is Trailer
  std::string_view date = {};  // added when the worker sent none; empty: do not add
  std::string_view via = {};   // our pseudonym; empty: do not add
};
// Appends "HTTP/1.1 status reason" and the worker's end-to-end fields.
void append_response_head(std::string& out, const ResponseHead& head, const ResponseOptions& options);

// The end of a chunked body with these trailer fields.
void append_last_chunk(std::string& out, const std::vector<Field>& trailers);

// The reason phrase of RFC 9110 (and 6585, 7725 ...), or "Unknown".
std::string_view reason_of(int status);

// A complete response of our own (head and body) with Date, Content-Type, Content-Length.
struct OwnResponse {
  int status = 500;
  std::string_view content_type = {};
  std::string_view body = {};          // not sent when head_only
  std::string_view extra_fields = {};  // whole lines, each ended by CRLF ("Retry-After: 1\r\n")
  std::string_view date = {};
  bool keep_alive = false;
  bool head_only = false;
  int client_minor = 1;
};
void append_own_response(std::string& out, const OwnResponse& response);

// IMF-fixdate (RFC 9110 5.6.7) into exactly 29 bytes. unix_seconds may be anything from 1970 to 9999.
inline constexpr std::size_t kDateLength = 29;
void format_date(char* out, std::int64_t unix_seconds);

}  // namespace rota::http
