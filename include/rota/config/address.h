// Addresses as the file and the command line write them. Names are not resolved here.
#pragma once

#include <string_view>

#include "rota/base/result.h"
#include "rota/config/config.h"

namespace rota::config {

enum class AddressUse {
  listener,  // "8080", "*:8080", "host:0" besides
  server,    // needs a host and a port that can be connected to
};

// The error's context is a sentence for the operator without the key: `has no port; write "localhost:8080"`.
Result<Address> parse_address(std::string_view text, AddressUse use);

}  // namespace rota::config
