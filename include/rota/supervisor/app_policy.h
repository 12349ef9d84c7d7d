// What is decided for an app as a whole, from the lives of its workers: who may start, who may be taken out of
// rotation, whether the first start has failed. Pure, like lifecycle.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rota/supervisor/lifecycle.h"

namespace rota::supervisor {

using Lives = std::vector<const Lifecycle*>;  // by slot

// Workers that may be STARTING at once: the CPUs rota may use, at least two.
inline constexpr std::uint32_t kStartParallelMin = 2;
std::uint32_t start_parallel(std::uint32_t cpus);

// The slots that may start their worker now: those whose workers have lived longest first. The last permit is never
// for a slot that has failed before, so that starts that hang do not hold up the replacement of a good worker.
// A start that takes longer than kPermitHold gives its permit back: a worker that hangs at boot holds up nobody for
// long.
inline constexpr Duration kPermitHold{5000};
std::vector<std::size_t> pick_starts(const Lives& lives, std::uint32_t parallel, TimePoint now);
// When a permit comes back by time alone, for those that still wait for one.
std::optional<TimePoint> next_permit(const Lives& lives, TimePoint now);

// True when taking slot `which` out of rotation leaves a worker that is in rotation and passes its checks. So the last
// one is never ejected, and when all fail together (a dependency is down) all stay.
bool may_eject(const Lives& lives, std::size_t which);

std::size_t count_ready(const Lives& lives);

// Of the slots that are in a crash loop now, how many and how a worker of one ended: "2 in a crash loop: exit code 9".
// Empty: none is.
std::string describe_crash_loops(const Lives& lives);

// The first start of an app: undecided until a worker is ready, or none has become ready for too long.
inline constexpr std::uint32_t kBootAttempts = 3;
enum class BootVerdict : std::uint8_t { undecided, ready, failed };
BootVerdict judge_boot(const Lives& lives, TimePoint started, Duration start_timeout, TimePoint now);

}  // namespace rota::supervisor
