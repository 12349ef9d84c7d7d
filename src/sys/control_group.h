// Where the control group of this process is to be seen: v2, v1 and both mounted at once. Every file of /sys is
// optional: containers hide parts of it. Private to the module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rota::sys {

inline constexpr std::string_view kUnified = "";  // in place of a controller's name: version 2

struct Mount {
  std::string root;   // which control group is seen at ...
  std::string point;  // ... this directory
};
std::vector<Mount> mounts_of(std::string_view mountinfo, std::string_view controller);

// The control group this process is in, as /proc/self/cgroup has it: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1).
std::optional<std::string> group_of(std::string_view text, std::string_view controller);

// The part of `group` below what is mounted. In a container without a control group namespace the mount shows the
// container's own group as its root; in a namespace both are relative to the namespace, or ".." leads out of it. Where
// the two do not fit, the mount point itself is the best that can be seen.
std::string below(const std::string& group, const std::string& mount_root);

std::string read_file(const std::string& path);  // "" when it cannot be read
std::vector<std::string_view> split(std::string_view text, char separator);
std::optional<std::uint64_t> number(std::string_view text);

}  // namespace rota::sys
