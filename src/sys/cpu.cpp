// Affinity and control group quotas (v2, v1 and both mounted at once).
#include "rota/sys/cpu.h"

#include <sched.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "control_group.h"

namespace rota::sys {

namespace {

constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
constexpr int kLevelsMax = 64;  // control groups above one another
constexpr int kCpusMax = 1 << 16;

std::uint32_t cpus_of(std::uint64_t quota, std::uint64_t period) {
  if (period == 0) return kUnlimited;
  std::uint64_t cpus = quota / period + (quota % period != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(cpus, 1, kUnlimited));
}

std::uint32_t quota_in(const std::string& directory, bool version_2) {
  std::optional<std::uint64_t> quota;
  std::optional<std::uint64_t> period;
  if (version_2) {
    std::string text = read_file(directory + "/cpu.max");  // "max 100000" or "150000 100000"
    auto words = split(text, ' ');
    if (words.size() == 2) {
      quota = number(words[0]);
      period = number(words[1]);
    }
  } else {
    quota = number(read_file(directory + "/cpu.cfs_quota_us"));  // -1 is no number here: no limit
    period = number(read_file(directory + "/cpu.cfs_period_us"));
  }
  return quota && period ? cpus_of(*quota, *period) : kUnlimited;
}

// The tightest of the group and everything above it that can be seen.
std::uint32_t quota_along(const std::string& root, const Mount& mount, const std::string& group, bool version_2) {
  std::uint32_t least = kUnlimited;
  std::string rest = below(group, mount.root);
  for (int level = 0; level < kLevelsMax; ++level) {
    least = std::min(least, quota_in(root + mount.point + rest, version_2));
    if (rest.empty()) break;
    rest.resize(rest.rfind('/') == std::string::npos ? 0 : rest.rfind('/'));
  }
  return least;
}

std::uint32_t affinity() {
  for (int cpus = 1024; cpus <= kCpusMax; cpus *= 2) {  // EINVAL: the kernel's mask is larger than ours
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(cpus));
    if (set == nullptr) return 1;
    std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    int failed = ::sched_getaffinity(0, size, set);
    int count = failed == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (failed == 0) return static_cast<std::uint32_t>(std::max(count, 1));
  }
  return 1;
}

}  // namespace

std::uint32_t available_cpus(const CpuRoots& roots) {
  std::uint32_t least = roots.affinity != 0 ? roots.affinity : affinity();
  std::string groups = read_file(roots.root + "/proc/self/cgroup");
  std::string mountinfo = read_file(roots.root + "/proc/self/mountinfo");
  for (bool version_2 : {true, false}) {
    std::string_view hierarchy = version_2 ? kUnified : "cpu";
    std::optional<std::string> group = group_of(groups, hierarchy);
    if (!group) continue;
    for (const Mount& mount : mounts_of(mountinfo, hierarchy)) {
      least = std::min(least, quota_along(roots.root, mount, *group, version_2));
    }
  }
  return std::max(least, 1U);
}

}  // namespace rota::sys
