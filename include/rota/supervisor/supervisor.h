// Role 2: decides. Puts the parts together, carries reports of keeper and proxy to them, and at the end of a loop turn
// in which anything changed saves, spawns and publishes, once and in that order.
#pragma once

#include "rota/config/load.h"

namespace rota::supervisor {

// The whole life of the role; the channel to the keeper is fd 3. Returns the exit code of this process (the daemon's
// own is told to the keeper).
int run(const config::Source& source);

}  // namespace rota::supervisor
