// The signals that the keeper receives, through a signalfd: which, and how many times it was asked to stop.
// Their meaning is the supervisor's; this keeps those that a new supervisor has to be told again.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::keeper {

class Signals {
 public:
  // Blocks and ignores as the keeper wants it, for the whole process.
  static Result<Signals> open();

  int fd() const { return fd_.get(); }

  // The next one that was received. CHLD comes back as itself and is not remembered.
  std::optional<int> next();

  std::uint32_t stop_count() const { return stop_count_; }  // TERM and INT
  bool stop_pending() const;                                // TERM, INT or QUIT was received

  // The supervisor has been told of it: HUP, USR1 and USR2 are dealt with then, the others stay true for ever.
  void told(int number);
  // Calls tell(number) for each that a new supervisor must hear of.
  template <class Tell>
  void for_each_pending(Tell tell) {
    for (std::size_t i = 0; i < pending_.size(); i++) {
      if (pending_[i]) tell(kRemembered[i]);
    }
  }

 private:
  static const std::array<int, 6> kRemembered;
  UniqueFd fd_;
  std::array<bool, 6> pending_{};
  std::uint32_t stop_count_ = 0;
};

}  // namespace rota::keeper
