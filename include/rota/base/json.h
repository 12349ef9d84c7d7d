// The little JSON writing that the data path needs (access log, error pages) without a library.
#pragma once

#include <string>
#include <string_view>

namespace rota {

// Appends `text` as a quoted JSON string. Bytes that are not valid UTF-8 become U+FFFD, control characters \u00XX.
void append_json_string(std::string& out, std::string_view text);

}  // namespace rota
