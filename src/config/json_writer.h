// Writes JSON with two blanks per level, for people and tools alike. Knows no values: whoever calls says what comes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/json.h"

namespace rota::config {

class JsonWriter {
 public:
  void begin_object() { begin('{'); }
  void begin_list() { begin('['); }
  void end_object() { end('}'); }
  void end_list() { end(']'); }

  // In an object, before each value.
  void key(std::string_view name) {
    separate();
    append_json_string(out_, name);
    out_ += ": ";
    after_key_ = true;
  }
  void text(std::string_view value) {
    separate();
    append_json_string(out_, value);
  }
  void number(std::int64_t value) {
    separate();
    out_ += std::to_string(value);
  }
  void boolean(bool value) {
    separate();
    out_ += value ? "true" : "false";
  }
  void field(std::string_view name, std::string_view value) {
    key(name);
    text(value);
  }

  std::string take() { return std::move(out_) + "\n"; }

 private:
  void begin(char bracket) {
    separate();
    out_ += bracket;
    ++depth_;
    is_first_ = true;
  }
  void end(char bracket) {
    --depth_;
    if (!is_first_) new_line();
    out_ += bracket;
    is_first_ = false;
  }
  void separate() {
    if (after_key_) {
      after_key_ = false;
      return;
    }
    if (depth_ == 0) return;
    if (!is_first_) out_ += ',';
    is_first_ = false;
    new_line();
  }
  void new_line() {
    out_ += '\n';
    out_.append(depth_ * 2, ' ');
  }

  std::string out_;
  std::size_t depth_ = 0;
  bool is_first_ = true;  // nothing stands in the innermost bracket yet
  bool after_key_ = false;
};

}  // namespace rota::config
