#include "rota/keeper/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace rota::keeper {

namespace {

// Of our own making, or a limit that was set on purpose: the kernel's action is the right one.
bool is_fault(int number) {
  switch (number) {
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGSYS:
    case SIGXCPU:
    case SIGXFSZ: return true;
    default: return false;
  }
}

}  // namespace

const std::array<int, 6> Signals::kRemembered = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

Result<Signals> Signals::open() {
  // What has no meaning here must not end everything, whoever sends it. Refused for KILL and STOP.
  for (int number = 1; number < NSIG; number++) {
    if (!is_fault(number)) ::signal(number, SIG_IGN);
  }
  // An ignored CHLD would make the kernel reap our children; an ignored INT (a script's `&`) or HUP (nohup) would never
  // reach the signalfd.
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  for (int number : kRemembered) {
    ::signal(number, SIG_DFL);
    ::sigaddset(&set, number);
  }
  if (::sigprocmask(SIG_SETMASK, &set, nullptr) != 0) return os_error("cannot block signals");
  Signals signals;
  signals.fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.fd_) return os_error("cannot make a signalfd");
  return signals;
}

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  auto number = static_cast<int>(info.ssi_signo);
  if (number == SIGTERM || number == SIGINT) stop_count_++;
  for (std::size_t i = 0; i < kRemembered.size(); i++) {
    if (kRemembered[i] == number) pending_[i] = true;
  }
  return number;
}

bool Signals::stop_pending() const { return pending_[0] || pending_[1] || pending_[2]; }

void Signals::told(int number) {
  for (std::size_t i = 3; i < kRemembered.size(); i++) {
    if (kRemembered[i] == number) pending_[i] = false;
  }
}

}  // namespace rota::keeper
