// The Connection field: what it says of the connection, and which fields it takes out of the message (RFC 9110 7.6.1).
#pragma once

#include <string_view>
#include <vector>

#include "rota/http/message.h"

namespace rota::http {

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool names_content_length = false;  // an attempt to unframe the message
  bool names_others = false;          // anything but the options above and TE
};

// Reads all Connection lines among `fields`. Into `nominated` go the names that there is a field for and that rota has
// no rule of its own for; each once, so that thousands of options cannot make later work long.
ConnectionOptions read_connection_options(const std::vector<Field>& fields, std::vector<std::string_view>& nominated);

// True when `nominated` has this field's name.
bool is_nominated(const std::vector<std::string_view>& nominated, std::string_view name);

}  // namespace rota::http
