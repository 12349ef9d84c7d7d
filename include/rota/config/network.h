// Networks as trusted_proxies writes them: "10.0.0.0/8", "fd00::/8", a single address.
#pragma once

#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/config/config.h"

namespace rota::config {

// The error's context is a sentence for the operator without the key.
Result<Network> parse_network(std::string_view text);

// As it would be written: "10.0.0.0/8", "192.0.2.1".
std::string format_network(const Network& network);

}  // namespace rota::config
