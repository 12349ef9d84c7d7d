#include "rota/supervisor/lifecycle.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <optional>

#include "rota/base/check.h"
#include "rota/sys/process.h"

namespace rota::supervisor {

namespace {

Duration since(TimePoint then, TimePoint now) {
  return now > then ? std::chrono::duration_cast<Duration>(now - then) : Duration::zero();
}

std::string in_brackets(const std::string& text) { return text.empty() ? "" : " (" + text + ")"; }

// One step: the state it works on and what it has decided so far. A pair of state and event that means nothing is
// ignored: a late message about what has already changed is ordinary life between processes.
class Step {
 public:
  Step(Lifecycle& lifecycle, const Policy& policy, const Surroundings& around, TimePoint now)
      : life_(lifecycle), policy_(policy), around_(around), now_(now) {}

  void on(const WantedChanged&);
  void on(const Permit&);
  void on(const Spawned& event);
  void on(const ExecFailed& event);
  void on(const Exited& event);
  void on(const CheckPassed&);
  void on(const CheckFailed& event);
  void on(const ConnectFailed&);
  void on(const Drained&);
  void on(const Deadline&);
  void on(const Adopted& event);
  void on(const Vanished&);
  void on(const Unfit& event);
  void on(const Recalled&);

  Actions take() { return std::move(actions_); }

 private:
  template <class T>
  T* in() {
    return std::get_if<T>(&life_.state);
  }
  template <class... Args>
  void note(log::Level level, fmt::format_string<Args...> format, Args&&... args) {
    actions_.notes.push_back({level, fmt::format(format, std::forward<Args>(args)...), false});
  }
  Process* own_process() { return const_cast<Process*>(process_of(life_)); }
  void become_ready(Process process, bool healthy);
  Failing counted(Failing failing, const CheckFailed& event) const;
  void leave_rotation();
  void send_stop(Process process, StopReason reason);
  void send_kill(Process process, StopReason reason);
  bool deserves_a_report(const Process& process, int status);
  void process_ended(const Process& process, std::optional<int> status);
  void life_was_short(const Process& process, std::optional<int> status, const std::string& how);
  void wait_and_restart(Duration delay);

  Lifecycle& life_;
  const Policy& policy_;
  const Surroundings& around_;
  TimePoint now_;
  Actions actions_;
};

void Step::on(const WantedChanged&) {
  if (around_.desired.run) {
    if (in<Stopped>() != nullptr) life_.state = Backoff{now_, true};
    return;  // a worker on its way out is let go; its exit starts the next one
  }
  if (in<Backoff>() != nullptr) {
    life_.state = Stopped{};
  } else if (auto* starting = in<Starting>()) {
    send_stop(starting->process, StopReason::not_wanted);
  } else if (in<Ready>() != nullptr || in<Unhealthy>() != nullptr) {
    leave_rotation();
  } else if (auto* draining = in<Draining>()) {
    if (around_.desired.drain_by) draining->until = std::min(draining->until, *around_.desired.drain_by);
    if (!around_.desired.drain || draining->until <= now_) send_stop(draining->process, StopReason::not_wanted);
  } else if (auto* stopping = in<Stopping>()) {
    if (around_.desired.kill_by) stopping->kill_at = std::min(stopping->kill_at, *around_.desired.kill_by);
    if (stopping->kill_at <= now_) send_kill(stopping->process, stopping->reason);
  }
}

void Step::on(const Permit&) {
  if (!waits_for_permit(life_) || !around_.desired.run) return;
  life_.state = Starting{Process{0, now_, {}, {}}, now_ + policy_.start_timeout, {}, false};
  actions_.spawn = true;
}

void Step::on(const Spawned& event) {
  auto confirm = [&](Process& process) {
    process.pid = event.pid;
    note(log::Level::info, "started (pid {})", event.pid);
  };
  if (auto* starting = in<Starting>()) confirm(starting->process);
  if (auto* stopping = in<Stopping>()) confirm(stopping->process);
  if (auto* killing = in<Killing>()) confirm(killing->process);
}

void Step::on(const ExecFailed& event) {
  Process* process = own_process();
  if (process == nullptr) return;
  process->failure = event.text;
  // With a pid its exit is on the way, which decides; without one nothing else will come.
  if (process->pid == 0) process_ended(*process, {});
}

void Step::on(const Exited& event) {
  const Process* process = process_of(life_);
  if (process == nullptr) return;
  if (deserves_a_report(*process, event.status)) {
    actions_.death = {process->pid,
                      event.status,
                      process->failure,
                      in<Killing>() != nullptr,
                      process->ready_at.has_value(),
                      since(process->started, now_)};
  }
  process_ended(*process, event.status);
}

void Step::on(const CheckPassed& event) {
  if (auto* starting = in<Starting>()) {
    become_ready(starting->process, event.healthy);
  } else if (auto* ready = in<Ready>()) {
    if (ready->kept_noted) note(log::Level::info, "passes its checks again");
    life_.state = Ready{ready->process, {}, false, true};
  } else if (auto* unhealthy = in<Unhealthy>()) {
    unhealthy->failing = {};
    if (++unhealthy->passed_checks < policy_.healthy_after) return;
    note(log::Level::info, "passes its checks again; back in rotation");
    life_.state = Ready{unhealthy->process, {}, false, true};
  }
}

Failing Step::counted(Failing failing, const CheckFailed& event) const {
  if (failing.checks++ == 0) failing.since = now_;
  if (!is_silence(event.failure)) {
    failing.silent_checks = 0;
  } else if (failing.silent_checks++ == 0) {
    failing.silent_since = now_;
  }
  failing.last_at = now_;
  failing.last = event.failure;
  failing.text = event.text;
  return failing;
}

void Step::on(const CheckFailed& event) {
  if (auto* starting = in<Starting>()) {
    starting->unready = event.text;
    starting->nobody_listens = event.failure == CheckFailure::gone;
    if (starting->nobody_listens && now_ - starting->process.started >= kLookAfter * (1U << starting->looks)) {
      starting->looks++;
      actions_.look_where_it_listens = true;
    }
  }
  if (auto* unhealthy = in<Unhealthy>()) {
    unhealthy->passed_checks = 0;
    unhealthy->failing = counted(unhealthy->failing, event);
  }
  auto* ready = in<Ready>();
  if (ready == nullptr) return;
  ready->failing = counted(ready->failing, event);
  bool gone = event.failure == CheckFailure::gone;
  if (!gone && ready->failing.checks < policy_.unhealthy_after) return;
  // Nothing listens any more: requests are better held than sent there, even when no other worker is left.
  if (gone || around_.may_eject) {
    note(log::Level::warning, "out of rotation: {}", event.text);
    life_.state = Unhealthy{ready->process, 0, ready->failing};
  } else if (!ready->kept_noted) {
    ready->kept_noted = true;
    note(log::Level::warning, "{}; it stays in rotation, since no other worker of the app passes its checks",
         event.text);
  }
}

void Step::on(const ConnectFailed&) { actions_.check_now = in<Ready>() != nullptr; }

void Step::on(const Drained&) {
  if (auto* draining = in<Draining>()) send_stop(draining->process, StopReason::not_wanted);
}

void Step::on(const Deadline&) {
  auto deadline = deadline_of(life_);
  if (!deadline || now_ < *deadline) return;  // a timer that was set for an earlier state
  if (auto* backoff = in<Backoff>()) {
    backoff->due = true;
  } else if (auto* starting = in<Starting>()) {
    starting->process.failure = fmt::format("not ready within {}{}{}", describe_duration(policy_.start_timeout),
                                            starting->unready.empty() ? "" : ": ", starting->unready);
    note(log::Level::error, "{}; stopping it", starting->process.failure);
    actions_.notes.back().quote_stderr = true;
    actions_.explain_not_listening = starting->nobody_listens;
    send_stop(starting->process, StopReason::start_timeout);
  } else if (auto* draining = in<Draining>()) {
    note(log::Level::warning, "still has requests in flight after draining for {}; stopping it",
         describe_duration(policy_.stop.drain));
    send_stop(draining->process, StopReason::not_wanted);
  } else if (auto* stopping = in<Stopping>()) {
    note(log::Level::warning, "did not end on signal {} ({}); killing it{}", policy_.stop.signal,
         sys::signal_name(policy_.stop.signal), in_brackets(stopping->process.failure));
    send_kill(stopping->process, stopping->reason);
  } else if (auto* killing = in<Killing>()) {
    note(log::Level::error, "still there {} after SIGKILL (pid {}); the kernel may be waiting for a device",
         describe_duration(since(killing->since, now_)), killing->process.pid);
    killing->next_note = now_ + kStuckNoteEvery;
    actions_.kills.push_back({SIGKILL, true});
  }
}

void Step::on(const Adopted& event) {
  if (in<Stopped>() == nullptr) return;
  life_.state = event.state;
  if (auto* starting = in<Starting>()) {
    // It may have become ready while nobody looked.
    starting->ready_by = std::max(starting->process.started + policy_.start_timeout, now_ + kAdoptedStartMin);
  }
  actions_.check_now = in<Ready>() != nullptr || in<Unhealthy>() != nullptr;
}

void Step::on(const Vanished&) {
  if (process_of(life_) == nullptr) return;
  actions_.process_gone = true;
  life_.state = Stopped{};
  on(WantedChanged{});
}

void Step::on(const Unfit& event) {
  if (Process* process = own_process()) process->failure = event.why;
}

void Step::on(const Recalled&) {
  auto* unhealthy = in<Unhealthy>();
  if (unhealthy == nullptr || unhealthy->failing.checks == 0 || is_silence(unhealthy->failing.last)) return;
  note(log::Level::warning, "back in rotation: no other worker of the app passes its checks either");
  life_.state = Ready{unhealthy->process, unhealthy->failing, true, true};
}

void Step::become_ready(Process process, bool healthy) {
  process.ready_at = now_;
  life_.trouble.clear();
  note(log::Level::info, "ready after {}", describe_duration(since(process.started, now_)));
  life_.state = Ready{process, {}, false, healthy};
}

void Step::leave_rotation() {
  Process process = *process_of(life_);
  TimePoint until = now_ + policy_.stop.drain;
  if (around_.desired.drain_by) until = std::min(until, *around_.desired.drain_by);
  if (around_.desired.drain && until > now_) {
    life_.state = Draining{process, until};
  } else {
    send_stop(process, StopReason::not_wanted);
  }
}

// Not a program that was never executed; that has no signal before its end, so that it is still Starting. While it
// drains it has not been asked to end yet, but may: cleanly.
bool Step::deserves_a_report(const Process& process, int status) {
  if (in<Starting>() != nullptr) return process.failure.empty();
  if (!process.failure.empty()) return true;
  if (in<Draining>() != nullptr) return status != 0;
  return in<Stopping>() == nullptr && in<Killing>() == nullptr;
}

// By value: the state this comes from is overwritten here.
void Step::send_stop(Process process, StopReason reason) {
  TimePoint kill_at = now_ + policy_.stop.grace;
  if (around_.desired.kill_by && !around_.desired.run) kill_at = std::min(kill_at, *around_.desired.kill_by);
  if (kill_at <= now_) {
    send_kill(process, reason);
    return;
  }
  actions_.kills.push_back({policy_.stop.signal, false});  // once, and to the leader only: see supervision 2.8
  life_.state = Stopping{process, kill_at, reason};
}

void Step::send_kill(Process process, StopReason reason) {
  actions_.kills.push_back({SIGKILL, true});
  life_.state = Killing{process, now_, now_ + kStuckNoteEvery, reason};
}

// Without a status: it never ran.
void Step::process_ended(const Process& ended, std::optional<int> status) {
  std::string how = status ? sys::describe_status(*status) : "";
  Process process = ended;  // the state it lives in is about to change
  bool asked_for = in<Draining>() != nullptr;
  if (auto* stopping = in<Stopping>()) asked_for = stopping->reason == StopReason::not_wanted;
  if (auto* killing = in<Killing>()) asked_for = killing->reason == StopReason::not_wanted;
  actions_.process_gone = true;

  if (asked_for) {
    bool early = in<Draining>() != nullptr;
    note(early ? log::Level::warning : log::Level::info, "stopped{}: {} after {}{}",
         early ? " by itself while draining" : "", how, describe_duration(since(process.started, now_)),
         in_brackets(process.failure));
    life_.failures = 0;
    life_.trouble.clear();
    life_.state = Stopped{};
    if (around_.desired.run) life_.state = Backoff{now_, true};
    return;
  }
  life_was_short(process, status, how);
}

void Step::life_was_short(const Process& process, std::optional<int> status, const std::string& how) {
  life_.restarts++;
  Duration delay{};
  Duration ready_for = process.ready_at ? since(*process.ready_at, now_) : Duration::zero();
  if (process.ready_at && ready_for >= policy_.restart.stable_after) life_.failures = 0;
  bool was_short = !process.ready_at || ready_for < kProvenAfter;
  if (was_short) {
    life_.failures++;
    delay = restart_delay(policy_.restart, life_.failures, around_.random01);
  }
  // A reason known before (exec failure, start timeout) says more than the exit status that follows it.
  std::string what;
  if (process.failure.empty()) {
    what = fmt::format("exited: {} after {}{}{}", how, describe_duration(since(process.started, now_)),
                       process.ready_at ? "" : ", before it was ready",
                       !process.ready_at && status == 0 ? "; a worker must stay in the foreground" : "");
    life_.trouble = how;
  } else {
    what = fmt::format("did not start: {}{}", process.failure, in_brackets(how));
    life_.trouble = process.failure;
  }
  if (!around_.desired.run) {
    note(log::Level::warning, "{}", what);
    life_.state = Stopped{};
    return;
  }
  wait_and_restart(delay);
  if (was_short && crash_looping(life_)) {
    note(log::Level::error, "{}; {} short lives in a row, trying again in {}", what, life_.failures,
         describe_duration(delay));
  } else if (delay > Duration::zero()) {
    note(log::Level::warning, "{}; trying again in {}", what, describe_duration(delay));
  } else {
    note(log::Level::warning, "{}; restarting now", what);
  }
  actions_.notes.back().quote_stderr = !process.ready_at;
}

void Step::wait_and_restart(Duration delay) { life_.state = Backoff{now_ + delay, delay <= Duration::zero()}; }

}  // namespace

Policy policy_of(const config::App& app) {
  return {app.start_timeout,      app.restart, app.stop, app.health.unhealthy_after, app.health.healthy_after,
          app.health.repair_after};
}

Actions step(Lifecycle& lifecycle, const Policy& policy, const Surroundings& around, const Event& event,
             TimePoint now) {
  Step one(lifecycle, policy, around, now);
  std::visit([&](const auto& what) { one.on(what); }, event);
  return one.take();
}

Duration restart_delay(const config::Restart& restart, std::uint32_t failures, double random01) {
  ROTA_CHECK(failures > 0);
  Duration delay = std::min(restart.delay, restart.max_delay);
  for (std::uint32_t i = 1; i < failures && delay < restart.max_delay; i++) {
    delay = std::min(delay * 2, restart.max_delay);
    if (delay == Duration::zero()) break;
  }
  double factor = 1.0 + kDelayJitter * (2.0 * random01 - 1.0);
  return Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * factor));
}

}  // namespace rota::supervisor
