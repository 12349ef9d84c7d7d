// What follows from the state of a life alone.
#include <fmt/format.h>

#include "rota/supervisor/lifecycle.h"

namespace rota::supervisor {

const Process* process_of(const Lifecycle& lifecycle) {
  return std::visit(
      [](const auto& state) -> const Process* {
        if constexpr (requires { state.process; }) {
          return &state.process;
        } else {
          return nullptr;
        }
      },
      lifecycle.state);
}

std::optional<ipc::UpstreamPhase> phase_of(const Lifecycle& lifecycle) {
  struct Phase {
    std::optional<ipc::UpstreamPhase> operator()(const Stopped&) const { return {}; }
    std::optional<ipc::UpstreamPhase> operator()(const Backoff&) const { return {}; }
    std::optional<ipc::UpstreamPhase> operator()(const Starting&) const { return ipc::UpstreamPhase::waiting; }
    std::optional<ipc::UpstreamPhase> operator()(const Ready&) const { return ipc::UpstreamPhase::ready; }
    std::optional<ipc::UpstreamPhase> operator()(const Unhealthy&) const { return ipc::UpstreamPhase::waiting; }
    std::optional<ipc::UpstreamPhase> operator()(const Draining&) const { return ipc::UpstreamPhase::draining; }
    // Never back to waiting from here: what is still in flight goes on until the process ends.
    std::optional<ipc::UpstreamPhase> operator()(const Stopping&) const { return ipc::UpstreamPhase::draining; }
    std::optional<ipc::UpstreamPhase> operator()(const Killing&) const { return ipc::UpstreamPhase::draining; }
  };
  return std::visit(Phase{}, lifecycle.state);
}

std::optional<TimePoint> deadline_of(const Lifecycle& lifecycle) {
  struct When {
    std::optional<TimePoint> operator()(const Stopped&) const { return {}; }
    std::optional<TimePoint> operator()(const Backoff& s) const {
      return s.due ? std::optional<TimePoint>{} : std::optional<TimePoint>{s.until};
    }
    std::optional<TimePoint> operator()(const Starting& s) const { return s.ready_by; }
    std::optional<TimePoint> operator()(const Ready&) const { return {}; }
    std::optional<TimePoint> operator()(const Unhealthy&) const { return {}; }
    std::optional<TimePoint> operator()(const Draining& s) const { return s.until; }
    std::optional<TimePoint> operator()(const Stopping& s) const { return s.kill_at; }
    std::optional<TimePoint> operator()(const Killing& s) const { return s.next_note; }
  };
  return std::visit(When{}, lifecycle.state);
}

Checks checks_of(const Lifecycle& lifecycle) {
  if (std::holds_alternative<Starting>(lifecycle.state)) return Checks::readiness;
  if (std::holds_alternative<Ready>(lifecycle.state)) return Checks::health;
  if (std::holds_alternative<Unhealthy>(lifecycle.state)) return Checks::health;
  return Checks::none;
}

bool waits_for_permit(const Lifecycle& lifecycle) {
  const auto* backoff = std::get_if<Backoff>(&lifecycle.state);
  return backoff != nullptr && backoff->due;
}

bool crash_looping(const Lifecycle& lifecycle) { return lifecycle.failures >= kCrashLoopAfter; }

bool passes_checks(const Lifecycle& lifecycle) {
  const auto* ready = std::get_if<Ready>(&lifecycle.state);
  return ready != nullptr && ready->checked && ready->failing.checks == 0;
}

bool is_undecided(const Lifecycle& lifecycle, const Policy& policy) {
  const auto* ready = std::get_if<Ready>(&lifecycle.state);
  return ready != nullptr && ready->failing.checks > 0 && ready->failing.checks < policy.unhealthy_after;
}

const Failing* failing_of(const Lifecycle& lifecycle) {
  const Failing* failing = nullptr;
  if (const auto* ready = std::get_if<Ready>(&lifecycle.state)) failing = &ready->failing;
  if (const auto* unhealthy = std::get_if<Unhealthy>(&lifecycle.state)) failing = &unhealthy->failing;
  return failing != nullptr && failing->checks > 0 ? failing : nullptr;
}

const char* name_of(const State& state) {
  struct Name {
    const char* operator()(const Stopped&) const { return "STOPPED"; }
    const char* operator()(const Backoff&) const { return "BACKOFF"; }
    const char* operator()(const Starting&) const { return "STARTING"; }
    const char* operator()(const Ready&) const { return "READY"; }
    const char* operator()(const Unhealthy&) const { return "UNHEALTHY"; }
    const char* operator()(const Draining&) const { return "DRAINING"; }
    const char* operator()(const Stopping&) const { return "STOPPING"; }
    const char* operator()(const Killing&) const { return "KILLING"; }
  };
  return std::visit(Name{}, state);
}

std::string describe_duration(Duration length) {
  auto ms = length.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 10'000 && ms % 1000 >= 50) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000.0);
  auto seconds = ms / 1000;
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
}

}  // namespace rota::supervisor
