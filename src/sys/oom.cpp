#include "rota/sys/oom.h"

#include <unistd.h>

#include "control_group.h"

namespace rota::sys {

namespace {

// The value of "oom_kill" in lines of "name value".
std::optional<std::uint64_t> oom_kills_in(const std::string& path) {
  constexpr std::string_view kName = "oom_kill ";
  std::string text = read_file(path);
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with(kName)) return number(line.substr(kName.size()));
  }
  return std::nullopt;
}

}  // namespace

// Version 2 first; of version 1 the memory controller's. The group of the kernel's own root has no such file.
OomCounter::OomCounter(std::string root) : root_(std::move(root)) {
  std::string groups = read_file(root_ + "/proc/self/cgroup");
  std::string mountinfo = read_file(root_ + "/proc/self/mountinfo");
  for (bool version_2 : {true, false}) {
    std::string_view hierarchy = version_2 ? kUnified : "memory";
    std::optional<std::string> group = group_of(groups, hierarchy);
    if (!group) continue;
    for (const Mount& mount : mounts_of(mountinfo, hierarchy)) {
      std::string file =
          root_ + mount.point + below(*group, mount.root) + (version_2 ? "/memory.events" : "/memory.oom_control");
      if (!oom_kills_in(file)) continue;
      file_ = std::move(file);
      return;
    }
  }
}

OomKills OomCounter::read() const {
  return {file_.empty() ? std::nullopt : oom_kills_in(file_), oom_kills_in(root_ + "/proc/vmstat")};
}

}  // namespace rota::sys
