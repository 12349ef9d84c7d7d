// A command as one string, split into words as a POSIX shell splits them: blanks, quotes and backslashes, but no
// expansion and no operator. Whatever would need a real shell is refused rather than handed to the program as it is: a
// command that silently runs with a literal "|" or "$PORT" is worse than one that does not start.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/placeholders.h"

namespace rota::config {

struct Words {
  struct Problem {
    std::size_t offset = 0;  // in the text, of the first byte at fault
    std::size_t length = 1;
    std::string message;
  };
  std::vector<std::string> words;               // only meaningful without a problem; may be empty
  std::vector<std::vector<Inserted>> inserted;  // of each word, what `resolve` said
  std::optional<Problem> problem;
};

// What stands in a word for a "${...}" or for the "$${" of an escape.
using Resolve = std::function<std::string(std::string_view reference)>;

// `resolve` is asked for each of them, wherever it stands, and what it says is never read again: no quotes, backslashes
// or blanks in it count, and nothing that is put together from pieces becomes a reference. Without it they stay.
Words split_words(std::string_view text, const Resolve& resolve = {});

}  // namespace rota::config
