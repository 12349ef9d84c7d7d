// host [":" port] as RFC 9110 7.2 wants it, stricter: a registered name of unreserved characters (no percent-encoding,
// no sub-delims: no name that resolves has them, and apps build URLs from Host), a bracketed IPv6 address, or IPv4.
#pragma once

#include <string_view>

namespace rota::http {

// False for the empty text.
bool is_authority(std::string_view text);

}  // namespace rota::http
