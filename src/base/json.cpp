#include "rota/base/json.h"

#include <fmt/format.h>

#include <ctime>
#include <iterator>

namespace rota {

namespace {

// Length of the valid UTF-8 sequence at the start of `text` (RFC 3629: no surrogates, no overlong forms), or 0.
std::size_t utf8_length(std::string_view text) {
  auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

bool append_json_string(std::string& out, std::string_view text, std::size_t most) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::size_t kLongest = 6;  // \u00XX
  out.push_back('"');
  while (!text.empty()) {
    if (most - out.size() <= kLongest || out.size() >= most) break;
    auto c = static_cast<unsigned char>(text[0]);
    std::size_t n = utf8_length(text);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
      n = 1;
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c < 0x20 || c == 0x7F) {
      out += "\\u00";
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 0xF]);
    } else if (c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {  // the controls that some terminals obey
      auto low = static_cast<unsigned char>(text[1]);
      out += "\\u00";
      out.push_back(kHex[low >> 4]);
      out.push_back(kHex[low & 0xF]);
    } else {
      out.append(text.substr(0, n));
    }
    text.remove_prefix(n);
  }
  out.push_back('"');
  return text.empty();
}

void append_utc_time(std::string& out, std::int64_t unix_ms) {
  std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, unix_ms % 1000);
}

std::int64_t unix_milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

std::size_t whole_characters(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text.size();
  // A lead byte stands at most three before the end of its sequence; what is no UTF-8 is cut anywhere.
  for (std::size_t at = most; at > 0 && most - at < 4; at--) {
    auto byte = static_cast<unsigned char>(text[at]);
    if ((byte & 0xC0U) == 0x80U) continue;
    std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1;  // `text` may end within it
    return at + length > most ? at : most;
  }
  return most;
}

}  // namespace rota
