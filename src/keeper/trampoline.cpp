// The trampoline: a mode of the same binary between fork and the program. It runs in the child's own process, so it may
// allocate, and whatever it changes is the child's alone. Every failure is reported with its step and errno on
// kReportFd.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "rota/ipc/channel.h"
#include "rota/ipc/codec.h"
#include "rota/keeper/launch.h"
#include "rota/keeper/run.h"
#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

struct Orders {
  pid_t keeper = 0;
  bool role = false;
  std::uint64_t soft = 0, hard = 0;
  int oom_score_adj = 0;
};

struct Step {
  const char* name = "";
  int error = 0;
  std::string detail;
};

template <class T>
bool number(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_orders(int argc, char** argv, Orders& orders) {
  if (argc != 6) return false;
  std::string_view kind = argv[2];
  orders.role = kind == "role";
  return (orders.role || kind == "worker") && number(argv[1], orders.keeper) && number(argv[3], orders.soft) &&
         number(argv[4], orders.hard) && number(argv[5], orders.oom_score_adj);
}

Step read_spec(bool role, ipc::SpawnSpec& spec) {
  Result<std::string> bytes = ipc::read_bulk(kSpecFd);
  if (!bytes) return {"spec", EINVAL, bytes.error().text()};
  if (!ipc::decode_bulk(*bytes, spec) || spec.argv.empty()) return {"spec", EINVAL, "the spec cannot be read"};
  if ((spec.program == ipc::Program::self) != role) return {"spec", EINVAL, "a role is not a worker"};
  return {};
}

Step set_session(bool role) {
  // A role stays in the keeper's session but leaves its process group: Ctrl-C reaches the keeper alone.
  bool done = role ? ::setpgid(0, 0) == 0 : ::setsid() >= 0;
  return done ? Step{} : Step{"setsid", errno, ""};
}

Step set_oom_score(const Orders& orders, const ipc::SpawnSpec& spec) {
  if (spec.set_oom_score_adj) {
    Result<void> set = sys::set_own_oom_score_adj(spec.oom_score_adj);
    if (!set) return {"oom_score_adj", set.error().sys, std::to_string(spec.oom_score_adj)};
  } else if (!orders.role) {
    // Raising it again never needs a privilege; where it could not be lowered there is nothing to do.
    (void)sys::set_own_oom_score_adj(orders.oom_score_adj);
  }
  return {};
}

Step set_limits(const Orders& orders, const ipc::SpawnSpec& spec) {
  if (!orders.role) {
    rlimit files{static_cast<rlim_t>(orders.soft), static_cast<rlim_t>(orders.hard)};
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  for (const ipc::ResourceLimit& limit : spec.limits) {
    rlimit value{static_cast<rlim_t>(limit.soft), static_cast<rlim_t>(limit.hard)};
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0) {
      return {"limits", errno, "resource " + std::to_string(limit.resource)};
    }
  }
  return {};
}

Step set_directory(const ipc::SpawnSpec& spec) {
  if (spec.directory.empty() || ::chdir(spec.directory.c_str()) == 0) return {};
  return {"chdir", errno, spec.directory};
}

Step set_user(bool role, const ipc::SpawnSpec& spec) {
  if (spec.no_new_privileges) sys::drop_bounding_set();
  if (spec.change_user) {
    const char* step = "";
    int error = sys::change_user({spec.uid, spec.gid, spec.groups}, &step);
    if (error != 0) {
      return {step, error, "user " + std::to_string(spec.uid) + ", group " + std::to_string(spec.gid)};
    }
  }
  if (!spec.no_new_privileges) {
    // What rota was given beyond its user (systemd's AmbientCapabilities=) was given to bind ports, not to the apps.
    int error = role ? 0 : sys::drop_inheritable_capabilities();
    return error == 0 ? Step{} : Step{"capabilities", error, ""};
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {"no_new_privs", errno, ""};
  int error = sys::drop_capabilities();
  return error == 0 ? Step{} : Step{"capabilities", error, ""};
}

// Only the keeper interprets signals. TERM stays deadly: it is what a role gets when the keeper dies.
void set_role_signals() {
  for (int number : {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGPIPE}) {
    ::signal(number, SIG_IGN);
  }
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

// Returns only when the program could not be executed.
Step execute(ipc::SpawnSpec& spec, bool role, int binary) {
  std::vector<char*> arguments = pointers(spec.argv);
  std::vector<char*> environment = pointers(spec.env);
  sys::close_on_exec_from(kSpecFd);
  sys::reset_signals();
  if (role) {
    set_role_signals();
    if (::dup2(kRoleChannelFd, ipc::kChannelFd) < 0) return {"channel", errno, ""};
    ::execveat(binary, "", arguments.data(), environment.data(), AT_EMPTY_PATH);
  } else {
    environ = environment.data();  // execvp(3) searches the PATH of this, which is the program's own
    ::execvp(arguments[0], arguments.data());
  }
  return {"exec", errno, spec.argv[0]};
}

Step become(const Orders& orders) {
  UniqueFd binary(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  ipc::SpawnSpec spec;
  Step step = read_spec(orders.role, spec);
  if (step.error == 0) step = set_session(orders.role);
  if (step.error == 0) step = set_oom_score(orders, spec);
  if (step.error == 0) step = set_limits(orders, spec);
  if (step.error != 0) return step;
  ::umask(static_cast<mode_t>(spec.umask));
  // A role's directory may lie under one that its user cannot pass; a worker's must be reachable as its user.
  if (orders.role) step = set_directory(spec);
  if (step.error == 0) step = set_user(orders.role, spec);
  if (step.error != 0) return step;
  // After the change of user, which clears it.
  int error = sys::die_with_parent(SIGTERM, orders.keeper);
  if (error == ESRCH) ::_exit(1);  // nobody is left to tell
  if (error != 0) return {"pdeathsig", error, ""};
  if (!orders.role) step = set_directory(spec);
  if (step.error != 0) return step;
  return execute(spec, orders.role, binary.get());
}

}  // namespace

int run_trampoline(int argc, char** argv) {
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  ::prctl(PR_SET_NAME, ipc::kTrampolineName, 0, 0, 0);
  Orders orders;
  Step step{"arguments", EINVAL, ""};
  if (read_orders(argc, argv, orders)) step = become(orders);
  write_failure(kReportFd, make_failure(step.name, step.error, step.detail.c_str()));
  // _exit: what was registered to run at the end of this process is the program's business, not a failed start's.
  ::_exit(step.error == EACCES ? 126 : 127);
}

}  // namespace rota::keeper
