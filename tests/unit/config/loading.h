// What the tests of config/ share: loading a text as if it were rota.yaml, and reading what is shown of a problem.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rota/config/load.h"

namespace rota::config::testing {

inline Loaded load_yaml(std::string_view text) { return load_text(text, "/tmp/rota.yaml", Source{}); }

// "2:3: message", or the message alone for what has no place.
inline std::string placed(const Problem& problem) {
  if (problem.place.line == 0) return problem.message;
  return std::to_string(problem.place.line) + ":" + std::to_string(problem.place.column) + ": " + problem.message;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The text above the caret and its tail; for lines of ASCII.
inline std::string marked(const Problem& problem) {
  auto lines = lines_of(problem.shown);
  if (lines.size() < 3) return "";
  std::size_t caret = lines[2].find('^');
  if (caret == std::string::npos || caret >= lines[1].size()) return "";
  return lines[1].substr(caret, lines[2].size() - caret);
}

}  // namespace rota::config::testing
