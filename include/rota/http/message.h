// The vocabulary of the http module: fields, framing, rejections. Everything here is spans into bytes that the caller
// keeps. Sans I/O: knows no socket, no buffer of its own, no time, and nothing of workers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace rota::http {

// One field line; name without the colon, value without the white space around it (RFC 9112 5.1).
struct Field {
  std::string_view name;
  std::string_view value;
};

enum class Method : std::uint8_t { get, head, post, put, delete_, options, patch, trace, connect, other };
// Methods are case-sensitive (RFC 9110 9.1). `other` is any other token.
Method method_of(std::string_view token);

// How a message's body ends. Decided once, by us, from the complete list of fields (RFC 9112 6.3).
enum class BodyKind : std::uint8_t {
  none,
  length,  // exactly `length` bytes, at least 1
  chunked,
  until_close,  // responses only
};
struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;
};

// A message we refuse. For requests `status` is what the client is sent (400, 405, 413, 414, 417, 421, 431, 501, 505; a
// 405 needs an Allow field: kAllowedMethods); for responses it is always 502. `why` is a literal, one clause, without
// anything the peer sent.
struct Rejection {
  int status = 0;
  const char* why = "";
};

struct HeadLimits {
  std::size_t bytes = 32 * 1024;  // start line and fields, the empty line included
  std::size_t fields = 100;
  std::size_t target = 8 * 1024;
  // Forward a method that no registry knows. Off: 501, as RFC 9110 9.1 advises (what is registered, WebDAV included,
  // and a few that caches and UPnP made common always pass).
  bool any_method = false;
};
inline constexpr std::size_t kMethodMax = 32;  // longer than any method there is; 501
// Bytes of empty lines tolerated before a request line (RFC 9112 2.2).
inline constexpr std::size_t kLeadingEmptyMax = 2048;

// The longest body a length may announce (2^63-1), so that no sum or signed type behind us can turn. More is a 413.
inline constexpr std::uint64_t kContentLengthMax = INT64_MAX;
// Allow for a 405 of our own: CONNECT and TRACE are refused, whatever the app says.
inline constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

enum class Progress : std::uint8_t { incomplete, complete, rejected };

// ASCII case-insensitive equality; `lower` must be lower-case.
bool equals_lower(std::string_view text, std::string_view lower);
// True when the comma-separated list holds this token (case-insensitive; `lower` lower-case). Empty elements are
// skipped.
bool list_has(std::string_view list, std::string_view lower);
bool is_token(std::string_view text);  // RFC 9110 5.6.2: 1*tchar

}  // namespace rota::http
