// {socket} and {slot} in commands and variables: how they are found, and how braces that mean nothing are written.
//
// A placeholder is a word of lower-case letters and underscores in braces: {socket}. In double braces it is the word
// itself: {{socket}} is handed on as {socket}. After a $ it is a shell's, ${name}, and means nothing here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace rota::config {

inline constexpr std::string_view kSocketPlaceholder = "socket";
inline constexpr std::string_view kSlotPlaceholder = "slot";

struct Placeholder {
  std::size_t offset = 0;  // of the first brace
  std::size_t length = 0;  // with all its braces
  std::string_view word;   // without
  bool literal = false;    // in double braces
};

// The first one at `from` or after it.
std::optional<Placeholder> find_placeholder(std::string_view text, std::size_t from = 0);

// What is wrong with the first one that is neither of the two nor literal: a sentence for the operator. Empty: nothing.
struct PlaceholderProblem {
  std::size_t offset = 0;
  std::size_t length = 0;
  std::string message;
};
std::optional<PlaceholderProblem> find_unknown_placeholder(std::string_view text);

// `text` so that whoever fills placeholders hands on `text`.
std::string without_placeholders(std::string_view text);

}  // namespace rota::config
