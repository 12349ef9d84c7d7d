// Worker output as text: bytes to lines, lines to what an operator's terminal or journal may safely show. Pure.
#pragma once

#include <deque>
#include <string>
#include <string_view>

namespace rota::supervisor {

inline constexpr std::size_t kOutputLineMax = 16 * 1024;  // a longer line is shown in pieces
inline constexpr std::size_t kLastLinesMax = 20;          // of stderr, kept per worker for messages
inline constexpr std::size_t kLastLineBytesMax = 500;     // of each of these

// Splits at line feeds wherever the reads happened to end.
class LineSplitter {
 public:
  // emit(std::string_view line, bool continues): without its line feed and one carriage return; `continues`: a piece of
  // a line that was too long, or (from flush) had no end.
  template <class Emit>
  void feed(std::string_view bytes, Emit emit) {
    while (!bytes.empty()) {
      std::size_t room = kOutputLineMax - partial_.size();
      std::size_t end = bytes.substr(0, room + 1).find('\n');
      if (end == std::string_view::npos) {
        std::string_view piece = bytes.substr(0, room);
        partial_ += piece;
        bytes.remove_prefix(piece.size());
        if (partial_.size() < kOutputLineMax) return;
        if (bytes.empty() || bytes.front() == '\n') return;  // it may end exactly here
        emit(std::string_view(partial_), true);
        partial_.clear();
        continue;
      }
      partial_ += bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
      if (!partial_.empty() && partial_.back() == '\r') partial_.pop_back();
      emit(std::string_view(partial_), false);
      partial_.clear();
    }
  }
  template <class Emit>
  void flush(Emit emit) {
    if (partial_.empty()) return;
    emit(std::string_view(partial_), true);
    partial_.clear();
  }

 private:
  std::string partial_;  // at most kOutputLineMax
};

enum class Colours : unsigned char { pass, strip };
// Control bytes become \xNN, tabs stay. Colour sequences (ESC [ digits ; m) pass or vanish; every other escape sequence
// is shown escaped, so that no worker can move the cursor or forge a line.
void append_shown(std::string& out, std::string_view line, Colours colours);

// The last lines of one worker's stderr.
class LastLines {
 public:
  void add(std::string_view line);
  const std::deque<std::string>& all() const { return lines_; }  // oldest first

 private:
  std::deque<std::string> lines_;
};

}  // namespace rota::supervisor
