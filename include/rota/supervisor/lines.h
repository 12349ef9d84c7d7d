// Worker output as text: bytes to lines, lines to what an operator's terminal, journal or log collector may safely be
// given. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/json.h"
#include "rota/config/config.h"

namespace rota::supervisor {

inline constexpr std::size_t kOutputLineMax = 16 * 1024;  // a longer line is shown in pieces
inline constexpr std::size_t kLastLinesMax = 20;          // of stderr, kept per worker for messages
inline constexpr std::size_t kLastLineBytesMax = 500;     // of each of these

// Splits at line feeds wherever the reads happened to end.
class LineSplitter {
 public:
  // emit(std::string_view line, bool continues): without its line feed; `continues`: a piece of a line that was too
  // long (never cut inside a character), or (from flush) had no end.
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
        std::size_t cut = whole_characters(partial_ + bytes.front(), kOutputLineMax);
        emit(std::string_view(partial_).substr(0, cut), true);
        partial_.erase(0, cut);
        continue;
      }
      partial_ += bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
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

enum class OutputKind : std::uint8_t { standard_output, standard_error };

// Whose line it is.
struct WorkerTag {
  std::string app;
  std::uint32_t slot = 0;
  int pid = 0;
  std::uint64_t generation = 0;  // 0: not known
};

// How a line looks where it goes.
struct LineStyle {
  config::AppLog::Format format = config::AppLog::Format::text;
  Colours colours = Colours::strip;  // of text; JSON never has them
  bool journald_prefix = false;      // of text and JSON
  bool stamped = false;              // text says when, and which stream: for files, where nobody else does
};
// One line with its line feed. In passthrough the piece of a line that continues has none.
void append_worker_line(std::string& out, const LineStyle& style, const WorkerTag& tag, OutputKind kind,
                        std::string_view line, bool continues, std::int64_t unix_ms);

// The last lines of one worker's stderr.
class LastLines {
 public:
  void add(std::string_view line);
  const std::deque<std::string>& all() const { return lines_; }  // oldest first
  std::vector<std::string> newest(std::size_t count) const;      // oldest of them first

 private:
  std::deque<std::string> lines_;
};

}  // namespace rota::supervisor
