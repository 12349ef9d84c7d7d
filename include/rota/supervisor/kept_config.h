// The configuration in force as bytes, kept by the keeper: a supervisor that starts after a crash goes on with what its
// predecessor had, whatever has become of the file, its env files and the environment meanwhile. A crash is never a
// reload. Values and not the file's text: nothing has to be looked up, interpolated or checked again.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rota/config/config.h"

namespace rota::supervisor {

inline constexpr const char* kKeptConfigName = "config";  // on the keeper's shelf
inline constexpr std::uint32_t kKeptConfigVersion = 2;    // first in the bytes; another one is not read

std::string encode_config(config::Config config);  // a copy: one walk writes and reads
std::string encode_app(config::App app);
// Empty: another version, or damaged.
std::optional<config::Config> decode_config(std::string_view bytes);
std::optional<config::App> decode_app(std::string_view bytes);

}  // namespace rota::supervisor
