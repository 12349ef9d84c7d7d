// Collects every mistake of one load, each with its place and the way it is shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rota/config/load.h"
#include "text.h"

namespace rota::config {

// After so many the rest is counted only: nobody reads further, and a hostile file must not cost memory by its
// mistakes.
inline constexpr std::size_t kProblemsMax = 100;

class Problems {
 public:
  Problems(std::string_view file, const Text& text) : file_(file), text_(text) {}

  // `more` is shown below the caret: whole lines, each with its line feed.
  void add(Span span, std::string message, Problem::Kind kind = Problem::Kind::configuration,
           std::string_view more = {});
  // In another file that the value at `at` names, by a path that may be relative to our file.
  void add_elsewhere(Span at, std::string_view path, const Text& text, Span span, std::string message);
  // About the command line rather than the file.
  void add_option(std::string message);
  bool empty() const { return list_.empty(); }
  // In the order of the file; what has no place comes last.
  std::vector<Problem> take();

 private:
  void keep(Problem problem);

  std::string_view file_;  // empty: a command line without one
  const Text& text_;
  std::vector<Problem> list_;
  std::size_t unlisted_ = 0;
};

}  // namespace rota::config
