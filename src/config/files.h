// Reading small files that an operator has named.
#pragma once

#include <cstddef>
#include <string>

namespace rota::config {

// "" and at most `most` + 1 bytes of a regular file, or what is wrong: "is a directory, not a file".
std::string read_file(const std::string& path, std::size_t most, std::string& text);

}  // namespace rota::config
