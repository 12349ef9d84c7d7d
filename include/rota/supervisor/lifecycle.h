// The life of one worker in its slot, decided: a pure function of state, event and time. What is to be done comes back
// as Actions and through the views below; the shell (slot.h) does it. Knows no process, socket, timer or log.
//
//   Stopped --wanted--> Backoff --permit--> Starting --proven ready--> Ready <--checks--> Unhealthy
//   Starting --start_timeout, not wanted--> Stopping --grace--> Killing
//   Ready, Unhealthy --not wanted--> Draining --drained, deadline--> Stopping
//   every state with a process --exited--> Backoff, or Stopped when it is not wanted
//
// EXITED is a moment between two of these and not a place to stay. CRASHLOOP is a property (crash_looping()) of a slot
// whose workers keep dying young: it goes on trying, at the longest delay in the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rota/base/log.h"
#include "rota/base/units.h"
#include "rota/config/config.h"
#include "rota/ipc/proxy_protocol.h"

namespace rota::supervisor {

inline constexpr Duration kProvenAfter{10s};         // a worker that was READY so long is replaced without delay
inline constexpr std::uint32_t kCrashLoopAfter = 5;  // short lives in a row
inline constexpr double kDelayJitter = 0.2;          // either way
inline constexpr Duration kAdoptedStartMin{5s};      // for an adopted worker to become ready: its checks come first
inline constexpr Duration kLookAfter{3s};            // a worker whose socket is not there by then; again at twice that
inline constexpr Duration kStuckNoteEvery{10s};      // in Killing: say again that it is still there

// What an app's configuration says about the lives of its workers.
struct Policy {
  Duration start_timeout{60s};
  config::Restart restart;
  config::Stop stop;
  std::uint32_t unhealthy_after = 3;
  std::uint32_t healthy_after = 1;
  Duration repair_after{60s};  // 0: never; see repair.h
};
Policy policy_of(const config::App& app);

// What is wanted of the slot now.
struct Desired {
  bool run = true;
  // Only without `run`:
  bool drain = true;                  // false: the signal is sent at once
  std::optional<TimePoint> drain_by;  // no drain beyond this
  std::optional<TimePoint> kill_by;   // no grace beyond this
};

// What step() may not know by itself.
struct Surroundings {
  Desired desired;
  bool may_eject = false;  // another worker of the app is in rotation and passes its checks
  double random01 = 0.5;
};

// A process of the slot and what its death will be judged by.
struct Process {
  int pid = 0;  // 0: the keeper has not confirmed it yet
  TimePoint started{};
  std::optional<TimePoint> ready_at;  // when it first was READY
  std::string failure;                // why it will not live, known before its exit; one clause
};

enum class CheckFailure : std::uint8_t {
  gone,     // nothing listens there: refused, no such file
  timeout,  // no answer in time
  broken,   // closed without an answer, or not HTTP
  status,   // an answer that is none of 2xx, 3xx
};
// Whoever closes a connection or says something wrong is alive; who says nothing may not be.
constexpr bool is_silence(CheckFailure failure) {
  return failure == CheckFailure::gone || failure == CheckFailure::timeout;
}

// A row of failed checks, since the last good one.
struct Failing {
  std::uint32_t checks = 0;         // 0: there is none, and the rest means nothing
  std::uint32_t silent_checks = 0;  // of these the newest ones in a row that brought no answer of any kind
  TimePoint since{};                // when the first of them failed
  TimePoint silent_since{};
  TimePoint last_at{};
  CheckFailure last = CheckFailure::timeout;
  std::string text;  // what the newest found, one clause
};

enum class StopReason : std::uint8_t {
  not_wanted,     // nothing is wrong with it
  start_timeout,  // counts as a short life
  count_,
};

struct Stopped {};
struct Backoff {
  TimePoint until{};
  bool due = false;  // the delay is over; waits for a permit (start_parallel)
};
struct Starting {
  Process process;
  TimePoint ready_by{};
  std::string unready;          // what the last check found, one clause
  bool nobody_listens = false;  // that is what it found
  unsigned looks = 0;           // at where it listens instead
};
struct Ready {
  Process process;
  Failing failing{};
  bool kept_noted = false;  // it has been said that it stays although its checks fail
  bool checked = true;      // a check of its health has been passed; what proved it ready may be less than that
};
struct Unhealthy {
  Process process;
  std::uint32_t passed_checks = 0;  // in a row
  Failing failing{};
};
struct Draining {
  Process process;
  TimePoint until{};
};
struct Stopping {
  Process process;
  TimePoint kill_at{};
  StopReason reason = StopReason::not_wanted;
};
struct Killing {
  Process process;
  TimePoint since{};
  TimePoint next_note{};
  StopReason reason = StopReason::not_wanted;
};
using State = std::variant<Stopped, Backoff, Starting, Ready, Unhealthy, Draining, Stopping, Killing>;

struct Lifecycle {
  State state;                 // changed only by step()
  std::uint32_t failures = 0;  // short lives in a row
  std::uint64_t restarts = 0;  // deaths nobody asked for
  std::string trouble;  // how the last worker ended when nobody asked it to, one clause; cleared by the next READY
};

// Events
// ---------------------------------------------------------------------------------------------------------------

struct WantedChanged {};  // Surroundings::desired is not what it was
struct Permit {};         // a due slot may start its worker now
struct Spawned {
  int pid = 0;
};
// The program never ran. An exit follows only if the process was confirmed before.
struct ExecFailed {
  std::string text;
};
struct Exited {
  int status = 0;  // as wait(2)
};
struct CheckPassed {
  bool healthy = true;  // as a check of its health it would have been passed, too
};
struct CheckFailed {
  CheckFailure failure = CheckFailure::timeout;
  std::string text;  // one clause: "GET /healthz answers 503"
};
struct ConnectFailed {};  // a proxy could not connect
struct Drained {};        // nothing in flight, no pooled connection
struct Deadline {};       // deadline() has passed
// What a supervisor before this one left of the slot: its state goes on where it was. Only in Stopped.
struct Adopted {
  State state;
};
// The process of this slot was never started or is gone without a record. Not held against it.
struct Vanished {};
// It is not wanted any more for a reason of its own, which is to be told at its end. Comes before WantedChanged.
struct Unfit {
  std::string why;  // one clause: "checks timed out for 60 s"
};
// All workers of the app fail their checks together: one that answers takes part again.
struct Recalled {};

using Event = std::variant<WantedChanged, Permit, Spawned, ExecFailed, Exited, CheckPassed, CheckFailed, ConnectFailed,
                           Drained, Deadline, Adopted, Vanished, Unfit, Recalled>;

// Actions
// --------------------------------------------------------------------------------------------------------------

struct Kill {
  int number = 0;
  bool group = false;
};
struct Note {
  log::Level level = log::Level::info;
  std::string text;           // "ready after 153 ms"
  bool quote_stderr = false;  // followed by the worker's last lines
};
// A worker that had run has ended, and nobody had asked it to; or we had, because something was wrong with it.
struct Death {
  int pid = 0;
  int status = 0;       // as wait(2)
  std::string failure;  // what was wrong with it, one clause; empty: it died by itself
  bool killed = false;  // it was sent SIGKILL
  bool served = false;  // it had been READY
  Duration uptime{};
};
struct Actions {
  bool spawn = false;
  bool check_now = false;
  bool process_gone = false;           // its socket file and its place in the proxy's table go
  bool explain_not_listening = false;  // say where it listens instead, if that can be seen
  bool look_where_it_listens = false;  // the same, early: it may still come to its socket
  std::vector<Kill> kills;
  std::vector<Note> notes;
  std::optional<Death> death;
};

Actions step(Lifecycle& lifecycle, const Policy& policy, const Surroundings& around, const Event& event, TimePoint now);

// Views: what follows from the state alone
// -------------------------------------------------------------------------------

enum class Checks : std::uint8_t { none, readiness, health };

const Process* process_of(const Lifecycle& lifecycle);                   // null: there is none
std::optional<ipc::UpstreamPhase> phase_of(const Lifecycle& lifecycle);  // empty: not in the proxy's table
std::optional<TimePoint> deadline_of(const Lifecycle& lifecycle);        // when step() wants a Deadline
Checks checks_of(const Lifecycle& lifecycle);
bool waits_for_permit(const Lifecycle& lifecycle);
bool crash_looping(const Lifecycle& lifecycle);
bool passes_checks(const Lifecycle& lifecycle);         // it is in rotation, and its last check was good
const Failing* failing_of(const Lifecycle& lifecycle);  // null: it has no process that is checked, or is well
bool is_undecided(const Lifecycle& lifecycle,
                  const Policy& policy);  // in rotation, with too few failed checks to leave
const char* name_of(const State& state);  // "STARTING"

// restart.delay doubled for each short life after the first, at most max_delay, then 20 % less to 20 % more.
Duration restart_delay(const config::Restart& restart, std::uint32_t failures, double random01);
// "153 ms", "1.2 s", "45 s", "3 min 20 s", "5 h 10 min"
std::string describe_duration(Duration length);

}  // namespace rota::supervisor
