#include "rota/base/log.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace rota::log {

namespace {

// Written once by configure(), before any second thread exists.
Settings g_settings;
std::atomic<Level> g_threshold{Level::info};

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

void append_time(std::string& out) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z ", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000);
}

void append_escaped(std::string& out, std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
}

}  // namespace

void configure(const Settings& settings) {
  g_settings = settings;
  g_threshold.store(settings.threshold, std::memory_order_relaxed);
}

Level threshold() { return g_threshold.load(std::memory_order_relaxed); }

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;
  struct stat about {};
  if (::fstat(2, &about) != 0) return false;
  return fmt::format("{}:{}", about.st_dev, about.st_ino) == stream;
}

void write(Level level, std::string_view message) {
  if (level < threshold()) return;
  std::string line;
  line.reserve(message.size() + 64);
  if (g_settings.journald_prefix) {
    line += journal_prefix(level);
  } else {
    append_time(line);
  }
  if (!g_settings.role.empty()) {
    line += g_settings.role;
    line += ' ';
  }
  line += name_of(level);
  line += ": ";
  append_escaped(line, message.substr(0, kLineMax));
  if (message.size() > kLineMax) line += " [cut]";
  write_raw(2, line);
}

void write_raw(int fd, std::string_view line) {
  char end = '\n';
  iovec parts[2] = {{const_cast<char*>(line.data()), line.size()}, {&end, 1}};
  // A line that stderr does not take is lost: nothing here may wait for a reader.
  while (::writev(fd, parts, 2) < 0 && errno == EINTR) {
  }
}

}  // namespace rota::log
