#include "rota/keeper/workers.h"

#include <signal.h>

#include <algorithm>
#include <cstring>

#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

constexpr Duration kSweepHardEvery{20};  // everything waits for it then

std::array<int, 2> outputs(const Process& process) { return {process.out.get(), process.err.get()}; }

}  // namespace

Process* Workers::find(std::uint64_t id) {
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id == id) return &table_[i];
  }
  return nullptr;
}

Process* Workers::free_place() {
  if (Process* dropped = find(0)) return dropped;
  return places_ < table_.size() ? &table_[places_++] : nullptr;
}

bool Workers::owns(pid_t pid) const {
  for (std::size_t i = 0; i < places_; i++) {
    const Process& process = table_[i];
    if (process.id != 0 && process.state != Process::State::Reaped && process.pid == pid) return true;
  }
  return false;
}

bool Workers::spawn(std::uint64_t id, int spec) {
  if (id == 0 || find(id) != nullptr) return false;
  if (sweep_hard_) {
    failed(id, make_failure("fork", ECANCELED, "rota is ending"), true);
    return true;
  }
  Process* place = free_place();
  if (place == nullptr) {
    failed(id, make_failure("fork", EAGAIN, "more processes than rota keeps track of"), true);
    return true;
  }
  Launched launched = launcher_.worker(spec);
  if (launched.error != 0) {
    failed(id, make_failure(launched.step, launched.error, ""), true);
    return true;
  }
  *place = Process{};
  place->id = id;
  place->pid = launched.pid;
  place->pidfd = std::move(launched.pidfd);
  place->report = std::move(launched.report);
  place->out = std::move(launched.out);
  place->err = std::move(launched.err);
  place->known = true;
  unreaped_++;
  ipc::Spawned spawned;
  spawned.id = id;
  spawned.pid = place->pid;
  supervisor_.say(spawned, outputs(*place));
  return true;
}

void Workers::failed(std::uint64_t id, const Failure& failure, bool known) {
  ipc::ExecFailed message;
  message.id = id;
  message.step = failure.step.data();
  message.error = failure.error;
  message.detail = failure.detail.data();
  if (!known || !supervisor_.say(message)) {
    log::error("a worker could not start: {} {}: {}", message.step, message.detail, ::strerrordesc_np(failure.error));
  }
}

void Workers::signal(std::uint64_t id, int number, bool group, TimePoint now) {
  Process* process = id == 0 ? nullptr : find(id);
  if (process == nullptr || process->state == Process::State::Reaped) return;
  // Whatever the signal is, it is the one that the app is to stop on: the supervisor sends workers no other.
  process->asked_by = supervisor_.epoch();
  if (number == SIGKILL && group && !process->killed_at) process->killed_at = now;
  // Before the trampoline has made the group there is only the leader.
  if (group && ::kill(-process->pid, number) == 0) return;
  (void)sys::send_signal_to(process->pidfd.get(), number);
}

void Workers::acknowledge(std::uint64_t id) {
  Process* process = id == 0 ? nullptr : find(id);
  if (process == nullptr || process->runs()) return;
  process->acknowledged = true;
  process->out.reset();
  process->err.reset();
  drop_if_done(*process);
}

void Workers::drop_if_done(Process& process) {
  if (process.state == Process::State::Reaped && process.acknowledged) process = Process{};
}

bool Workers::list_place(std::size_t place) {
  if (place >= places_) return true;
  Process& process = table_[place];
  if (process.id == 0 || process.acknowledged) return true;
  ipc::Listed listed;
  listed.id = process.id;
  listed.pid = process.pid;
  listed.exited = !process.runs();
  listed.status = process.status;
  if (!supervisor_.try_say(listed, outputs(process))) return false;
  process.known = true;
  process.end_told = listed.exited;
  return true;
}

void Workers::forget_what_was_told() {
  for (std::size_t i = 0; i < places_; i++) table_[i].known = table_[i].end_told = false;
}

bool Workers::tell_ends() {
  for (std::size_t i = 0; i < places_; i++) {
    Process& process = table_[i];
    if (process.id == 0 || process.runs() || process.end_told || !process.known) continue;
    ipc::Exited exited;
    exited.id = process.id;
    exited.pid = process.pid;
    exited.status = process.status;
    if (!supervisor_.try_say(exited)) return false;
    process.end_told = true;
  }
  return true;
}

void Workers::terminate_all(TimePoint now) {
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id != 0 && table_[i].state == Process::State::Running) signal(table_[i].id, SIGTERM, false, now);
  }
}

void Workers::kill_all(TimePoint now) {
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id != 0 && table_[i].state != Process::State::Reaped) signal(table_[i].id, SIGKILL, true, now);
  }
}

void Workers::watch(std::vector<pollfd>& set) const {
  for (std::size_t i = 0; i < places_; i++) {
    const Process& process = table_[i];
    bool running = process.id != 0 && process.state == Process::State::Running;
    set.push_back({running ? process.pidfd.get() : -1, POLLIN, 0});
    set.push_back({process.report.get(), POLLIN, 0});
  }
}

void Workers::handle(std::span<const pollfd> set, TimePoint now) {
  for (std::size_t i = 0; 2 * i + 1 < set.size(); i++) {
    if (set[2 * i + 1].revents != 0) read_report(table_[i]);
    if (set[2 * i].revents != 0) check_end(table_[i], now);
  }
  // At once for those that have just ended; a walk over /proc costs the same for all as for one.
  if (look_at_ && now >= *look_at_) look(now);
}

void Workers::read_report(Process& process) {
  if (std::optional<Failure> failure = read_failure(process.report)) failed(process.id, *failure, process.known);
}

void Workers::check_end(Process& process, TimePoint now) {
  Result<std::optional<int>> status = sys::child_status(process.pidfd.get(), false);
  if (!status || !*status) return;
  read_report(process);
  process.status = **status;
  process.swept_at = now;
  if (process.killed_at) process.killed_at = now;  // what has escaped that KILL gets another
  process.state = process.asked_by == 0 ? Process::State::Sweeping : Process::State::Lingering;
  look_at_ = now;
}

// At everything that is left of groups whose leaders have ended.
void Workers::look(TimePoint now) {
  queries_.clear();
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id != 0 && table_[i].is_watched()) queries_.push_back({table_[i].pid, false});
  }
  look_at_.reset();
  if (queries_.empty()) return;
  sys::find_others(queries_);
  for (std::size_t i = 0; i < places_; i++) {
    Process& process = table_[i];
    if (process.id == 0 || !process.is_watched()) continue;
    auto query = std::ranges::lower_bound(queries_, process.pid, {}, &sys::GroupQuery::group);
    sweep(process, query->has_others, now);
    if (process.is_watched()) look_at_ = now + (sweep_hard_ ? kSweepHardEvery : kSweepEvery);
  }
}

bool Workers::must_kill(Process& process, TimePoint now) const {
  if (sweep_hard_ || process.killed_at) return true;
  if (process.state == Process::State::Sweeping) return now - process.swept_at >= kSweepKill;
  // As long as the supervisor who asked lives, the end of the grace is its business.
  if (supervisor_.running() && supervisor_.epoch() == process.asked_by) process.swept_at = now;
  return now - process.swept_at >= kStopGrace;
}

// Reaps the leader when nothing is left, or time is up. Until then the zombie holds the group's number for us.
void Workers::sweep(Process& process, bool others, TimePoint now) {
  bool time_is_up = process.killed_at && now - *process.killed_at >= kSurvivesKill;
  if (others && !time_is_up) {
    bool hard = must_kill(process, now);
    // KILL again and again: one that was forked while the first was under way may have escaped it.
    if (hard || !process.swept) ::kill(-process.pid, hard ? SIGKILL : SIGTERM);
    if (hard && !process.killed_at) process.killed_at = now;
    process.swept = true;
    return;
  }
  if (others) log::warning("processes of group {} survive KILL; they are left behind", process.pid);
  (void)sys::child_status(process.pidfd.get(), true);
  process.pidfd.reset();
  process.state = Process::State::Reaped;
  unreaped_--;
  drop_if_done(process);
}

TimePoint Workers::tick(TimePoint now, TimePoint next) {
  if (look_at_ && now >= *look_at_) look(now);
  return look_at_ ? std::min(next, *look_at_) : next;
}

}  // namespace rota::keeper
