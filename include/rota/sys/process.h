// Processes: pidfds, wait, signals by name, and the once-only changes a process makes to itself (user, limits, death
// signal). The functions marked "signal-safe" may be called between fork and exec. Knows nothing of workers or roles.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::sys {

// "TERM" for 15; "RTMIN+3"; "" for what is no signal.
std::string signal_name(int number);
// "TERM", "SIGTERM", "term" or "15"; nothing when there is no such signal.
std::optional<int> signal_number(std::string_view name);

// A wait(2) status in words: "exit code 1", "signal 9 (KILL)", "signal 11 (SEGV), core dumped".
std::string describe_status(int status);

Result<UniqueFd> open_pidfd(pid_t pid);
Result<void> send_signal_to(int pidfd, int number);

// A child's end, by pidfd. Empty: it still runs. `reap` false leaves the zombie (WNOWAIT). status as wait(2) gives it.
Result<std::optional<int>> child_status(int pidfd, bool reap);
// A dead child of any kind, left unreaped (WNOWAIT); the same one until it is reaped. Empty: none is dead, or there is
// no child.
std::optional<pid_t> peek_dead_child();
// Reaps exactly this child if it is dead. Empty: it is not.
std::optional<int> reap_child(pid_t pid);

// setgroups, setresgid, setresuid, then proves that root cannot be taken back. Signal-safe. 0, or an errno; `step` says
// which call ("groups", "group", "user"). Does nothing that an unprivileged process already is.
struct UserChange {
  uid_t uid = 0;
  gid_t gid = 0;
  std::span<const std::uint32_t> groups;
};
int change_user(const UserChange& to, const char** step);

// Empties the bounding set as far as the process may: before change_user(), which takes the right to do so away.
// Signal-safe.
void drop_bounding_set();
// Empties the ambient, inheritable, permitted and effective sets: after change_user(). Signal-safe. 0 or an errno.
int drop_capabilities();
// Empties the ambient and inheritable sets: what is executed next gets what its user has, and no more. Signal-safe. 0
// or an errno.
int drop_inheritable_capabilities();

// PR_SET_PDEATHSIG, then proves that `parent` is still the parent. Signal-safe. 0, an errno, or ESRCH when the parent
// has died.
int die_with_parent(int signal, pid_t parent);

// Every signal to SIG_DFL and an empty mask. Signal-safe.
void reset_signals();

// Every fd from `first` up becomes close-on-exec (close_range(2), or a walk where the kernel has none). Signal-safe.
void close_on_exec_from(int first);

// RLIMIT_NOFILE: soft becomes hard. What it was before, to give to children that expect the usual.
rlimit raise_open_files();

// /proc/self/oom_score_adj. Lowering needs CAP_SYS_RESOURCE.
std::optional<int> own_oom_score_adj();
Result<void> set_own_oom_score_adj(int value);

}  // namespace rota::sys
