#include "rota/config/env_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace rota::config {

namespace {

constexpr std::size_t kProblemsMax = 100;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_start(c) || (c >= '0' && c <= '9'); }

class EnvReader {
 public:
  explicit EnvReader(std::string_view text) : text_(text), at_(text.substr(0, 3) == "\xEF\xBB\xBF" ? 3 : 0) {
    for (char c : text) out_.shown += is_blank(c) || std::string_view("\"'\\$#\r\n").find(c) != text.npos ? c : '*';
  }

  EnvFile run() {
    while (at_ < text_.size() && out_.problems.size() < kProblemsMax) {
      assignment();
      at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
    }
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool at_line_end() const { return at_ >= text_.size() || peek() == '\n' || (peek() == '\r' && peek(1) == '\n'); }
  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }
  void fail(std::size_t offset, std::size_t length, std::string message) {
    is_good_ = false;
    out_.problems.push_back({offset, length, std::move(message)});
  }

  // One line, or several where a quoted value goes on; at_ is left in the last of them.
  void assignment() {
    is_good_ = true;
    skip_blanks();
    if (at_line_end() || peek() == '#') return;
    if (text_.substr(at_, 6) == "export" && is_blank(peek(6))) {
      at_ += 6;
      skip_blanks();
    }
    std::size_t start = at_;
    if (is_start(peek())) {
      while (is_name(peek())) ++at_;
    }
    std::string name(text_.substr(start, at_ - start));
    if (name.empty()) return fail(at_, 1, "a line is NAME=value, and a name begins with a letter or \"_\"");
    std::size_t after = at_;
    skip_blanks();
    if (at_line_end()) return fail(start, name.size(), "there is no \"=\" after this; write NAME= for an empty value");
    if (peek() != '=') return fail(at_, 1, "a name has letters, digits and \"_\", and \"=\" comes after it");
    out_.shown.replace(start, at_ - start + 1, text_.substr(start, at_ - start + 1));
    if (at_ > after) return fail(after, at_ - after, "a blank before \"=\"; write NAME=value");
    ++at_;
    std::string value;
    read_value(value);
    if (is_good_) keep(start, std::move(name), std::move(value));
  }

  void keep(std::size_t offset, std::string name, std::string value) {
    auto [first, is_new] = places_.try_emplace(name, offset);
    if (!is_new) {
      auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(first->second), '\n');
      return fail(offset, name.size(), fmt::format("this name is given twice; the first is in line {}", line));
    }
    out_.variables.emplace_back(std::move(name), std::move(value));
  }

  void read_value(std::string& value) {
    std::size_t start = at_;
    skip_blanks();
    bool is_empty = at_line_end() || (peek() == '#' && at_ > start);
    if (is_empty) return;
    if (at_ > start) return fail(start, at_ - start, "a blank after \"=\"; write NAME=value, or quote the value");
    if (peek() == '\'') return single_quoted(value);
    if (peek() == '"') return double_quoted(value);
    for (; !at_line_end() && !(peek() == '#' && is_blank(text_[at_ - 1])); ++at_) take(value);
    while (!value.empty() && is_blank(value.back())) value.pop_back();
  }

  // One byte that stands for itself, unless a shell, or another reader of such files, would put something else there.
  void take(std::string& value) {
    constexpr std::string_view kAsItIs = "put the value in single quotes to have it as it is";
    value += peek();
    if (!is_good_) return;
    if (peek() == '\0') fail(at_, 1, "a NUL byte; no variable can have one");
    if (peek() == '`') fail(at_, 1, fmt::format("commands are not run here; {}", kAsItIs));
    if (peek() == '$' && peek(1) == '(') fail(at_, 2, fmt::format("commands are not run here; {}", kAsItIs));
    if (peek() == '$' && peek(1) == '{') fail(at_, 2, fmt::format("variables are not replaced here; {}", kAsItIs));
  }

  void single_quoted(std::string& value) {
    std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return not_closed(at_);
    value = text_.substr(at_ + 1, end - at_ - 1);
    if (std::size_t nul = value.find('\0'); nul != std::string::npos) {
      fail(at_ + 1 + nul, 1, "a NUL byte; no variable can have one");
    }
    at_ = end + 1;
    nothing_more();
  }

  void double_quoted(std::string& value) {
    std::size_t start = at_++;
    for (; at_ < text_.size() && peek() != '"'; ++at_) {
      if (peek() == '\\') {
        escape(value);
      } else {
        take(value);
      }
    }
    if (at_ >= text_.size()) return not_closed(start);
    ++at_;
    nothing_more();
  }

  void escape(std::string& value) {
    constexpr std::string_view kEscapes = "ntr\"\\$`";
    constexpr std::string_view kMeant = "\n\t\r\"\\$`";
    ++at_;
    std::size_t which = at_ < text_.size() ? kEscapes.find(peek()) : std::string_view::npos;
    if (which != std::string_view::npos) {
      value += kMeant[which];
    } else if (is_good_) {
      fail(at_ - 1, 1, R"(no escape begins so; there are \n \t \r \" \\ \$, and "\\" is a backslash)");
    }
  }

  // Nothing behind it can be told from its value.
  void not_closed(std::size_t quote) {
    if (is_good_) fail(quote, 1, "this quote is not closed");
    at_ = text_.size();
  }

  // After a closing quote.
  void nothing_more() {
    std::size_t after = at_;
    skip_blanks();
    bool is_end = at_line_end() || (peek() == '#' && at_ > after);
    if (!is_end && is_good_) {
      fail(at_, 1, "nothing can stand after the closing quote; a double quote in a value is written \\\"");
    }
  }

  std::string_view text_;
  std::size_t at_;
  bool is_good_ = true;                        // of the assignment that is being read
  std::map<std::string, std::size_t> places_;  // of the names
  EnvFile out_;
};

}  // namespace

EnvFile parse_env_file(std::string_view text) { return EnvReader(text).run(); }

}  // namespace rota::config
