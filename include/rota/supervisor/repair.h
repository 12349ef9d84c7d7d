// When a worker whose checks fail is replaced by a new one, decided for an app. Pure, like rollout.h: from what the
// slots are to what is to be done next.
//
//   Idle --a worker has failed its checks for repair_after--> Replacing --its new worker has proven itself--> Idle
//   Replacing --it passes its checks again, or ends--> Idle
//   Replacing --its new worker fails kReplacementTries times--> Idle, and so for repair_after at least
//
// One at a time: the next one only after a new worker has shown that a replacement helps. A worker that answers nothing
// is replaced in any case; one that answers errors only for what it has answered since others have been well, since
// what fails for all of them together (a database that is down) no new worker can mend, and not all find it mended at
// once. The new worker stands beside the old one until it has proven itself, so that nothing is lost by a try.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "rota/supervisor/app_policy.h"

namespace rota::supervisor {

inline constexpr Duration kRepairPauseMin{1s};  // after a repair that failed, however short repair_after is

struct RepairView {
  Lives slots;
  const Lifecycle* replacement = nullptr;  // the new worker of the one under repair
  std::size_t leaving = 0;                 // workers that were replaced and have not ended yet
};

struct RepairOrder {
  enum class What : std::uint8_t {
    wait,     // until something changes, or until `look_at`
    start,    // a new worker beside the one of `slot`, which is to go for the reason `why`
    promote,  // the new worker takes over, the old one leaves
    drop,     // the new worker is of no use any more: the old one is well or gone
    give_up,  // the new worker failed, `why` says how; the old one stays
  };
  What what = What::wait;
  std::size_t slot = 0;
  std::string why;
  std::optional<TimePoint> look_at;
};

class Repair {
 public:
  // Before each step, and when there is none.
  void watch(const Lives& slots, const Policy& policy, TimePoint now);
  // Carries its own progress: what is ordered is taken to be done.
  RepairOrder step(const RepairView& view, const Policy& policy, TimePoint now);
  void cancel() { under_repair_.reset(); }

  bool active() const { return under_repair_.has_value(); }

 private:
  RepairOrder begin(const RepairView& view, const Policy& policy, TimePoint now);
  RepairOrder judge(const RepairView& view, const Policy& policy, TimePoint now);

  struct Case {
    std::size_t slot = 0;
    std::string why;
  };
  std::optional<Case> under_repair_;
  std::optional<TimePoint> pause_until_;
  bool in_outage_ = false;  // all have failed together, and none has passed a check since
  TimePoint outage_over_{};
};

// Why this worker is to be replaced, one clause: "checks timed out for 60 s". Empty: it is not. well_since: since when
// there have been others that passed their checks; empty: there is none.
std::string unfitness_of(const Lifecycle& life, const Policy& policy, std::optional<TimePoint> well_since);

}  // namespace rota::supervisor
