// When the keeper has died, everything is to end: the kernel has sent TERM to each of its children, and that is enough
// for those that obey. The supervisor is the last who knows the others; it ends them and goes. Blocks; there is no loop
// to go back to.
#pragma once

#include <sys/types.h>

#include <vector>

#include "rota/base/units.h"

namespace rota::supervisor {

inline constexpr Duration kLastGrace{2000};     // for workers, after the kernel's TERM
inline constexpr Duration kLastPatience{3000};  // for what survives KILL

// Must be called before the keeper can have died unnoticed. From now on TERM still ends this process at once while the
// keeper lives, and within kUndertakingMax when it does not: the time that the rest of this takes.
void prepare_for_the_keepers_death();
inline constexpr unsigned kUndertakingMax = 10;  // seconds

// The keeper's channel has ended. It may only have given this process up, whose KILL is then on its way.
bool keeper_has_died();

// Process groups by their leaders' numbers, all of them former children of the keeper.
void end_groups(std::vector<pid_t> leaders);

}  // namespace rota::supervisor
