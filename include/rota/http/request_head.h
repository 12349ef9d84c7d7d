// A client's request head: found, checked, understood. The gate before everything else: what does not pass here never
// becomes a byte to a worker. Rules and their numbers: RFC 9110, 9112; house choices in docs/decisions.
#pragma once

#include <string_view>
#include <vector>

#include "rota/http/head_scan.h"
#include "rota/http/message.h"

namespace rota::http {

struct RequestHead {
  RequestHead() = default;
  RequestHead(RequestHead&&) = default;  // the views stay valid: a vector's memory moves along
  RequestHead& operator=(RequestHead&&) = default;
  RequestHead(const RequestHead&) = delete;  // a copy's target might point into the original
  RequestHead& operator=(const RequestHead&) = delete;

  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;  // what goes to the worker: origin-form (path and query untouched), or "*" with OPTIONS
  std::string_view
      host;  // Host's value, or the authority of an absolute-form target, without userinfo; may be empty in 1.0
  int version_minor = 1;      // 0 or 1 (a higher minor counts as 1)
  std::vector<Field> fields;  // all of them, in order, Host and framing fields included
  Framing framing;
  bool keep_alive = true;        // the client's wish, by version and Connection (RFC 9112 9.3)
  bool expect_continue = false;  // Expect: 100-continue in a 1.1 request
  bool te_trailers = false;      // TE contains trailers
  bool upgrade = false;          // Upgrade and Connection: upgrade, in 1.1
  // A GET that offers WebSocket with a valid handshake: the one upgrade that goes to the worker (RFC 6455 4.2.1).
  bool websocket = false;
  std::string_view websocket_key;
  // Connection names more than options we know: a trailer of that name must not be passed on either.
  bool nominates_trailers = false;
  // Max-Forwards of an OPTIONS request, capped at kMaxForwardsMax; -1: none. At 0 the proxy answers itself (RFC
  // 9110 7.6.2).
  int max_forwards = -1;
  // X-Request-ID, when it is there once and is 1 to kRequestIdMax of its characters; else empty.
  std::string_view request_id;
  unsigned own_vias = 0;        // Via entries with our own pseudonym: how often the request has come through a rota
  bool has_forwarding = false;  // fields that claim who the client is, under their proper names
  // Names nominated by Connection for which there is a field, each once; comparison is case-insensitive.
  std::vector<std::string_view> nominated;
  // Memory for the one target that is not a piece of the input: "/?q" made of "http://host?q".
  std::vector<char> made_target;

  void clear();  // keeps the vectors' memory
};

// A body that means nothing (GET, HEAD, DELETE: RFC 9110 9.3.1 to 9.3.5; OPTIONS: 9.3.7) is left unread by many
// workers, which then take it for the next request. So such a request says close to its worker and is the last of its
// connection.
bool is_last_of_connection(const RequestHead& head);

inline constexpr int kMaxForwardsMax = 255;
inline constexpr std::size_t kRequestIdMax = 128;
inline constexpr std::string_view kViaName = "rota";  // our pseudonym (RFC 9110 7.6.3)

// Reads one head from the start of `bytes` (which grow from call to call, from the same first byte; they may have
// moved). complete: `head` is filled with spans into `bytes`, consumed() bytes of it are the head. rejected:
// rejection() says why; nothing after it can be trusted, the connection must be closed. incomplete: call again with
// more. What breaks the grammar is rejected at the octet that breaks it; what only the whole list of fields can tell
// (Host, framing, Expect) at the end of the head. The verdict does not depend on how the bytes came. The same bytes are
// shown to llhttp as a second opinion (RFC 9112 11.2); where the two differ the request is refused.
class RequestHeadParser {
 public:
  explicit RequestHeadParser(const HeadLimits& limits) : limits_(limits) {}

  Progress parse(std::string_view bytes, RequestHead& head);
  std::size_t consumed() const { return consumed_; }
  const Rejection& rejection() const { return rejection_; }
  // No byte of a request line has come yet (only empty lines, if anything).
  bool untouched() const {
    return scan_.part == HeadScan::Part::empty_lines || scan_.part == HeadScan::Part::empty_line_lf;
  }
  void reset();  // for the next request of the connection
  // Where an incomplete head has got to. Whoever keeps that beside the bytes may use one parser for many connections.
  const HeadScan& scan_state() const { return scan_; }
  void resume(const HeadScan& scan);
  void set_limits(const HeadLimits& limits) { limits_ = limits; }

 private:
  Progress scan(std::string_view bytes, RequestHead& head);
  Progress reject(const Rejection& rejection);

  HeadLimits limits_;
  Rejection rejection_;
  HeadScan scan_;
  std::size_t consumed_ = 0;
};

}  // namespace rota::http
