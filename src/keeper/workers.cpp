#include "rota/keeper/workers.h"

#include <signal.h>

#include <algorithm>
#include <cstring>

#include "rota/sys/proc.h"
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

void Workers::signal(std::uint64_t id, int number, bool group) {
  Process* process = id == 0 ? nullptr : find(id);
  if (process == nullptr || process->state == Process::State::Reaped) return;
  // Before the trampoline has made the group there is only the leader.
  if (group && ::kill(-process->pid, number) == 0) return;
  (void)sys::send_signal_to(process->pidfd.get(), number);
}

void Workers::acknowledge(std::uint64_t id) {
  Process* process = id == 0 ? nullptr : find(id);
  if (process == nullptr || process->state == Process::State::Running) return;
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
  listed.exited = process.state != Process::State::Running;
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
    if (process.id == 0 || process.state == Process::State::Running || process.end_told || !process.known) continue;
    ipc::Exited exited;
    exited.id = process.id;
    exited.pid = process.pid;
    exited.status = process.status;
    if (!supervisor_.try_say(exited)) return false;
    process.end_told = true;
  }
  return true;
}

void Workers::terminate_all() {
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id != 0 && table_[i].state == Process::State::Running) signal(table_[i].id, SIGTERM, false);
  }
}

void Workers::kill_all() {
  for (std::size_t i = 0; i < places_; i++) {
    if (table_[i].id != 0 && table_[i].state != Process::State::Reaped) signal(table_[i].id, SIGKILL, true);
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
}

void Workers::read_report(Process& process) {
  if (std::optional<Failure> failure = read_failure(process.report)) failed(process.id, *failure, process.known);
}

void Workers::check_end(Process& process, TimePoint now) {
  Result<std::optional<int>> status = sys::child_status(process.pidfd.get(), false);
  if (!status || !*status) return;
  read_report(process);
  process.status = **status;
  process.ended_at = now;
  process.state = Process::State::Sweeping;
  process.swept_hard = sweep_hard_;
  // Without others there is nothing to signal; with them, the zombie leader holds the group's number for us.
  if (sweep(process, now)) return;
  ::kill(-process.pid, sweep_hard_ ? SIGKILL : SIGTERM);
}

// True: nothing is left, or time is up, and the leader has been reaped.
bool Workers::sweep(Process& process, TimePoint now) {
  bool others = sys::group_has_others(process.pid, process.pid);
  Duration age = std::chrono::duration_cast<Duration>(now - process.ended_at);
  process.look_at = now + (sweep_hard_ ? kSweepHardEvery : kSweepEvery);
  if (others && age < kSweepMax) {
    if (!process.swept_hard && (sweep_hard_ || age >= kSweepKill)) {
      process.swept_hard = true;
      ::kill(-process.pid, SIGKILL);
    }
    return false;
  }
  if (others) log::warning("processes of group {} survive KILL; they are left behind", process.pid);
  (void)sys::child_status(process.pidfd.get(), true);
  process.pidfd.reset();
  process.state = Process::State::Reaped;
  unreaped_--;
  drop_if_done(process);
  return true;
}

TimePoint Workers::tick(TimePoint now, TimePoint next) {
  for (std::size_t i = 0; i < places_; i++) {
    Process& process = table_[i];
    if (process.id == 0 || process.state != Process::State::Sweeping) continue;
    if (now >= process.look_at && sweep(process, now)) continue;
    next = std::min(next, process.look_at);
  }
  return next;
}

}  // namespace rota::keeper
