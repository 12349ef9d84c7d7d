// What is wrong with a file that is not YAML, in an operator's words. Knows the words of yaml-cpp, not its types.
#pragma once

#include <string>
#include <string_view>

#include "text.h"

namespace rota::config {

// As yaml-cpp reports it: the end of the file for brackets and quotes that were never closed, for example.
struct SyntaxReport {
  Span at;
  std::string_view message;
  Span open;  // the innermost list or mapping that has begun
  Span last;  // the last value that was read
};

// Where it is best shown, and what to do about it.
struct SyntaxFault {
  Span span;
  std::string message;
};
SyntaxFault explain_syntax(const Text& lines, const SyntaxReport& report);

// Where the colon of a line such as "listen:8080" is, which YAML takes for a word; npos: it is not of this kind.
std::size_t colon_without_space(std::string_view line);

}  // namespace rota::config
