#include "syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rota::config {

namespace {

// yaml-cpp's messages in an operator's words; the two versions differ in some of them.
struct Wording {
  std::string_view yaml_cpp;
  std::string_view ours;
};
constexpr std::array<Wording, 9> kWordings{{
    {"illegal map value", "no \": \" is possible here: check the indentation, or quote a value that contains \": \""},
    {"end of map not found", "the mapping cannot go on here: check the indentation, or quote the value"},
    {"end of sequence not found", "the list cannot go on here: check the indentation, or quote the value"},
    {"the referenced anchor is not defined", "this alias names no anchor"},
    {"unknown token", "this character is not possible here: quote the value"},
    {"illegal block entry", "a list cannot begin here: check the indentation"},
    {"cannot assign multiple anchors", "a value can have one anchor only"},
    {"illegal tag", "tags are not supported"},
    {"unknown escape character", "no escape begins so: write \"\\\\\" for a backslash, or use single quotes"},
}};

// In the rest of that line: its braces are YAML's there.
std::size_t bare_variable(const Text& lines, Span from) {
  std::string_view line = lines.line(from.line);
  std::size_t at = line.find("${", from.byte);
  bool is_quoted = at != std::string_view::npos && line.substr(0, at).find_first_of("\"'", from.byte) != line.npos;
  return is_quoted ? std::string_view::npos : at;
}

// Brackets and braces that end in the middle of something, or never.
SyntaxFault explain_brackets(const Text& lines, const SyntaxReport& report) {
  Span open = report.open;
  if (std::size_t variable = bare_variable(lines, open); variable != std::string_view::npos) {
    return {Span{open.line, variable, 2}, "between brackets or braces a variable needs quotes, as in \"${NAME}\""};
  }
  bool is_list = report.message.find("sequence") != std::string_view::npos;
  bool is_in_line = report.at.line == open.line && report.at.byte > open.byte;
  if (is_in_line && report.at.byte < lines.line(open.line).size()) {
    return {report.at, fmt::format("a \",\" or \"{}\" is missing before this", is_list ? ']' : '}')};
  }
  return {Span{open.line, open.byte, 1}, is_list ? "this \"[\" is not closed" : "this \"{\" is not closed"};
}

// "listen:8080" goes on as one text over the lines below, until one of them has a ": ".
bool find_missing_space(const Text& lines, Span at, Span& found) {
  for (int number = at.line - 1; number > 0; --number) {
    std::string_view line = lines.line(number);
    std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos || line[begin] == '#') continue;
    std::size_t colon = colon_without_space(line);
    if (colon == std::string_view::npos) return false;
    found = {number, colon, 1};
    return true;
  }
  return false;
}

}  // namespace

std::size_t colon_without_space(std::string_view line) {
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyz_";
  std::size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return begin;
  std::size_t end = line.find_first_not_of(kWord, begin);
  bool is_key = end != std::string_view::npos && end > begin && line[end] == ':';
  if (!is_key || end + 1 == line.size() || line.find(": ", end) != std::string_view::npos) return line.npos;
  return line[end + 1] == ' ' || line.substr(end + 1, 2) == "//" ? line.npos : end;
}

SyntaxFault explain_syntax(const Text& lines, const SyntaxReport& report) {
  std::string_view message = report.message;
  if (message.find("flow not found") != std::string_view::npos) return explain_brackets(lines, report);
  if (message == "illegal EOF in scalar") {
    return {report.last.line > 0 ? report.last : Span{1, 0, 1}, "the quote that begins after this is not closed"};
  }
  Span span = report.at;
  std::string_view line = lines.line(span.line);
  if (span.byte < line.size() && line[span.byte] == '\t') return {span, "a tab cannot indent; use spaces"};
  std::size_t tab = line.find('\t');
  if (tab != std::string_view::npos && tab == line.find_first_not_of(' ')) {
    return {Span{span.line, tab, 1}, "a tab cannot indent; use spaces"};
  }
  if (std::size_t at = line.find(": [::"); at != std::string_view::npos) {
    return {Span{span.line, at + 2, 4}, "an address with brackets needs quotes, as in \"[::]:8080\""};
  }
  if (Span missing; message == "illegal map value" && find_missing_space(lines, span, missing)) {
    return {missing, "a space is missing behind this \":\""};
  }
  bool is_after_escape = span.byte >= 2 && span.byte <= line.size() && line[span.byte - 2] == '\\';
  if (message.substr(0, 7) == "unknown" && is_after_escape) span = {span.line, span.byte - 2, 2};
  for (const Wording& wording : kWordings) {
    if (message.substr(0, wording.yaml_cpp.size()) == wording.yaml_cpp) return {span, std::string(wording.ours)};
  }
  std::string text = "not valid YAML: " + std::string(message);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return {span, std::move(text)};
}

}  // namespace rota::config
