#include "rota/keeper/roles.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

constexpr Throttle kSupervisorThrottle{100ms, 5s, 30s};
constexpr Throttle kProxyThrottle{50ms, 2s, 10s};
// A machine that stands still (a stopped process, a debugger) makes time pass without anybody being silent.
constexpr std::uint64_t kUnansweredMin = 3;
constexpr Duration kReliableAfter{5000};
// A pair that could not be made, for want of descriptors, is tried again so often.
constexpr Duration kConnectEvery{100};

}  // namespace

Roles::Roles(Launcher& launcher, const Shelf& shelf, UniqueFd supervisor_spec, std::function<void()> supervisor_started)
    : launcher_(launcher),
      shelf_(shelf),
      supervisor_spec_(std::move(supervisor_spec)),
      supervisor_started_(std::move(supervisor_started)),
      supervisor_("supervisor", kSupervisorThrottle),
      proxy_("proxy", kProxyThrottle) {
  supervisor_.start_by(TimePoint{});
}

void Roles::start_supervisor(TimePoint now) {
  if (!supervisor_.start(launcher_, supervisor_spec_.get(), now)) {
    if (!absent_since_) absent_since_ = now;
    return;
  }
  ping_number_ = answered_ = 0;
  answers_since_.reset();
  ping_at_ = now;
  connect();
  supervisor_started_();
}

void Roles::start_proxy(TimePoint now) {
  if (!proxy_.start(launcher_, recipe_.get(), now)) return;
  for (const ShelfEntry& entry : shelf_.places()) {
    if (entry.used() && entry.for_proxy) give_to_proxy(entry);
  }
  if (proxy_state_) {
    int state[] = {proxy_state_.get()};
    proxy_.say(ipc::InitialState{}, state);
  }
  connect();
}

// A fresh pair whenever one of the two is new, so that what the dead one left unread dies with the old pair.
void Roles::connect() {
  bool told = std::exchange(connect_again_, false);
  if (!supervisor_.running() || !proxy_.running()) return;
  Result<std::pair<UniqueFd, UniqueFd>> pair = ipc::Channel::make_pair();
  if (!pair) {
    connect_again_ = true;
    if (!told) log::error("cannot connect supervisor and proxy yet: {}", pair.error().text());
    return;
  }
  int proxy_end[] = {pair->first.get()};
  int supervisor_end[] = {pair->second.get()};
  proxy_.say(ipc::SupervisorChannel{}, proxy_end);
  ipc::ProxyStarted started;
  started.pid = proxy_.pid();
  started.epoch = proxy_.epoch();
  supervisor_.say(started, supervisor_end);
}

void Roles::give_to_proxy(const ShelfEntry& entry) {
  if (!proxy_.running()) return;
  ipc::ProxyFd message;
  message.name = entry.name;
  message.listener = entry.listener;
  std::array<int, ipc::kFdsMax> room;
  proxy_.say(message, entry.descriptors(room));
}

void Roles::set_recipe(UniqueFd recipe, TimePoint now) {
  bool first = !recipe_;
  recipe_ = std::move(recipe);
  if (first && !ending_) proxy_.start_by(now);
}

void Roles::pong(std::uint64_t number, TimePoint now) {
  if (number > ping_number_ || number <= answered_) return;
  answered_ = number;
  if (!answers_since_) answers_since_ = now;
  if (now - *answers_since_ >= kReliableAfter) absent_since_.reset();
}

void Roles::kill_proxy(std::uint64_t epoch) {
  if (proxy_.epoch() != epoch || !proxy_.running()) return;
  log::warning("the supervisor has lost the proxy (process {}): it is killed and started again", proxy_.pid());
  proxy_.signal(SIGKILL);
}

std::optional<Role::Ended> Roles::reap_supervisor(TimePoint now) {
  std::optional<Role::Ended> ended = supervisor_.reap(now);
  if (!ended) return ended;
  answers_since_.reset();
  if (!absent_since_) absent_since_ = now;
  if (ending_) supervisor_.never_again();
  return ended;
}

std::optional<Role::Ended> Roles::reap_proxy(TimePoint now) {
  std::optional<Role::Ended> ended = proxy_.reap(now);
  if (!ended) return ended;
  if (ending_) {
    proxy_.never_again();
    return ended;
  }
  ipc::ProxyExited message;
  message.pid = ended->pid;
  message.status = ended->status;
  message.delay_ms = static_cast<std::uint32_t>(ended->delay.count());
  if (!supervisor_.say(message)) {  // which would say it
    log::warning("the proxy (process {}) ended with {}; the next one starts in {} ms", ended->pid,
                 sys::describe_status(ended->status), ended->delay.count());
  }
  return ended;
}

TimePoint Roles::ping(TimePoint now, TimePoint next) {
  if (!supervisor_.channel()) return next;
  if (now >= ping_at_) {
    if (answered_ == ping_number_) asked_at_ = now;
    ipc::Ping message;
    message.number = ++ping_number_;
    supervisor_.say(message);
    ping_at_ = now + ipc::kPingInterval;
  }
  // asked_at_ stays with the oldest question: one answer settles all that came before it.
  if (ping_number_ - answered_ >= kUnansweredMin && now - asked_at_ >= ipc::kSilenceMax) {
    log::error("the supervisor has been silent for {} s, so it is killed and started again",
               ipc::kSilenceMax.count() / 1000);
    supervisor_.channel().close();
    supervisor_.signal(SIGKILL);
    return next;
  }
  return std::min(next, ping_at_);
}

TimePoint Roles::tick(TimePoint now, TimePoint next) {
  if (std::optional<TimePoint> at = supervisor_.restart_at(); at && now >= *at) start_supervisor(now);
  if (std::optional<TimePoint> at = proxy_.restart_at(); at && now >= *at) start_proxy(now);
  if (connect_again_) connect();
  if (connect_again_) next = std::min(next, now + kConnectEvery);
  if (!ending_) next = ping(now, next);
  for (Role* role : {&supervisor_, &proxy_}) {
    next = role->tick(now, next);
    if (std::optional<TimePoint> at = role->restart_at()) next = std::min(next, *at);
  }
  return next;
}

void Roles::end(TimePoint now, Duration grace, bool hurry) {
  ending_ = true;
  for (Role* role : {&supervisor_, &proxy_}) {
    role->never_again();
    if (role == &proxy_ || hurry) role->signal(SIGTERM);
    role->kill_by(now + grace);
  }
}

}  // namespace rota::keeper
