// The log front end: one line, one write(2) to stderr, never a buffer that a crash could lose.
// Each process calls configure() once at start; before that lines appear without a role. Any thread.
// Under systemd (stderr is the journal) lines start with the journal's <n> priority prefix, and text carries no time
// stamp of its own.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace rota::log {

enum class Level { debug, info, warning, error };
enum class Format {
  text,  // 2026-11-22T13:43:06.288Z supervisor info: web.0 ready after 28 ms
  json,  // {"time":...,"level":"info","role":"supervisor","pid":71,"message":"web.0 ready after 28 ms"}
};

struct Settings {
  std::string_view role;  // "keeper", "supervisor", "proxy"; must outlive the process's log (a literal)
  Level threshold = Level::info;
  bool journald_prefix = false;  // see stderr_is_journal()
};

void configure(const Settings& settings);  // before any second thread exists; looks at stderr anew
void set_threshold(Level threshold);       // any thread, any time
Level threshold();
void set_format(Format format);  // any thread, any time
Format format();

// True when $JOURNAL_STREAM names the file behind stderr (systemd.exec(5)).
bool stderr_is_journal();

// Control bytes in `message` are escaped, so that no peer can forge a line or move a terminal's cursor. A line longer
// than kLineMax bytes is cut, and marked so. Never waits (nowait_writer.h): a line for which stderr has no room is
// dropped, and the next one says how many were.
inline constexpr std::size_t kLineMax = 4000;  // less than PIPE_BUF
void write(Level level, std::string_view message);

// The line that write() would write, without its line feed: for who has a buffer of lines of his own.
std::string line_of(Level level, std::string_view message);

// A line, or several, as they are, with a line feed added. Likewise.
void write_raw(std::string_view text);

template <class... Args>
void at(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (level < threshold()) return;
  write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::warning, format, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  at(Level::error, format, std::forward<Args>(args)...);
}

}  // namespace rota::log
