// A client's request head: found, checked, understood. The gate before everything else: what does not pass here never
// becomes a byte to a worker. Rules and their numbers: RFC 9110, 9112; house choices in docs/decisions.
#pragma once

#include <string_view>
#include <vector>

#include "rota/http/message.h"

namespace rota::http {

struct RequestHead {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;      // what goes to the worker: origin-form (path and query untouched), or "*" with OPTIONS
  std::string_view host;        // Host's value, or the authority of an absolute-form target, without userinfo; may be empty in 1.0
  int version_minor = 1;        // 0 or 1 (a higher minor counts as 1)
  std::vector<Field> fields;    // all of them, in order, Host and framing fields included
  Framing framing;
  bool keep_alive = true;       // the client's wish, by version and Connection (RFC 9112 9.3)
  bool expect_continue = false; // Expect: 100-continue in a 1.1 request
  bool te_trailers = false;     // TE contains trailers
  bool upgrade = false;         // Upgrade and Connection: upgrade, in 1.1
  // Tokens nominated by Connection, lower-cased comparison is the reader's duty; empty when there are none of interest.
  std::vector<std::string_view> nominated;

  void clear();                 // keeps the vectors' memory
};

// Reads one head from the start of `bytes` (which grow from call to call, from the same first byte).
// complete: `head` is filled with spans into `bytes`, consumed() bytes of it are the head.
// rejected: rejection() says why; nothing after it can be trusted, the connection must be closed.
// incomplete: call again with more. A head that can no longer become valid is rejected at once, not at its end.
class RequestHeadParser {
 public:
  explicit RequestHeadParser(const HeadLimits& limits) : limits_(limits) {}

  Progress parse(std::string_view bytes, RequestHead& head);
  std::size_t consumed() const { return consumed_; }
  const Rejection& rejection() const { return rejection_; }
  // No byte of a request line has come yet (only empty lines, if anything).
  bool untouched() const { return start_ == line_; }
  void reset();                          // for the next request of the connection
  void set_limits(const HeadLimits& limits) { limits_ = limits; }

 private:
  HeadLimits limits_;
  Rejection rejection_;
  std::size_t start_ = 0;     // of the request line, after empty lines
  std::size_t line_ = 0;      // start of the first line not yet checked: a restart costs nothing for what was seen
  std::size_t lines_ = 0;     // checked so far, the request line included
  std::size_t consumed_ = 0;
};

}  // namespace rota::http
