// May a failed attempt be tried again? One pure function; the rule is the project's promise that a POST is never
// executed twice.
#pragma once

#include <cstdint>

#include "rota/http/message.h"

namespace rota::proxy {

// What is known of a failed attempt that brought no response byte.
enum class Delivery : std::uint8_t {
  never,     // the worker cannot have read any of it
  possibly,  // it may have read it
};

struct AttemptFacts {
  bool unix_socket = false;
  bool connecting = false;  // TCP: the connect had not been answered
  bool eof = false;         // else an errno in `error`
  int error = 0;
  std::uint64_t bytes_accepted = 0;  // of this request, by the kernel
  bool one_write = false;            // the whole request went out in one write of at most kOneSegmentMax bytes
  bool has_body = false;
  bool reused = false;         // the connection had served another request before
  bool listener_gone = false;  // nobody listens on the worker's socket any more: its process has died
  bool left_unread = false;    // something of the request is still in the kernel
};
inline constexpr std::size_t kOneSegmentMax = 4096;

// Linux AF_UNIX: a peer that closes with our bytes unread (or never accepted us) makes our read fail with ECONNRESET;
// one that had read everything gives EOF. A longer request may have been read in part, so that only one small write
// proves anything; and a worker that read a head without its last byte cannot have acted on it. With a body one doubt
// is left: a worker that reads byte by byte may have acted on the head and closed with the body unread. So for a body
// the listener must be gone too (the bytes were left behind by a death, not by a decision), or the connection must have
// been idle before (closing that is every worker's right at any moment, and our request crossed it).
Delivery delivery_of(const AttemptFacts& facts);

// It may have been read, and was not answered: the same upstream must not be given it again. Only where the upstream
// may have closed an idle connection just as our request came, the same one is fit: on a Unix socket it has left bytes
// of ours unread then.
bool must_go_elsewhere(Delivery delivery, const AttemptFacts& facts);

struct RetryFacts {
  Delivery delivery = Delivery::possibly;
  http::Method method = http::Method::other;
  std::uint32_t retries_done = 0;  // of possibly delivered attempts
  std::uint32_t retries_allowed = 0;
  bool replayable = false;  // head and body so far are still held
};
bool may_retry(const RetryFacts& facts);

}  // namespace rota::proxy
