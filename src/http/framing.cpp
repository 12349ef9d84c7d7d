#include "framing.h"

#include "octets.h"

namespace rota::http {

void FramingFields::add_content_length(std::string_view value) {
  ++content_lengths;
  content_length = value;
}

void FramingFields::add_transfer_encoding(std::string_view value) {
  ++transfer_encodings;
  for_each_element(value, [this](std::string_view coding) {
    // "identity" is the name of no coding any more (RFC 9112 7.3).
    if (!is_token(coding) || equals_lower(coding, "identity")) malformed = true;
    chunked_last = equals_lower(coding, "chunked");
    if (chunked_last) ++chunked;
    ++codings;
  });
}

bool read_decimal(std::string_view digits, std::uint64_t& number) {
  if (digits.empty()) return false;
  std::uint64_t sum = 0;
  bool over = false;
  for (const char octet : digits) {
    if (!is_digit(octet)) return false;
    std::uint64_t next = 0;
    over |= __builtin_mul_overflow(sum, std::uint64_t{10}, &next);
    over |= __builtin_add_overflow(next, static_cast<std::uint64_t>(octet - '0'), &next);
    sum = next;
  }
  number = over ? UINT64_MAX : sum;
  return true;
}

Rejection judge_request_framing(const FramingFields& fields, int version_minor, Framing& framing) {
  framing = {};
  if (fields.transfer_encodings > 0) {
    if (fields.content_lengths > 0) return {400, "Content-Length beside Transfer-Encoding"};
    if (version_minor == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
    if (fields.malformed) return {400, "a malformed Transfer-Encoding"};
    if (fields.chunked > 1 || (fields.chunked == 1 && !fields.chunked_last)) {
      return {400, "chunked is not the one and last transfer coding"};
    }
    if (fields.codings != 1 || fields.chunked != 1) return {501, "a transfer coding other than chunked"};
    framing.kind = BodyKind::chunked;
    return {};
  }
  if (fields.content_lengths == 0) return {};
  if (fields.content_lengths > 1) return {400, "more than one Content-Length"};
  std::uint64_t length = 0;
  const std::string_view digits = fields.content_length;
  if (!read_decimal(digits, length)) return {400, "Content-Length is not a number"};
  // Grammatical, but a C program behind us may take it for octal.
  if (digits.size() > 1 && digits[0] == '0') return {400, "Content-Length starts with a zero"};
  if (length > kContentLengthMax) return {413, "a body larger than any limit"};
  if (length > 0) framing = {BodyKind::length, length};
  return {};
}

const char* judge_response_framing(const FramingFields& fields, int version_minor, std::uint64_t& length) {
  if (fields.transfer_encodings > 0) {
    if (fields.content_lengths > 0) return "Content-Length beside Transfer-Encoding";
    if (version_minor == 0) return "Transfer-Encoding in HTTP/1.0";
    if (fields.malformed || fields.codings != 1 || fields.chunked != 1)
      return "a Transfer-Encoding that is not just chunked";
    return nullptr;
  }
  if (fields.content_lengths == 0) return nullptr;
  if (fields.content_lengths > 1) return "more than one Content-Length";
  if (!read_decimal(fields.content_length, length)) return "Content-Length is not a number";
  if (length > kContentLengthMax) return "a body larger than any limit";
  return nullptr;
}

}  // namespace rota::http
