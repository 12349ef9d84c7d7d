// The little JSON writing that the log lines and error pages need, without a library.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rota {

// Appends `text` as a quoted JSON string. Bytes that are not valid UTF-8 become U+FFFD, control characters \u00XX.
// Stops before `out`, with the closing quote, would have more than `most` bytes; false: something was left out.
bool append_json_string(std::string& out, std::string_view text, std::size_t most = std::string::npos);

// 2026-11-22T13:43:06.288Z, for log lines of every kind. Milliseconds since the Unix epoch.
void append_utc_time(std::string& out, std::int64_t unix_ms);
std::int64_t unix_milliseconds();  // now, by the wall clock

// How many of the first `most` bytes of `text` to take so that no UTF-8 sequence is cut in two.
std::size_t whole_characters(std::string_view text, std::size_t most);

}  // namespace rota
