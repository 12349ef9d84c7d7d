#include "rota/keeper/orphans.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/keeper/daemon.h"

using namespace rota;
using namespace rota::keeper::test;

namespace {

// A child that waits until it is killed; `pid` not 0: with this number. Negative: the kernel does not let us.
pid_t start_sleeper(pid_t pid = 0) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (pid != 0) {
    arguments.set_tid = reinterpret_cast<std::uintptr_t>(&pid);
    arguments.set_tid_size = 1;
  }
  auto result = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  while (result == 0) ::pause();
  return result;
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid == pid;
}

constexpr int kNotAllowed = 100;

// In a process of its own, all of whose children are known here. Its exit code: 0, or which expectation was wrong.
int reuse_a_number() {
  pid_t heir = start_sleeper();
  pid_t other = start_sleeper();
  if (heir < 0 || other < 0) return 1;
  keeper::Orphans orphans([](pid_t) { return false; });
  if (orphans.kill()) return 2;  // both were there before
  ::kill(heir, SIGKILL);
  if (!eventually([&] { return has_ended(heir); })) return 3;
  orphans.reap();
  if (::waitpid(heir, nullptr, WNOHANG) != -1) return 4;
  int result = 0;
  pid_t again = start_sleeper(heir);
  if (again < 0) {
    result = kNotAllowed;
  } else if (!orphans.kill()) {
    ::kill(again, SIGKILL);
    result = 5;
  } else if (!eventually([&] { return orphans.reap(), ::waitpid(again, nullptr, WNOHANG) == -1; })) {
    result = 6;
  }
  if (result == 0 && ::waitpid(other, nullptr, WNOHANG) != 0) result = 7;
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  return result;
}

}  // namespace

TEST_CASE("a child that has got the number of one that was there before rota is an orphan like any") {
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::signal(SIGTERM, SIG_DFL);
    ::_exit(reuse_a_number());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotAllowed) SKIP("numbers of processes may not be chosen here");
  CHECK(WEXITSTATUS(status) == 0);
}
