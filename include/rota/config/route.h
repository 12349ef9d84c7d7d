// A route as the file writes it: [host][:port][/path], or unix:/path of a listener. Which listeners that means is found
// out when all of the file has been read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/config/config.h"

namespace rota::config {

struct WrittenRoute {
  Route route;                        // without its listeners
  std::optional<std::uint16_t> port;  // of every listener that has it
  std::string unix_path;              // of one listener; empty: none is named

  bool names_listener() const { return port || !unix_path.empty(); }
};

// The error's context is a sentence for the operator without the key.
Result<WrittenRoute> parse_route(std::string_view text);

}  // namespace rota::config
