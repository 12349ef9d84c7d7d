#include "rota/sys/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace rota::sys {

std::string signal_name(int number) {
  if (number >= SIGRTMIN && number <= SIGRTMAX) return "RTMIN+" + std::to_string(number - SIGRTMIN);
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? std::string() : std::string(name);
}

std::optional<int> signal_number(std::string_view name) {
  int number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size()) {
    return signal_name(number).empty() ? std::nullopt : std::optional(number);
  }
  std::string wanted;
  for (char c : name) wanted.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  if (wanted.starts_with("SIG")) wanted.erase(0, 3);
  for (int candidate = 1; candidate < NSIG; candidate++) {
    std::string known = signal_name(candidate);
    if (!known.empty() && known == wanted) return candidate;
  }
  return std::nullopt;
}

std::string describe_status(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    std::string name = signal_name(WTERMSIG(status));
    std::string text = "signal " + std::to_string(WTERMSIG(status));
    if (!name.empty()) text += " (" + name + ")";
    if (WCOREDUMP(status)) text += ", core dumped";
    return text;
  }
  return "wait status " + std::to_string(status);
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  // By number: glibc 2.36 is the first to have the wrapper. A pidfd is close-on-exec from the start.
  auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return os_error("cannot open a pidfd");
  return UniqueFd(fd);
}

Result<void> send_signal_to(int pidfd, int number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) != 0) return os_error("cannot send a signal");
  return {};
}

namespace {

int wait_status(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return (info.si_status & 0xFF) << 8;
  return info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
}

int wait_any(idtype_t type, id_t id, siginfo_t& info, int options) {
  int result = 0;
  do {
    info = {};
    result = ::waitid(type, id, &info, options | WEXITED | WNOHANG);
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Result<std::optional<int>> child_status(int pidfd, bool reap) {
  siginfo_t info{};
  // P_PIDFD; the constant is missing from older headers' idtype_t.
  if (wait_any(static_cast<idtype_t>(3), static_cast<id_t>(pidfd), info, reap ? 0 : WNOWAIT) != 0) {
    return os_error("cannot wait for a child");
  }
  if (info.si_pid == 0) return std::optional<int>();
  return std::optional<int>(wait_status(info));
}

std::optional<pid_t> peek_dead_child() {
  siginfo_t info{};
  if (wait_any(P_ALL, 0, info, WNOWAIT) != 0 || info.si_pid == 0) return std::nullopt;
  return info.si_pid;
}

std::optional<int> reap_child(pid_t pid) {
  siginfo_t info{};
  if (wait_any(P_PID, static_cast<id_t>(pid), info, 0) != 0 || info.si_pid == 0) return std::nullopt;
  return wait_status(info);
}

namespace {

bool groups_equal(std::span<const std::uint32_t> wanted) {
  gid_t have[256];
  int count = ::getgroups(256, have);
  if (count < 0 || static_cast<std::size_t>(count) != wanted.size()) return false;
  for (gid_t group : wanted) {
    bool found = false;
    for (int i = 0; i < count; i++) found = found || have[i] == group;
    if (!found) return false;
  }
  return true;
}

}  // namespace

int change_user(const UserChange& to, const char** step) {
  *step = "groups";
  // setgroups(2) is refused to the unprivileged even when nothing would change. glibc's wrappers do nothing but the
  // system call in a process with one thread, so they may be called after fork.
  if (::setgroups(to.groups.size(), to.groups.data()) != 0) {
    int error = errno;
    bool already = error == EPERM && ::geteuid() == to.uid && ::getegid() == to.gid;
    if (!already && !groups_equal(to.groups)) return error;
  }
  *step = "group";
  if (::setresgid(to.gid, to.gid, to.gid) != 0) return errno;
  *step = "user";
  if (::setresuid(to.uid, to.uid, to.uid) != 0) return errno;
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  if (::getresuid(&real, &effective, &saved) != 0) return errno;
  if (real != to.uid || effective != to.uid || saved != to.uid) return EPERM;
  if (to.uid != 0 && ::setresuid(0, 0, 0) == 0) return EPERM;  // the way back must be closed
  return 0;
}

void drop_bounding_set() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

int drop_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return ::syscall(SYS_capset, &header, none) == 0 ? 0 : errno;
}

int drop_inheritable_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return errno;
  for (__user_cap_data_struct& set : sets) set.inheritable = 0;
  return ::syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

int die_with_parent(int signal, pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0) return errno;
  return ::getppid() == parent ? 0 : ESRCH;
}

void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; number++) {
    ::sigaction(number, &action, nullptr);  // refused for KILL, STOP and libc's own two
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_on_exec_from(int first) {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = first; static_cast<rlim_t>(fd) < limit.rlim_cur; fd++) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

rlimit raise_open_files() {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit raised = before;
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
  return before;
}

std::optional<int> own_oom_score_adj() {
  UniqueFd fd(::open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC));
  char text[16] = {};
  ssize_t got = fd ? ::read(fd.get(), text, sizeof text - 1) : -1;
  if (got <= 0) return std::nullopt;
  return static_cast<int>(std::strtol(text, nullptr, 10));
}

Result<void> set_own_oom_score_adj(int value) {
  UniqueFd fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (!fd) return os_error("cannot open /proc/self/oom_score_adj");
  std::string text = std::to_string(value);
  if (::write(fd.get(), text.data(), text.size()) < 0) return os_error("cannot set oom_score_adj to " + text);
  return {};
}

}  // namespace rota::sys
