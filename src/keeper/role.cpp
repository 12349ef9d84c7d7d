#include "rota/keeper/role.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "rota/sys/process.h"

namespace rota::keeper {

std::optional<Failure> read_failure(UniqueFd& report) {
  if (!report) return std::nullopt;
  Failure failure;
  ssize_t got = 0;
  do {
    got = ::read(report.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  report.reset();
  if (got != static_cast<ssize_t>(sizeof failure)) return std::nullopt;  // the end: the program runs
  failure.step.back() = failure.detail.back() = '\0';
  return failure;
}

bool Role::start(Launcher& launcher, int spec, TimePoint now) {
  restart_at_.reset();
  Result<std::pair<UniqueFd, UniqueFd>> ends = ipc::Channel::make_pair();
  Launched launched;
  if (ends) {
    launched = launcher.role(spec, ends->second.get());
  } else {
    launched.step = "channel";
    launched.error = ends.error().sys;
  }
  if (launched.error != 0) {
    Duration delay = delay_after(now);
    restart_at_ = now + std::max(delay, throttle_.first);
    log::error("cannot start the {} ({}): {}", name_, launched.step, ::strerrordesc_np(launched.error));
    return false;
  }
  pid_ = launched.pid;
  pidfd_ = std::move(launched.pidfd);
  report_ = std::move(launched.report);
  channel_ = ipc::Channel(std::move(ends->first));
  greeted_ = never_executed_ = false;
  kill_at_.reset();
  started_at_ = now;
  epoch_++;
  ipc::Hello hello;
  hello.epoch = epoch_;
  hello.keeper_pid = static_cast<std::uint32_t>(::getpid());
  say(hello);
  return true;
}

// Also counts the end.
Duration Role::delay_after(TimePoint now) {
  if (running() && now - started_at_ >= throttle_.stable) quick_ends_ = 0;
  unsigned doublings = std::min(quick_ends_++, 16U);
  if (doublings == 0) return Duration(0);
  return std::min(throttle_.first * (1U << (doublings - 1)), throttle_.cap);
}

std::optional<Role::Ended> Role::reap(TimePoint now) {
  Result<std::optional<int>> status = sys::child_status(pidfd_.get(), true);
  if (!status || !*status) return std::nullopt;
  read_report();
  Ended ended{pid_, **status, delay_after(now), never_executed_};
  pid_ = 0;
  pidfd_.reset();
  report_.reset();
  channel_.close();
  kill_at_.reset();
  restart_at_ = now + ended.delay;
  return ended;
}

bool Role::sent(const Result<void>& result) {
  if (result) return true;
  // closed: its end is on its way through the pidfd.
  if (result.error().code == Errc::closed) return false;
  log::error("the {} does not take its messages ({}), so it is started again", name_, result.error().text());
  channel_.close();
  signal(SIGKILL);
  return false;
}

bool Role::greet(std::string_view bytes) {
  ipc::Hello hello;
  if (!ipc::decode_message(bytes, hello) || hello.version != ipc::kProtocolVersion) {
    broke_protocol("its greeting is not ours");
    return false;
  }
  greeted_ = true;
  return true;
}

void Role::broke_protocol(const char* what) {
  log::error("the {} broke the protocol ({}), so it is started again", name_, what);
  channel_.close();
  signal(SIGKILL);
}

void Role::signal(int number) {
  if (pidfd_) (void)sys::send_signal_to(pidfd_.get(), number);
}

void Role::kill_by(TimePoint when) {
  if (running()) kill_at_ = kill_at_ ? std::min(*kill_at_, when) : when;
}

void Role::watch(std::vector<pollfd>& set, bool writable) const {
  set.push_back({channel_.fd(), static_cast<short>(writable ? POLLIN | POLLOUT : POLLIN), 0});
  set.push_back({pidfd_.get(), POLLIN, 0});
  set.push_back({report_.get(), POLLIN, 0});
}

void Role::read_report() {
  if (std::optional<Failure> failure = read_failure(report_)) {
    never_executed_ = true;
    log::error("the {} could not start: {} {}: {}", name_, failure->step.data(), failure->detail.data(),
               ::strerrordesc_np(failure->error));
  }
}

TimePoint Role::tick(TimePoint now, TimePoint next) {
  if (!kill_at_) return next;
  if (now < *kill_at_) return std::min(next, *kill_at_);
  signal(SIGKILL);
  kill_at_.reset();
  return next;
}

}  // namespace rota::keeper
