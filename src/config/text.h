// The file's bytes by line, and how a place in them is shown: the line with a caret below. Knows nothing of YAML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rota/config/config.h"

namespace rota::config {

// A stretch of one line. Counted in bytes, as yaml-cpp counts; what operators see is counted in characters.
struct Span {
  int line = 0;          // from 1; 0: nowhere
  std::size_t byte = 0;  // from 0, in the line
  std::size_t length = 1;
};

// Keeps a view: the text outlives it.
class Text {
 public:
  explicit Text(std::string_view text);

  std::string_view line(int number) const;  // without its line feed; empty when there is no such line
  int lines() const { return static_cast<int>(starts_.size()); }
  Place place(Span span) const;  // the column in characters
  std::string_view all() const { return text_; }
  Span at_offset(std::size_t offset) const;
  std::size_t offset_of(Span span) const;  // the end of the text for what is nowhere in it
  // "  the line\n  ^~~~\n", cut to a window around the caret, control characters made harmless.
  std::string excerpt(Span span) const;

  // The first thing that no configuration may contain: NUL, broken UTF-8, other control characters, a lone carriage
  // return.
  struct Flaw {
    std::size_t offset = 0;
    std::string message;
  };
  static bool find_flaw(std::string_view text, Flaw& flaw);

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;  // offset of each line
};

}  // namespace rota::config
