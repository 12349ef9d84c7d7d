// One holder at a time, for as long as any process keeps the fd: flock(2) on a file that is never removed.
#pragma once

#include <string>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::sys {

// in_use: another process holds it. The fd is close-on-exec and holds the lock until its last duplicate is closed.
Result<UniqueFd> take_lock(int directory, const std::string& name);

}  // namespace rota::sys
