// The worker processes: their table, their ends, and what is left of their process groups.
// Each is told to the supervisor as it happens; an end is kept until the supervisor has acknowledged it.
//
//   Running -> Sweeping or Lingering -> Reaped            a record is dropped when it is Reaped and acknowledged
// After the leader's death it is a zombie that we keep, so that the number of its process group cannot be given away
// while the rest of the group is ended. The rest gets TERM at once, and then
//   Sweeping, when nobody had asked for the death: it is told at once, and the rest gets KILL after kSweepKill.
//   Lingering, when the worker had been sent a signal: the leader may have been a mere shell before the program that
//   was to stop, so the worker counts as running until its group is empty. Its grace is known to the supervisor, who
//   sends KILL; when the supervisor who had asked has gone, KILL comes after kStopGrace.
// kSurvivesKill after KILL the leader is reaped whatever is left.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "rota/base/units.h"
#include "rota/keeper/launch.h"
#include "rota/keeper/role.h"
#include "rota/sys/proc.h"

namespace rota::keeper {

inline constexpr std::size_t kProcessesMax = 2048;
inline constexpr Duration kSweepEvery{100};
inline constexpr Duration kSweepKill{2000};
inline constexpr Duration kSurvivesKill{3000};
inline constexpr Duration kStopGrace{10000};  // for workers that are to stop while no supervisor knows their grace

struct Process {
  enum class State : std::uint8_t { Running, Lingering, Sweeping, Reaped };

  std::uint64_t id = 0;  // 0: a free place
  pid_t pid = 0;
  State state = State::Running;
  UniqueFd pidfd, report, out, err;
  int status = 0;
  bool acknowledged = false;
  bool known = false;     // to the supervisor that lives: it spawned the process, or has been listed it
  bool end_told = false;  // to the supervisor that lives

  // its stop
  std::uint64_t asked_by = 0;          // epoch of the supervisor who sent it a signal last; 0: none has
  bool swept = false;                  // what is left of the group was sent TERM
  TimePoint swept_at{};                // since when it has had its time: KILL follows
  std::optional<TimePoint> killed_at;  // when the group was sent KILL

  // For the supervisor it has not ended.
  bool runs() const { return state == State::Running || state == State::Lingering; }
  // The leader is dead and the group is looked at.
  bool is_watched() const { return state == State::Lingering || state == State::Sweeping; }
};

class Workers {
 public:
  Workers(Launcher& launcher, Role& supervisor) : launcher_(launcher), supervisor_(supervisor), table_(kProcessesMax) {
    queries_.reserve(kProcessesMax);
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Requests of the supervisor. False: it is a fault of ours (id 0, or used twice).
  bool spawn(std::uint64_t id, int spec);
  void signal(std::uint64_t id, int number, bool group, TimePoint now);
  void acknowledge(std::uint64_t id);

  // Tells the supervisor of one process, if there is one at this place of the table. False: no room now.
  bool list_place(std::size_t place);
  // A new supervisor knows of nothing yet.
  void forget_what_was_told();
  // Ends that nobody was told of, to a supervisor that knows their processes. False: no room now.
  bool tell_ends();

  // Everything that runs: TERM to the leaders, or KILL to the groups.
  void terminate_all(TimePoint now);
  void kill_all(TimePoint now);
  // From now on leftovers of a group get KILL at once, and nothing is started any more.
  void sweep_hard() { sweep_hard_ = true; }

  bool any_unreaped() const { return unreaped_ > 0; }
  bool owns(pid_t pid) const;

  // Two entries for each place in use, in order.
  void watch(std::vector<pollfd>& set) const;
  void handle(std::span<const pollfd> set, TimePoint now);
  TimePoint tick(TimePoint now, TimePoint next);

 private:
  Process* find(std::uint64_t id);
  Process* free_place();
  void failed(std::uint64_t id, const Failure& failure, bool known);
  void read_report(Process& process);
  void check_end(Process& process, TimePoint now);
  void look(TimePoint now);
  void sweep(Process& process, bool others, TimePoint now);
  bool must_kill(Process& process, TimePoint now) const;
  void drop_if_done(Process& process);

  Launcher& launcher_;
  Role& supervisor_;
  std::vector<Process> table_;  // kProcessesMax places, made once
  std::size_t places_ = 0;      // those from here on were never used
  std::size_t unreaped_ = 0;
  std::vector<sys::GroupQuery> queries_;  // reserved once
  std::optional<TimePoint> look_at_;      // when to look again for what is left of groups
  bool sweep_hard_ = false;
};

}  // namespace rota::keeper
