// One pass, one state per quote. A value put in for ${NAME} is never split, so that one with blanks stays one word.
#include "rota/config/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "rota/config/interpolation.h"

namespace rota::config {

namespace {

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

class Splitter {
 public:
  Splitter(std::string_view text, const Resolve& resolve) : text_(text), resolve_(resolve) {}

  Words run() {
    while (at_ < text_.size() && !out_.problem) step();
    if (!out_.problem) finish_word();
    if (!out_.problem) refuse_assignment();
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void fail(std::size_t offset, std::size_t length, std::string message) {
    out_.problem = Words::Problem{offset, length, std::move(message)};
  }
  void refuse_variable(std::size_t length) {
    std::string_view name = text_.substr(at_ + 1, length - 1);
    std::string instead = name == "PORT" ? std::string("{socket} for where the worker listens")
                                         : fmt::format("${{{}}} for a variable that rota was started with", name);
    fail(at_, length,
         fmt::format("\"${}\" needs a shell, and none is used here; write {}, or command: [\"sh\", \"-c\", "
                     "\"...\"]",
                     name, instead));
  }
  void refuse_expansion(std::size_t length) {
    if (is_name_start(text_[at_ + 1])) {
      refuse_variable(length);
    } else {
      refuse(length);
    }
  }
  void refuse(std::size_t length) {
    fail(at_, length,
         fmt::format(
             "\"{}\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", \"...\"]",
             text_.substr(at_, length)));
  }

  void add(char c) {
    word_.push_back(c);
    in_word_ = true;
  }
  void finish_word() {
    if (in_word_) {
      out_.words.push_back(std::move(word_));
      out_.inserted.push_back(std::move(inserted_));
    }
    word_.clear();
    inserted_.clear();
    in_word_ = false;
  }

  void step() {
    char c = peek();
    switch (c) {
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        finish_word();
        ++at_;
        return;
      case '\'': return single_quoted();
      case '"': return double_quoted();
      case '\\': return backslash();
      case '|':
      case '&':
      case '<':
      case '>': return refuse(peek(1) == c ? 2 : 1);
      case ';':
      case '(':
      case ')':
      case '`': return refuse(1);
      case '$':
        if (take_reference()) return;
        if (std::size_t length = expansion(); length != 0) return refuse_expansion(length);
        break;
      default: break;
    }
    add(c);
    ++at_;
  }

  bool take_reference() {
    std::string_view rest = text_.substr(at_);
    std::size_t length = reference_length(rest);
    if (rest.substr(0, 3) == "$${") length = std::max(1 + reference_length(rest.substr(1)), std::size_t{3});
    if (length == 0) return false;
    rest = rest.substr(0, length);
    std::string put_in = resolve_ ? resolve_(rest) : std::string(rest);
    inserted_.push_back({word_.size(), put_in.size()});
    word_ += put_in;
    in_word_ = true;
    at_ += length;
    return true;
  }

  // The length of what a shell would expand at a $, or 0. ${...} is left alone.
  std::size_t expansion() const {
    if (peek(1) == '(') return 2;
    std::size_t length = 1;
    if (!is_name_start(peek(1))) return peek(1) >= '0' && peek(1) <= '9' ? 2 : 0;
    while (at_ + length < text_.size() && is_name(text_[at_ + length])) ++length;
    return length;
  }

  void single_quoted() {
    std::size_t start = at_++;
    in_word_ = true;
    while (at_ < text_.size()) {
      if (text_[at_] == '\'') {
        ++at_;
        return;
      }
      if (take_reference()) continue;
      word_.push_back(text_[at_++]);
    }
    fail(start, 1, "this quote is not closed");
  }

  void double_quoted() {
    std::size_t start = at_++;
    in_word_ = true;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return;
      }
      if (c == '`') return refuse(1);
      if (c == '$') {
        if (take_reference()) continue;
        if (std::size_t length = expansion(); length != 0) return refuse_expansion(length);
      }
      bool escaped =
          c == '\\' && (peek(1) == '"' || peek(1) == '\\' || peek(1) == '$' || peek(1) == '`' || peek(1) == '\n');
      if (escaped) {
        take_escaped();
        if (out_.problem) return;
        continue;
      }
      word_.push_back(c);
      ++at_;
    }
    fail(start, 1, "this quote is not closed");
  }

  void backslash() {
    if (at_ + 1 == text_.size()) return fail(at_, 1, "a backslash at the end escapes nothing");
    if (peek(1) != '\n') in_word_ = true;  // backslash and line feed: the line goes on
    take_escaped();
  }

  void take_escaped() {
    if (peek(1) == '$' && (peek(2) == '{' || (peek(2) == '$' && peek(3) == '{'))) {
      return fail(at_, 3, "variables are replaced in quotes and after backslashes, too; write $${ for the characters");
    }
    if (peek(1) != '\n') word_.push_back(peek(1));
    at_ += 2;
  }

  // NAME=value in front of a command is the shell's, too.
  void refuse_assignment() {
    if (out_.words.empty()) return;
    const std::string& first = out_.words.front();
    std::size_t length = 0;
    while (length < first.size() && is_name(first[length])) ++length;
    if (length == 0 || length == first.size() || first[length] != '=' || !is_name_start(first[0])) return;
    std::string name = first.substr(0, length);
    // With quotes or a variable in its name a shell takes it for no assignment either; and the variable may be a
    // secret.
    std::size_t offset = text_.find(name + '=');
    if (offset == std::string_view::npos) return;
    fail(offset, length + 1,
         fmt::format("\"{}=\" in front of a command needs a shell, and none is used here; write it under env", name));
  }

  std::string_view text_;
  const Resolve& resolve_;
  std::size_t at_ = 0;
  std::string word_;
  std::vector<Inserted> inserted_;  // into it
  bool in_word_ = false;            // an empty pair of quotes is a word, too
  Words out_;
};

}  // namespace

Words split_words(std::string_view text, const Resolve& resolve) { return Splitter(text, resolve).run(); }

}  // namespace rota::config
