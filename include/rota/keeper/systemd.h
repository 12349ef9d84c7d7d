// What systemd wants of the main process of a service: datagrams about its state, and a sign of life.
#pragma once

#include <string>
#include <string_view>

#include "rota/base/units.h"

namespace rota::keeper {

class Systemd {
 public:
  // Reads NOTIFY_SOCKET and WATCHDOG_* and removes them, with LISTEN_*, from the environment: children must not use
  // them.
  static Systemd from_environment();

  // Dropped without a service manager; a datagram that does not arrive is not worth more than that either.
  void notify(std::string_view text) const;

  // Pings when it is time to. The next time to call it, or `next` when that is earlier.
  TimePoint tick(TimePoint now, TimePoint next);

 private:
  std::string socket_;
  Duration every_{0};  // 0: no watchdog
  TimePoint ping_at_{};
};

}  // namespace rota::keeper
