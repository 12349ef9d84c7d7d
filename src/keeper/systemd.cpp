#include "rota/keeper/systemd.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "rota/sys/socket.h"

namespace rota::keeper {

namespace {

std::string take(const char* name) {
  const char* value = ::getenv(name);
  std::string result = value == nullptr ? "" : value;
  ::unsetenv(name);
  return result;
}

long long number(const std::string& text) {
  long long value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Systemd Systemd::from_environment() {
  Systemd systemd;
  systemd.socket_ = take("NOTIFY_SOCKET");
  long long period_us = number(take("WATCHDOG_USEC"));
  std::string watched = take("WATCHDOG_PID");
  bool ours = watched.empty() || number(watched) == ::getpid();
  // Twice in its period, as sd_watchdog_enabled(3) advises.
  if (ours && period_us > 0) systemd.every_ = std::max(Duration(period_us / 2000), Duration(1));
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return systemd;
}

void Systemd::notify(std::string_view text) const {
  if (!socket_.empty()) (void)sys::send_datagram(socket_, text);
}

TimePoint Systemd::tick(TimePoint now, TimePoint next) {
  if (every_ == Duration(0)) return next;
  if (now >= ping_at_) {
    notify("WATCHDOG=1");
    ping_at_ = now + every_;
  }
  return std::min(next, ping_at_);
}

}  // namespace rota::keeper
