#include "rota/proxy/retry.h"

#include <cerrno>

namespace rota::proxy {

namespace {

bool is_connect_error(int error) { return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH; }

}  // namespace

Delivery delivery_of(const AttemptFacts& facts) {
  // A TCP write that was queued may have left in part before the connection broke: only a refused connect is certain.
  if (!facts.unix_socket) {
    return facts.connecting && is_connect_error(facts.error) ? Delivery::never : Delivery::possibly;
  }
  if (facts.bytes_accepted == 0) return Delivery::never;
  bool unread = !facts.eof && facts.error == ECONNRESET && facts.one_write;
  return unread && (!facts.has_body || facts.listener_gone || facts.reused) ? Delivery::never : Delivery::possibly;
}

bool must_go_elsewhere(Delivery delivery, const AttemptFacts& facts) {
  if (delivery == Delivery::never) return false;
  bool unread = facts.left_unread || (!facts.eof && facts.error == ECONNRESET);
  return !facts.reused || (facts.unix_socket && !unread);
}

bool may_retry(const RetryFacts& facts) {
  if (!facts.replayable) return false;
  if (facts.delivery == Delivery::never) return true;
  bool idempotent =
      facts.method == http::Method::get || facts.method == http::Method::head || facts.method == http::Method::options;
  return idempotent && facts.retries_done < facts.retries_allowed;
}

}  // namespace rota::proxy
