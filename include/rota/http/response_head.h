// A worker's response head. Workers are not trusted either: what is not a valid head is a 502.
#pragma once

#include <string_view>
#include <vector>

#include "rota/http/head_scan.h"
#include "rota/http/message.h"

namespace rota::http {

struct ResponseHead {
  int status = 0;           // 100..599
  std::string_view reason;  // filtered to HTAB, SP, VCHAR and obs-text; empty when it held anything else
  int version_minor = 1;
  std::vector<Field> fields;
  Framing framing;                  // of the body that follows on the wire (none for HEAD, 1xx, 204, 304)
  bool keep_alive = true;           // the worker's connection may be used again after this response
  bool close_announced = false;     // by Connection: close, or by HTTP/1.0: the worker means to end the connection
  bool has_content_length = false;  // it carried a valid Content-Length (a HEAD or 304 response passes it on)
  std::uint64_t content_length = 0;
  std::uint32_t keep_alive_timeout_s = 0;   // Keep-Alive: timeout=N; 0: not said
  std::uint32_t keep_alive_max = 0;         // Keep-Alive: max=N; 0: not said
  std::vector<std::string_view> nominated;  // as in RequestHead
  bool nominates_trailers = false;          // likewise

  void clear();
};

// As RequestHeadParser. `to` is the method of the request this answers: it decides whether a body follows.
// Bare LF line ends, folds and empty names are refused; white space before a colon is removed (RFC 9112 5.1), but
// refused where the field decides the framing. Empty lines before the status line are skipped.
class ResponseHeadParser {
 public:
  explicit ResponseHeadParser(const HeadLimits& limits) : limits_(limits) {}

  Progress parse(std::string_view bytes, Method to, ResponseHead& head);
  std::size_t consumed() const { return consumed_; }
  const Rejection& rejection() const { return rejection_; }
  void reset();
  // Where an incomplete head has got to. Whoever keeps that beside the bytes may use one parser for many connections.
  const HeadScan& scan_state() const { return scan_; }
  void resume(const HeadScan& scan);

 private:
  Progress scan(std::string_view bytes, ResponseHead& head);
  Progress reject(const char* why);

  HeadLimits limits_;
  Rejection rejection_;
  HeadScan scan_;
  std::size_t consumed_ = 0;
};

}  // namespace rota::http
