// Affinity and control group quotas (v2, v1 and both mounted at once). Every file of /sys is optional: containers hide
// parts of it.
#include "rota/sys/cpu.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "rota/base/unique_fd.h"

namespace rota::sys {

namespace {

constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kFileMax = 4 * 1024 * 1024;  // mountinfo of a host with thousands of containers
constexpr int kLevelsMax = 64;                     // control groups above one another
constexpr int kCpusMax = 1 << 16;

std::string read_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  char chunk[8192];
  while (fd && text.size() < kFileMax) {
    ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(chunk, static_cast<std::size_t>(n));
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool contains(std::string_view list, std::string_view word) {
  auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<std::uint64_t> number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The kernel writes space, tab, line feed and backslash in paths as \ooo.
std::string unescape(std::string_view text) {
  auto octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

struct Mount {
  std::string root;   // which control group is seen at ...
  std::string point;  // ... this directory
};

// "36 35 0:30 /root /point rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
std::vector<Mount> mounts_of(std::string_view mountinfo, bool version_2) {
  std::vector<Mount> found;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    auto left = split(line.substr(0, dash), ' ');
    auto right = split(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    bool wanted = version_2 ? right[0] == "cgroup2" : right[0] == "cgroup" && contains(right[2], "cpu");
    if (wanted) found.push_back({unescape(left[3]), unescape(left[4])});
  }
  return found;
}

// The control group this process is in, as /proc/self/cgroup has it: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1).
std::optional<std::string> group_of(std::string_view text, bool version_2) {
  for (std::string_view line : split(text, '\n')) {
    std::size_t first = line.find(':');
    std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    bool wanted = version_2 ? line.substr(0, first) == "0" && controllers.empty() : contains(controllers, "cpu");
    if (wanted) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

// The part of `group` below what is mounted. In a container without a control group namespace the mount shows the
// container's own group as its root; in a namespace both are relative to the namespace, or ".." leads out of it. Where
// the two do not fit, the mount point itself is the best that can be seen.
std::string below(const std::string& group, const std::string& mount_root) {
  if (group.find("/..") != std::string::npos) return "";
  if (mount_root == "/") return group == "/" ? "" : group;
  if (group == mount_root || group.compare(0, mount_root.size() + 1, mount_root + "/") != 0) return "";
  return group.substr(mount_root.size());
}

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
    std::optional<std::string> group = group_of(groups, version_2);
    if (!group) continue;
    for (const Mount& mount : mounts_of(mountinfo, version_2)) {
      least = std::min(least, quota_along(roots.root, mount, *group, version_2));
    }
  }
  return std::max(least, 1U);
}

}  // namespace rota::sys
