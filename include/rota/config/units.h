// Times and sizes as the file writes them: "250ms", "1.5s", "1h", "32KiB". One spelling per unit, so that no file can
// mean two things. Knows nothing of YAML and places.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/units.h"

namespace rota::config {

// The error's context is the whole sentence for the operator, without the key: "needs a unit; write 5s".
Result<Duration> parse_duration(std::string_view text);  // ms, s, m, h, d; a fraction if it is a whole number of ms
Result<Bytes> parse_size(std::string_view text);         // B, KiB, MiB, GiB; a bare 0
Result<std::uint64_t> parse_count(std::string_view text);

// With the largest unit that divides it: "90s", "24h", "1500ms".
std::string format_duration(Duration duration);
std::string format_size(Bytes size);

// For messages: quoted, cut after 64 bytes, control bytes and broken UTF-8 escaped.
std::string in_quotes(std::string_view text);

}  // namespace rota::config
