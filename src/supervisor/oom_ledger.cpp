#include "rota/supervisor/oom_ledger.h"

namespace rota::supervisor {

void OomLedger::grow(Growth& growth, const std::optional<std::uint64_t>& from, const std::optional<std::uint64_t>& to,
                     TimePoint now) {
  if (now - growth.noticed > kGrowthMemory) growth.unclaimed = 0;
  if (!from || !to || *to <= *from) return;
  growth.unclaimed += *to - *from;
  growth.noticed = now;
}

bool OomLedger::use_up(Growth& growth, TimePoint now) {
  if (growth.unclaimed == 0 || now - growth.noticed > kGrowthMemory) return false;
  growth.unclaimed--;
  return true;
}

void OomLedger::look(const sys::OomKills& counts, TimePoint now) {
  grow(group_, last_.group, counts.group, now);
  grow(machine_, last_.machine, counts.machine, now);
  last_ = counts;
}

// A kill in our group counts for the machine, too.
OutOfMemory OomLedger::claim(TimePoint now) {
  bool by_group = use_up(group_, now);
  bool by_machine = use_up(machine_, now);
  if (by_group) return OutOfMemory::group;
  if (by_machine) return OutOfMemory::machine;
  return last_.group || last_.machine ? OutOfMemory::no : OutOfMemory::unknown;
}

}  // namespace rota::supervisor
