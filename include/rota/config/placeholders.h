// {socket} and {slot} in commands and variables: how they are found, and how the same texts are written when they are
// to mean nothing.
//
// In double braces a placeholder is the text itself: {{socket}} is handed on as {socket}. After a $ it is a shell's,
// ${socket}, and means nothing here. All other braces are anybody's (Python, JSON, templates) and stay as they are.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

// The first word in braces that is neither, but likely to be meant as one: misspelt, or what other tools call it.
struct NearPlaceholder {
  std::size_t offset = 0;
  std::size_t length = 0;
  std::string text;        // "{sokcet}"
  std::string_view meant;  // "socket"
};
std::optional<NearPlaceholder> find_near_placeholder(std::string_view text);

// A part of a text that came from a variable.
struct Inserted {
  std::size_t offset = 0;
  std::size_t length = 0;
};
// `text` so that whoever fills placeholders hands on `text` itself where a variable brought a part of one; other
// placeholders stay what they are.
std::string without_inserted_placeholders(std::string_view text, const std::vector<Inserted>& inserted);
// All of it came from elsewhere.
std::string without_placeholders(std::string_view text);

}  // namespace rota::config
