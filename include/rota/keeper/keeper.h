// The loop of the keeper: poll(2), one thread, everything in tables of fixed size. It decides nothing but its own end.
#pragma once

#include <poll.h>

#include <optional>
#include <vector>

#include "rota/keeper/launch.h"
#include "rota/keeper/orphans.h"
#include "rota/keeper/requests.h"
#include "rota/keeper/roles.h"
#include "rota/keeper/shelf.h"
#include "rota/keeper/signals.h"
#include "rota/keeper/systemd.h"
#include "rota/keeper/workers.h"

namespace rota::keeper {

inline constexpr Duration kAloneMax{5000};   // without a supervisor and asked to stop: then the keeper stops by itself
inline constexpr Duration kRoleGrace{2000};  // for roles, at every end

// How everything ends, once it is to end.
struct Ending {
  int code = 0;
  TimePoint kill_at{};     // KILL to the groups of the workers
  TimePoint give_up_at{};  // what has not ended by then cannot be ended
  bool killed = false;
  bool finished = false;
};

class Keeper {
 public:
  Keeper(Launcher launcher, Signals signals, Systemd systemd, UniqueFd supervisor_spec);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Until everything has ended. The exit code.
  int run();

 private:
  void fill_poll_set();
  void turn(TimePoint now);
  void read_channel(Role& role, TimePoint now);
  void read_signals(TimePoint now);
  void tell_signal(int number);
  void supervisor_started();
  void supervisor_ended(const Role::Ended& ended, TimePoint now);

  // hurry: the supervisor is told to go, too; otherwise it goes by itself.
  void begin_end(int code, Duration worker_grace, bool hurry, TimePoint now);
  TimePoint tick(TimePoint now);
  TimePoint tick_ending(TimePoint now, TimePoint next);
  TimePoint stop_when_alone(TimePoint now, TimePoint next);

  Launcher launcher_;
  Signals signals_;
  Systemd systemd_;
  Shelf shelf_;
  Roles roles_;
  Workers workers_;
  Requests requests_;
  Orphans orphans_;
  std::vector<pollfd> poll_set_;   // reserved once
  bool telling_is_stuck_ = false;  // the supervisor's channel was full
  std::optional<Ending> ending_;
};

}  // namespace rota::keeper
