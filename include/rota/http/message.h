// The vocabulary of the http module: fields, framing, rejections. Everything here is spans into bytes that the caller keeps.
// Sans I/O: knows no socket, no buffer of its own, no time, and nothing of workers.
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
// Methods are case-sensitive (RFC 9110 9.1).
Method method_of(std::string_view token);

// How a message's body ends. Decided once, by us, from the complete list of fields (RFC 9112 6.3).
enum class BodyKind : std::uint8_t {
  none,
  length,       // exactly `length` bytes, at least 1
  chunked,
  until_close,  // responses only
};
struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;
};

// A message we refuse. For requests `status` is what the client is sent (400, 413, 414, 417, 421, 431, 501, 505);
// for responses it is always 502. `why` is a literal, one clause, without anything the peer sent.
struct Rejection {
  int status = 0;
  const char* why = "";
};

struct HeadLimits {
  std::size_t bytes = 32 * 1024;  // start line and fields, the empty line included
  std::size_t fields = 100;
  std::size_t target = 8 * 1024;
};
// Bytes of empty lines tolerated before a request line (RFC 9112 2.2).
inline constexpr std::size_t kLeadingEmptyMax = 2048;

enum class Progress : std::uint8_t { incomplete, complete, rejected };

// ASCII case-insensitive equality; `lower` must be lower-case.
bool equals_lower(std::string_view text, std::string_view lower);
// True when the comma-separated list holds this token (case-insensitive; `lower` lower-case). Empty elements are skipped.
bool list_has(std::string_view list, std::string_view lower);
bool is_token(std::string_view text);  // RFC 9110 5.6.2: 1*tchar

}  // namespace rota::http
