// How long a message is, from all of its Content-Length and Transfer-Encoding lines and from nothing else (RFC 9112 6).
// Exactly one of: none, one valid Content-Length, exactly "chunked". Two readings are no reading.
#pragma once

#include <cstdint>
#include <string_view>

#include "rota/http/message.h"

namespace rota::http {

struct FramingFields {
  unsigned content_lengths = 0;
  std::string_view content_length;
  unsigned transfer_encodings = 0;
  unsigned codings = 0;
  unsigned chunked = 0;
  bool chunked_last = false;
  bool malformed = false;  // an empty element, a parameter, anything that is no token

  void add_content_length(std::string_view value);
  void add_transfer_encoding(std::string_view value);
};

// Status 0: `framing` is set.
Rejection judge_request_framing(const FramingFields& fields, int version_minor, Framing& framing);

// The framing fields of a response, whatever its status makes of them. nullptr: fine.
const char* judge_response_framing(const FramingFields& fields, int version_minor, std::uint64_t& length);

// 1*DIGIT below 2^64 into `number`; a number that is larger becomes 2^64-1. False: not 1*DIGIT.
bool read_decimal(std::string_view digits, std::uint64_t& number);

}  // namespace rota::http
