#include "rota/supervisor/saved_state.h"

#include "rota/ipc/codec.h"

namespace rota::supervisor {

namespace {

std::int64_t to_ns(TimePoint at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}
TimePoint from_ns(std::int64_t ns) {
  return TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(ns)));
}

struct Startable {
  const config::App& app;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.app.command);
    a(s.app.directory);
    a(s.app.user);
    a(s.app.group);
    a(s.app.umask);
    for (const config::ResourceLimit& limit : s.app.limits) {
      a(limit.resource);
      a(limit.value);
    }
    a(s.app.oom_score_adj.has_value());
    a(s.app.oom_score_adj.value_or(0));
    for (const auto& [name, value] : s.app.env) {
      a(name);
      a(value);
    }
  }
};

}  // namespace

const SavedApp* SavedState::find(std::string_view name) const {
  for (const SavedApp& app : apps) {
    if (app.name == name) return &app;
  }
  return nullptr;
}

std::string encode_state(const SavedState& state) { return ipc::encode_bulk(state); }

std::optional<SavedState> decode_state(std::string_view bytes) {
  // The version stands first and alone, so that a state of another layout is recognised before it is read.
  std::uint32_t version = 0;
  ipc::Decoder head(bytes.substr(0, sizeof(version)));
  head(version);
  if (!head.complete() || version != kSavedStateVersion) return {};
  SavedState state;
  if (!ipc::decode_bulk(bytes, state)) return {};
  return state;
}

// FNV-1a: equality is all that is asked of it.
std::uint64_t config_hash(const config::App& app) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (char c : ipc::encode_bulk(Startable{app})) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  return hash;
}

SavedWorker save_worker(std::uint32_t slot, std::uint64_t spawn_id, std::uint64_t sequence, const Lifecycle& life) {
  SavedWorker worker;
  worker.slot = slot;
  worker.sequence = sequence;
  worker.failures = life.failures;
  worker.restarts = life.restarts;
  worker.trouble = life.trouble;
  worker.phase = static_cast<SavedPhase>(life.state.index());
  // One that is due only waits for its permit, and asks for it anew.
  if (auto deadline = deadline_of(life)) worker.deadline_ns = to_ns(*deadline);
  if (const auto* stopping = std::get_if<Stopping>(&life.state)) worker.reason = stopping->reason;
  if (const auto* killing = std::get_if<Killing>(&life.state)) worker.reason = killing->reason;
  const Process* process = process_of(life);
  if (process == nullptr) return worker;
  worker.spawn_id = spawn_id;
  worker.failure = process->failure;
  worker.started_ns = to_ns(process->started);
  worker.was_ready = process->ready_at.has_value();
  if (process->ready_at) worker.ready_ns = to_ns(*process->ready_at);
  return worker;
}

State restore_state(const SavedWorker& worker, int pid, TimePoint now) {
  Process process;
  process.pid = pid;
  process.started = from_ns(worker.started_ns);
  process.failure = worker.failure;
  if (worker.was_ready) process.ready_at = from_ns(worker.ready_ns);
  TimePoint deadline = from_ns(worker.deadline_ns);
  switch (worker.phase) {
    case SavedPhase::stopped:
    case SavedPhase::count_: break;
    case SavedPhase::backoff: return Backoff{deadline, deadline <= now};
    case SavedPhase::starting: return Starting{process, deadline, {}, false};
    case SavedPhase::ready: return Ready{process, {}, false, false};  // as checks found it then, nobody knows now
    case SavedPhase::unhealthy: return Unhealthy{process, 0};
    case SavedPhase::draining: return Draining{process, deadline};
    case SavedPhase::stopping: return Stopping{process, deadline, worker.reason};
    case SavedPhase::killing: return Killing{process, now, now, worker.reason};  // once more cannot hurt
  }
  return Stopped{};
}

SavedShutdown save_shutdown(const ShutdownPlan::Progress& progress) {
  if (progress.stage == ShutdownPlan::Stage::serving) return {};
  return {progress.stage, to_ns(progress.begun_at), static_cast<std::int32_t>(progress.code), progress.terms};
}

ShutdownPlan::Progress restore_shutdown(const SavedShutdown& saved) {
  return {saved.stage, from_ns(saved.begun_ns), static_cast<ExitCode>(saved.code), saved.terms};
}

}  // namespace rota::supervisor
