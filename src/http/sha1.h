// SHA-1 (FIPS 180-4), for the one thing that still asks for it: WebSocket's handshake. It protects nothing there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rota::http {

std::array<std::uint8_t, 20> sha1(std::string_view text);

}  // namespace rota::http
