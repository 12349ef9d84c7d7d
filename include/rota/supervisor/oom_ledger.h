// Was it the kernel's out-of-memory killer? It leaves a SIGKILL and a count that has grown, but no name. So each count
// explains one SIGKILL that nobody of ours has sent, within kGrowthMemory of the look that noticed it. Pure.
#pragma once

#include <cstdint>

#include "rota/base/units.h"
#include "rota/sys/oom.h"

namespace rota::supervisor {

enum class OutOfMemory : std::uint8_t {
  no,
  group,    // the limit of our control group, or of one within it
  machine,  // the machine's memory, or another control group's limit
  unknown,  // the kernel's counts are not to be seen
  count_,
};

inline constexpr Duration kOomLookEvery{2000};
inline constexpr Duration kGrowthMemory{5000};

class OomLedger {
 public:
  // The first look only sets where the count begins. restore(): where an earlier supervisor's had come to.
  void look(const sys::OomKills& counts, TimePoint now);
  void restore(const sys::OomKills& counts) { last_ = counts; }
  const sys::OomKills& last() const { return last_; }
  // A SIGKILL is to be explained; look() first.
  OutOfMemory claim(TimePoint now);

 private:
  struct Growth {
    std::uint64_t unclaimed = 0;
    TimePoint noticed{};
  };
  static void grow(Growth& growth, const std::optional<std::uint64_t>& from, const std::optional<std::uint64_t>& to,
                   TimePoint now);
  static bool use_up(Growth& growth, TimePoint now);

  sys::OomKills last_;
  Growth group_;
  Growth machine_;
};

}  // namespace rota::supervisor
