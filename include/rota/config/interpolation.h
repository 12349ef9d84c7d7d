// ${NAME} and ${NAME:-default} in the values of the file, from rota's own environment. Works on a value that YAML has
// already been read from, so that no variable can change what the file's parts are. Knows nothing of YAML and places.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/placeholders.h"

namespace rota::config {

inline constexpr std::size_t kInterpolatedMax = 1024 * 1024;  // bytes of all values with a variable in them

struct Interpolated {
  struct Problem {
    std::size_t offset = 0;  // in the source, of the first byte at fault
    std::size_t length = 1;
    std::string message;
  };
  std::string text;                // only meaningful without a problem
  std::vector<Inserted> inserted;  // the parts of it that are a variable or its default
  bool from_environment = false;   // a variable or its default is part of it
  bool secret = false;             // ... one whose name or value says that it should not be shown
  std::optional<Problem> problem;
};

// ":-" as in a shell: the default stands in for an empty variable, too. "$${" becomes "${"; every other "$" stays.
// A text that is longer than kInterpolatedMax ends there.
Interpolated interpolate(std::string_view source);

// SECRET, PASS, TOKEN, KEY, CREDENTIAL, DSN, PRIVATE or AUTH in it, capitals or not.
bool names_a_secret(std::string_view variable);
// A URL with a password in it, "postgres://user:password@host/name".
bool has_a_password(std::string_view value);

// The length of the "${...}" at the start of `text`, its closing brace included; 0: it is none, or is not closed.
std::size_t reference_length(std::string_view text);

}  // namespace rota::config
