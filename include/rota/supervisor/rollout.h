// A rolling replacement, decided: the workers of an app that run an older configuration are replaced one slot after the
// other, each by a new worker that stands beside the old one until it has proven itself. Pure, like lifecycle.h: from
// what the slots are to what is to be done next.
//
//   Idle --begin--> Rolling --every slot is of the newest--> Idle
//   Rolling --a new worker fails kReplacementTries times--> Failed --begin--> Rolling
//
// In Failed nothing is done by itself: what was replaced stays, what was not goes on as it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rota/supervisor/lifecycle.h"

namespace rota::supervisor {

inline constexpr Duration kMinReady{1s};               // a new worker has been READY so long before it takes over
inline constexpr std::uint32_t kReplacementTries = 2;  // short lives of one slot's new worker

struct RolloutView {
  struct Slot {
    const Lifecycle* life = nullptr;
    bool outdated = false;
  };
  std::vector<Slot> slots;
  const Lifecycle* replacement = nullptr;  // of the newest configuration
  std::size_t leaving = 0;                 // replaced workers that have not ended yet
  Duration start_timeout{60s};
};

struct RolloutOrder {
  enum class What : std::uint8_t {
    wait,     // until something changes, or until `look_at`
    start,    // a new worker beside the one of `slot`
    promote,  // the new worker takes over, the old one leaves
    drop,     // the new worker is of no use any more
    abort,    // the new worker failed, `why` says how
    finish,   // every slot is of the newest configuration
  };
  What what = What::wait;
  std::size_t slot = 0;
  std::string why;
  std::optional<TimePoint> look_at;
};

class Rollout {
 public:
  enum class Stage : std::uint8_t { idle, rolling, failed, count_ };

  // outdated: slots to replace. Begins anew when it rolls already: a newer configuration supersedes.
  void begin(std::size_t outdated);
  // From an earlier supervisor. slot: of the replacement it had started, if any.
  void resume(Stage stage, std::size_t slot, std::size_t outdated);
  void cancel() { stage_ = Stage::idle; }

  // Carries its own progress: what is ordered is taken to be done.
  RolloutOrder step(const RolloutView& view, TimePoint now);

  Stage stage() const { return stage_; }
  std::size_t slot() const { return slot_; }  // of the replacement
  std::size_t replaced() const { return replaced_; }
  std::size_t total() const { return total_; }

 private:
  RolloutOrder judge(const RolloutView& view, TimePoint now);
  RolloutOrder next(const RolloutView& view);

  Stage stage_ = Stage::idle;
  std::size_t slot_ = 0;
  std::size_t replaced_ = 0;
  std::size_t total_ = 0;
};

// The slot whose worker is replaced first: one out of rotation before one in it, then the one that has lived longest.
std::optional<std::size_t> pick_outdated(const std::vector<RolloutView::Slot>& slots);

// How a new worker has failed, one clause; empty as long as it has not.
std::string failure_of(const Lifecycle& replacement, Duration start_timeout, TimePoint now);

// By when a new worker must be READY for good: one that fails its checks again and again is not waited for any longer.
TimePoint settled_by(const Process& process, Duration start_timeout);

}  // namespace rota::supervisor
