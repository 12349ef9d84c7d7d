// The configuration as a JSON Schema (draft 2020-12), for editors. Made of the table that the parser works by.
#pragma once

#include <string>

namespace rota::config {

// What a schema cannot say (programs that are missing, routes that are there twice, a delay longer than a timeout) only
// `rota check` finds.
std::string json_schema();

}  // namespace rota::config
