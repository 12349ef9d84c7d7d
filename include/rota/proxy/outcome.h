// How an exchange ended, in one table: the word in the access log, the status sent when no response had begun, the text
// of the page.
#pragma once

#include <cstdint>

namespace rota::proxy {

enum class Outcome : std::uint8_t {
  ok,             // the worker's response, whole
  client_closed,  // the client went away first
  bad_request,    // the head or body broke a rule; the status is the rejection's
  body_too_large,
  request_timeout,       // the client was too slow with head or body
  client_write_timeout,  // the client took no bytes
  no_route,              // no app for this request
  loop_detected,         // it has come through a rota too often
  queue_full,
  queue_timeout,  // no upstream became ready in time
  poisoned,       // it was in flight at too many deaths of workers in a row
  connect_timeout,
  upstream_closed,     // EOF or reset before any response byte
  upstream_invalid,    // not an HTTP response
  upstream_timeout,    // no first byte in time
  upstream_truncated,  // the response broke off; the client sees that too
  upstream_stalled,    // nothing for timeouts.idle in the middle of a response
  tunnel_timeout,      // nothing either way for timeouts.tunnel
  shutting_down,       // the deadline of a shutdown
  count_,
};

struct OutcomeInfo {
  const char* word;   // access log
  int status;         // sent to the client when no response has begun; 0: the connection just ends
  const char* text;   // what the page says
  int retry_after_s;  // a later try may succeed: Retry-After; 0: none
};
const OutcomeInfo& info_of(Outcome outcome);

}  // namespace rota::proxy
