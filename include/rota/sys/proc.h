// What /proc tells of processes. Values are a moment's truth: a pid read here may be gone, or another's, when it is
// used.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/result.h"

namespace rota::sys {

struct ProcStat {
  pid_t pid = 0;
  char state = '?';              // field 3: R S D Z T ...
  pid_t parent = 0;              // field 4
  pid_t group = 0;               // field 5
  std::uint64_t start_time = 0;  // field 22, clock ticks since boot: with the pid, an identity
};
// The text of /proc/PID/stat; the name in parentheses may itself hold spaces and parentheses.
std::optional<ProcStat> parse_proc_stat(std::string_view text);
std::optional<ProcStat> read_proc_stat(pid_t pid);

struct GroupQuery {
  pid_t group = 0;
  bool has_others = false;  // the answer: somebody but the leader is in it, zombies not counted
};
// Answers all queries with one walk over /proc, without allocation; sorts them by group. While /proc cannot be read (no
// descriptor is left, say) every group counts as having others: none is given up that may need another signal.
void find_others(std::span<GroupQuery> queries);
// All members of a process group, zombies included.
std::vector<pid_t> group_members(pid_t group);

// Children of this thread: /proc/thread-self/children; without that file (no CONFIG_PROC_CHILDREN), a walk of /proc.
// Children that end meanwhile may make it skip others: look again.
std::vector<pid_t> own_children();

// Resident memory of a process in bytes; 0 when it is gone.
std::uint64_t resident_bytes(pid_t pid);

}  // namespace rota::sys
