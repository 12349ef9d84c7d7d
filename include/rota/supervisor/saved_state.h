// What the next supervisor must know to go on with the workers of this one: kept by the keeper as a bulk, written
// before every spawn and after every change of a phase. Only what cannot be had from the configuration or from the
// keeper's list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/config.h"
#include "rota/supervisor/crash_report.h"
#include "rota/supervisor/lifecycle.h"
#include "rota/supervisor/rollout.h"
#include "rota/supervisor/shutdown.h"

namespace rota::supervisor {

inline constexpr std::uint32_t kSavedStateVersion = 5;  // first in the bulk; another one is not read at all

// Which state a slot was in; in the order of State's alternatives.
enum class SavedPhase : std::uint8_t {
  stopped,
  backoff,
  starting,
  ready,
  unhealthy,
  draining,
  stopping,
  killing,
  count_,
};
static_assert(std::variant_size_v<State> == static_cast<std::size_t>(SavedPhase::count_));

// What a worker is to its slot.
enum class SavedPart : std::uint8_t {
  serving,
  replacement,  // stands beside the one that serves
  leaving,      // replaced, or its slot is gone
  count_,
};

struct SavedWorker {
  std::uint32_t slot = 0;
  SavedPart part = SavedPart::serving;
  std::uint64_t config_hash = 0;  // of what it was started with
  std::uint64_t spawn_id = 0;     // 0: no process
  std::uint64_t sequence = 0;     // of its socket path
  SavedPhase phase = SavedPhase::stopped;
  StopReason reason = StopReason::not_wanted;  // of stopping and killing
  std::int64_t deadline_ns = 0;                // when the phase ends by itself: delay, drain, grace; 0: it does not
  bool was_ready = false;
  std::int64_t started_ns = 0;  // CLOCK_MONOTONIC, which outlives the process
  std::int64_t ready_ns = 0;
  std::uint32_t failures = 0;
  std::uint64_t restarts = 0;
  std::string trouble;
  std::string failure;  // of its process: why it will not live
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.slot);
    a(s.part);
    a(s.config_hash);
    a(s.spawn_id);
    a(s.sequence);
    a(s.phase);
    a(s.reason);
    a(s.deadline_ns);
    a(s.was_ready);
    a(s.started_ns);
    a(s.ready_ns);
    a(s.failures);
    a(s.restarts);
    a(s.trouble);
    a(s.failure);
  }
};
// A configuration that is not the newest, which workers run all the same: they come back with it when they die.
struct SavedRecipe {
  std::uint64_t config_hash = 0;
  std::uint64_t generation = 0;
  std::string app;  // see encode_app()
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.config_hash);
    a(s.generation);
    a(s.app);
  }
};
struct SavedServer {
  std::string address;  // numeric
  std::uint64_t id = 0;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.address);
    a(s.id);
  }
};
struct SavedName {
  std::string host;
  std::vector<std::string> addresses;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.host);
    a(s.addresses);
  }
};
struct SavedApp {
  std::string name;
  bool removed = false;           // no longer configured; its workers leave. Its settings are the first recipe
  std::uint64_t config_hash = 0;  // of what its workers are started with from now on
  std::uint64_t generation = 1;
  bool boot_over = false;  // its first start has been judged
  Rollout::Stage rollout = Rollout::Stage::idle;
  std::uint32_t rollout_slot = 0;
  std::vector<SavedRecipe> recipes;
  std::vector<SavedWorker> workers;
  std::vector<SavedServer> servers;
  std::vector<SavedName> names;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.name);
    a(s.removed);
    a(s.config_hash);
    a(s.generation);
    a(s.boot_over);
    a(s.rollout);
    a(s.rollout_slot);
    a(s.recipes);
    a(s.workers);
    a(s.servers);
    a(s.names);
  }
};
// An end that has begun goes on: its time is not given twice, nor its first signal.
struct SavedShutdown {
  ShutdownPlan::Stage stage = ShutdownPlan::Stage::serving;
  std::int64_t begun_ns = 0;
  std::int32_t code = 0;
  std::uint32_t terms = 0;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.stage);
    a(s.begun_ns);
    a(s.code);
    a(s.terms);
  }
};
struct SavedState {
  std::uint32_t version = kSavedStateVersion;
  std::uint64_t next_id = 1;  // of spawns and servers: never used before
  SavedShutdown shutdown;
  std::vector<SavedApp> apps;
  SavedCrashes crashes;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.version);
    a(s.next_id);
    a(s.shutdown);
    a(s.apps);
    a(s.crashes);
  }

  const SavedApp* find(std::string_view name) const;
};

std::string encode_state(const SavedState& state);
// Empty: another version, or damaged. Then every process found is a stranger.
std::optional<SavedState> decode_state(std::string_view bytes);

// Changes when a worker started now would differ from one started before.
std::uint64_t config_hash(const config::App& app);

SavedWorker save_worker(std::uint32_t slot, std::uint64_t spawn_id, std::uint64_t sequence, const Lifecycle& life);
// What Adopted wants.
State restore_state(const SavedWorker& worker, int pid, TimePoint now);
SavedShutdown save_shutdown(const ShutdownPlan::Progress& progress);
ShutdownPlan::Progress restore_shutdown(const SavedShutdown& saved);

}  // namespace rota::supervisor
