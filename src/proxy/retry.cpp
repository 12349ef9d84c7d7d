#include "rota/proxy/retry.h"

#include <cerrno>

namespace rota::proxy {

Delivery delivery_of(const AttemptFacts& facts) {
  if (facts.bytes_accepted == 0) return Delivery::never;
  if (facts.unix_socket && !facts.eof && facts.error == ECONNRESET && facts.one_write) return Delivery::never;
  return Delivery::possibly;
}

bool may_retry(const RetryFacts& facts) {
  if (!facts.replayable) return false;
  if (facts.delivery == Delivery::never) return true;
  bool idempotent =
      facts.method == http::Method::get || facts.method == http::Method::head || facts.method == http::Method::options;
  return idempotent && facts.retries_done < facts.retries_allowed;
}

}  // namespace rota::proxy
