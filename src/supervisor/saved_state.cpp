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
    for (const auto& [name, value] : s.app.env) {
      a(name);
      a(value);
    }
  }
};

}  // namespace

std::uint64_t SavedApp::server_id(std::string_view address) const {
  for (const SavedServer& server : servers) {
    if (server.address == address) return server.id;
  }
  return 0;
}

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
  const Process* process = process_of(life);
  if (process == nullptr) return worker;
  worker.spawn_id = spawn_id;
  worker.in_rotation = phase_of(life) == ipc::UpstreamPhase::ready;
  worker.started_ns = to_ns(process->started);
  worker.was_ready = process->ready_at.has_value();
  if (process->ready_at) worker.ready_ns = to_ns(*process->ready_at);
  return worker;
}

Process restore_process(const SavedWorker& worker, int pid) {
  Process process;
  process.pid = pid;
  process.started = from_ns(worker.started_ns);
  if (worker.was_ready) process.ready_at = from_ns(worker.ready_ns);
  return process;
}

}  // namespace rota::supervisor
