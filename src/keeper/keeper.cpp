#include "rota/keeper/keeper.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "rota/base/clock.h"
#include "rota/base/exit_code.h"
#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

// The poll set: the signalfd, three entries for each role, then the workers'.
constexpr std::size_t kSupervisorAt = 1;
constexpr std::size_t kProxyAt = 4;
constexpr std::size_t kWorkersAt = 7;

// Often enough that an end is not noticeably later than its last child's.
constexpr Duration kEndingEvery{20};
constexpr Duration kGiveUpAfterKill{5000};

// A supervisor that ends with one of these before it ever wanted a proxy has found that rota cannot start: trying again
// would only repeat it.
bool is_failed_start(int status) {
  if (!WIFEXITED(status)) return false;
  switch (static_cast<ExitCode>(WEXITSTATUS(status))) {
    case ExitCode::usage:
    case ExitCode::no_app_ready:
    case ExitCode::internal:
    case ExitCode::os:
    case ExitCode::cannot_create:
    case ExitCode::already_running:
    case ExitCode::not_permitted:
    case ExitCode::configuration: return true;
    case ExitCode::clean:
    case ExitCode::failed: break;
  }
  return false;
}

int timeout_ms(TimePoint now, TimePoint next) {
  if (next <= now) return 0;
  // Rounded up: waking a moment early would only turn the loop once more.
  return static_cast<int>(std::chrono::ceil<Duration>(next - now).count());
}

}  // namespace

Keeper::Keeper(Launcher launcher, Signals signals, Systemd systemd, UniqueFd supervisor_spec)
    : launcher_(std::move(launcher)),
      signals_(std::move(signals)),
      systemd_(std::move(systemd)),
      roles_(launcher_, shelf_, std::move(supervisor_spec), [this] { supervisor_started(); }),
      workers_(launcher_, roles_.supervisor()),
      requests_(roles_, workers_, shelf_, systemd_),
      orphans_([this](pid_t pid) { return roles_.owns(pid) || workers_.owns(pid); }) {
  poll_set_.reserve(kWorkersAt + 2 * kProcessesMax);
}

int Keeper::run() {
  SteadyClock clock;
  while (!ending_ || !ending_->finished) {
    TimePoint now = clock.now();
    TimePoint next = tick(now);
    if (ending_ && ending_->finished) break;
    fill_poll_set();
    int ready = ::poll(poll_set_.data(), poll_set_.size(), timeout_ms(now, next));
    if (ready > 0) turn(clock.now());
  }
  return ending_->code;
}

void Keeper::fill_poll_set() {
  poll_set_.clear();
  poll_set_.push_back({signals_.fd(), POLLIN, 0});
  roles_.supervisor().watch(poll_set_, telling_is_stuck_);
  roles_.proxy().watch(poll_set_, false);
  workers_.watch(poll_set_);
}

void Keeper::turn(TimePoint now) {
  auto ready = [&](std::size_t at) { return poll_set_[at].revents != 0; };
  Role& supervisor = roles_.supervisor();
  Role& proxy = roles_.proxy();
  if (ready(kSupervisorAt + 2)) supervisor.read_report();
  if (ready(kProxyAt + 2)) proxy.read_report();
  workers_.handle(std::span<const pollfd>(poll_set_).subspan(kWorkersAt), now);
  // A role's last words come before its end: an end that poll(2) has shown leaves nothing to arrive later.
  if (ready(kSupervisorAt) || ready(kSupervisorAt + 1)) read_channel(supervisor, now);
  if (ready(kProxyAt) || ready(kProxyAt + 1)) read_channel(proxy, now);
  if (ready(kProxyAt + 1)) (void)roles_.reap_proxy(now);
  if (ready(kSupervisorAt + 1)) {
    if (std::optional<Role::Ended> ended = roles_.reap_supervisor(now)) supervisor_ended(*ended, now);
  }
  if (ready(0)) read_signals(now);
}

void Keeper::read_channel(Role& role, TimePoint now) {
  while (role.channel()) {
    Result<std::optional<ipc::Packet>> packet = role.channel().receive();
    if (!packet && packet.error().code == Errc::closed) {
      role.channel().close();
      role.kill_by(now + kRoleGrace);  // a role without a channel has ended, or is no use
      return;
    }
    if (!packet) return role.broke_protocol("its message was cut");
    if (!*packet) return;
    if (!role.greeted()) {
      role.greet((**packet).bytes);
    } else if (&role == &roles_.supervisor()) {
      requests_.handle(**packet, now);
    } else {
      role.broke_protocol("a proxy has nothing to ask");
    }
  }
}

void Keeper::read_signals(TimePoint now) {
  while (std::optional<int> number = signals_.next()) {
    if (*number == SIGCHLD) {
      orphans_.reap();
      continue;
    }
    log::info("received signal {} ({})", *number, sys::signal_name(*number));
    if (signals_.stop_count() >= 3 && (*number == SIGTERM || *number == SIGINT)) {
      log::warning("asked to stop for the third time: everything is killed");
      begin_end(static_cast<int>(ExitCode::failed), Duration(0), true, now);
      for (Role* role : {&roles_.supervisor(), &roles_.proxy()}) role->signal(SIGKILL);
      continue;
    }
    tell_signal(*number);
  }
}

void Keeper::tell_signal(int number) {
  ipc::Signalled message;
  message.number = number;
  message.count = signals_.stop_count();
  if (roles_.supervisor().say(message)) signals_.told(number);
}

void Keeper::supervisor_started() {
  workers_.forget_what_was_told();
  requests_.start_over();
  telling_is_stuck_ = false;
  signals_.for_each_pending([this](int number) { tell_signal(number); });
}

void Keeper::supervisor_ended(const Role::Ended& ended, TimePoint now) {
  if (ending_ || requests_.shutdown_code()) return;
  std::string how = sys::describe_status(ended.status);
  if (!roles_.recipe_known() && (ended.never_executed || is_failed_start(ended.status))) {
    log::debug("the supervisor could not start: {}", how);  // it has said itself why
    begin_end(ended.never_executed ? static_cast<int>(ExitCode::os) : WEXITSTATUS(ended.status), Duration(0), true,
              now);
    return;
  }
  log::error("the supervisor (process {}) ended with {}; the next one starts in {} ms", ended.pid, how,
             ended.delay.count());
  if (ended.delay <= Duration(0)) return;
  // Nobody else can say it now; the next supervisor says something better.
  systemd_.notify(fmt::format("STATUS=The supervisor ended with {}; the next one starts in {} ms. Traffic goes on", how,
                              ended.delay.count()));
}

void Keeper::begin_end(int code, Duration worker_grace, bool hurry, TimePoint now) {
  if (!ending_) {
    systemd_.notify("STOPPING=1");
    ending_.emplace();
    ending_->kill_at = now + worker_grace;
    if (worker_grace > Duration(0)) workers_.terminate_all(now);
  }
  ending_->code = code;
  ending_->kill_at = std::min(ending_->kill_at, now + worker_grace);
  ending_->give_up_at = ending_->kill_at + kGiveUpAfterKill;
  roles_.end(now, kRoleGrace, hurry);
}

TimePoint Keeper::tick(TimePoint now) {
  if (!ending_ && requests_.shutdown_code()) begin_end(*requests_.shutdown_code(), Duration(0), false, now);
  TimePoint next = now + 1h;
  next = stop_when_alone(now, next);
  next = roles_.tick(now, next);
  next = workers_.tick(now, next);
  telling_is_stuck_ = !requests_.continue_telling();
  next = systemd_.tick(now, next);
  return tick_ending(now, next);
}

// With nobody to give a signal its meaning the keeper gives it the plainest one.
TimePoint Keeper::stop_when_alone(TimePoint now, TimePoint next) {
  std::optional<TimePoint> since = roles_.absent_since();
  if (ending_ || !signals_.stop_pending() || !since) return next;
  if (now < *since + kAloneMax) return std::min(next, *since + kAloneMax);
  log::warning("asked to stop while no supervisor runs: workers get {} s to end", kStopGrace.count() / 1000);
  begin_end(static_cast<int>(ExitCode::clean), kStopGrace, true, now);
  return next;
}

TimePoint Keeper::tick_ending(TimePoint now, TimePoint next) {
  if (!ending_) return next;
  if (now >= ending_->kill_at && !ending_->killed) {
    ending_->killed = true;
    workers_.sweep_hard();
    workers_.kill_all(now);
  }
  bool workers_gone = !workers_.any_unreaped();
  bool strays = (ending_->killed || workers_gone) && orphans_.kill();
  bool all_gone = workers_gone && !strays && !roles_.supervisor().running() && !roles_.proxy().running();
  if (!all_gone && now >= ending_->give_up_at) log::error("some processes cannot be ended; they are left behind");
  ending_->finished = all_gone || now >= ending_->give_up_at;
  return std::min(next, now + kEndingEvery);
}

}  // namespace rota::keeper
