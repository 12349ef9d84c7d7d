#include "rota/base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <mutex>

#include "rota/base/json.h"
#include "rota/base/nowait_writer.h"

namespace rota::log {

namespace {

// Written once by configure(), before any second thread exists.
Settings g_settings;
std::atomic<Level> g_threshold{Level::info};
std::atomic<Format> g_format{Format::text};

std::string_view name_of(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
  }
  return "?";
}

// syslog(3) severities, as the journal reads them.
std::string_view journal_prefix(Level level) {
  switch (level) {
    case Level::debug: return "<7>";
    case Level::info: return "<6>";
    case Level::warning: return "<4>";
    case Level::error: return "<3>";
  }
  return "";
}

// Stops at `most` bytes; false when something is left over.
bool append_escaped(std::string& out, std::string_view text, std::size_t most) {
  for (char c : text) {
    if (out.size() + 4 > most) return false;
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  return true;
}

// Never destroyed: a thread may have something to say until the very end.
struct StandardError {
  std::mutex mutex;
  NowaitWriter writer{2};
  std::uint64_t dropped = 0;  // lines since the last one that was written
  bool torn = false;          // it had room for the beginning of a line only

  // `text` ends with a line feed.
  bool put(std::string_view text) {
    if (torn && writer.write("\n").bytes == 0) return false;
    std::size_t taken = writer.write(text).bytes;
    torn = taken > 0 && taken < text.size();
    return taken > 0;
  }
};
StandardError& standard_error() {
  static StandardError& one = *new StandardError;
  return one;
}

}  // namespace

void configure(const Settings& settings) {
  g_settings = settings;
  standard_error().writer = NowaitWriter(2);
  g_threshold.store(settings.threshold, std::memory_order_relaxed);
}

void set_threshold(Level threshold) { g_threshold.store(threshold, std::memory_order_relaxed); }

void set_format(Format format) { g_format.store(format, std::memory_order_relaxed); }

Format format() { return g_format.load(std::memory_order_relaxed); }

Level threshold() { return g_threshold.load(std::memory_order_relaxed); }

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;
  struct stat about {};
  if (::fstat(2, &about) != 0) return false;
  return fmt::format("{}:{}", about.st_dev, about.st_ino) == stream;
}

namespace {

void append_text(std::string& line, Level level, std::string_view message, std::uint64_t lost) {
  if (!g_settings.journald_prefix) {
    append_utc_time(line, unix_milliseconds());
    line += ' ';
  }
  if (!g_settings.role.empty()) {
    line += g_settings.role;
    line += ' ';
  }
  line += name_of(level);
  line += ": ";
  if (lost > 0) {
    fmt::format_to(std::back_inserter(line), "({} lines before this one were lost: nobody read them) ", lost);
  }
  if (!append_escaped(line, message, kLineMax)) line += " [cut]";
}

void append_json(std::string& line, Level level, std::string_view message, std::uint64_t lost) {
  line += "{\"time\":\"";
  append_utc_time(line, unix_milliseconds());
  fmt::format_to(std::back_inserter(line), "\",\"level\":\"{}\",", name_of(level));
  if (!g_settings.role.empty()) fmt::format_to(std::back_inserter(line), "\"role\":\"{}\",", g_settings.role);
  fmt::format_to(std::back_inserter(line), "\"pid\":{},", ::getpid());
  if (lost > 0) fmt::format_to(std::back_inserter(line), "\"lost\":{},", lost);
  line += "\"message\":";
  if (!append_json_string(line, message, kLineMax)) line += ",\"cut\":true";
  line += '}';
}

std::string make_line(Level level, std::string_view message, std::uint64_t lost) {
  std::string line;
  line.reserve(message.size() + 128);
  if (g_settings.journald_prefix) line += journal_prefix(level);
  format() == Format::json ? append_json(line, level, message, lost) : append_text(line, level, message, lost);
  return line;
}

}  // namespace

std::string line_of(Level level, std::string_view message) { return make_line(level, message, 0); }

void write(Level level, std::string_view message) {
  if (level < threshold()) return;
  StandardError& to = standard_error();
  std::lock_guard lock(to.mutex);
  bool written = to.put(make_line(level, message, to.dropped) + '\n');
  to.dropped = written ? 0 : to.dropped + 1;
}

void write_raw(std::string_view text) {
  std::string whole(text);
  whole += '\n';
  StandardError& to = standard_error();
  std::lock_guard lock(to.mutex);
  if (!to.put(whole)) to.dropped += static_cast<std::uint64_t>(std::count(whole.begin(), whole.end(), '\n'));
}

}  // namespace rota::log
