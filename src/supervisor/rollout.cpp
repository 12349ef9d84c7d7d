#include "rota/supervisor/rollout.h"

#include <fmt/format.h>

#include <algorithm>

namespace rota::supervisor {

namespace {

using What = RolloutOrder::What;

bool in_rotation(const Lifecycle& life) { return std::holds_alternative<Ready>(life.state); }

TimePoint started(const Lifecycle& life) {
  const Process* process = process_of(life);
  return process != nullptr ? process->started : TimePoint{};
}

// A start that took too long counts before its process has ended.
bool timed_out(const Lifecycle& life) {
  if (const auto* stopping = std::get_if<Stopping>(&life.state)) return stopping->reason == StopReason::start_timeout;
  if (const auto* killing = std::get_if<Killing>(&life.state)) return killing->reason == StopReason::start_timeout;
  return false;
}

}  // namespace

TimePoint settled_by(const Process& process, Duration start_timeout) {
  return process.started + start_timeout + kMinReady;
}

std::optional<std::size_t> pick_outdated(const std::vector<RolloutView::Slot>& slots) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < slots.size(); i++) {
    if (!slots[i].outdated) continue;
    if (!best) {
      best = i;
      continue;
    }
    const Lifecycle& one = *slots[i].life;
    const Lifecycle& other = *slots[*best].life;
    if (in_rotation(one) != in_rotation(other)) {
      if (!in_rotation(one)) best = i;
    } else if (started(one) < started(other)) {
      best = i;
    }
  }
  return best;
}

std::string failure_of(const Lifecycle& replacement, Duration start_timeout, TimePoint now) {
  const Process* process = process_of(replacement);
  bool late = timed_out(replacement);
  if (replacement.failures + (late ? 1 : 0) >= kReplacementTries) {
    return late ? process->failure : replacement.trouble;
  }
  if (std::holds_alternative<Unhealthy>(replacement.state) && now >= settled_by(*process, start_timeout)) {
    return fmt::format("it was ready, but does not pass its checks {} after its start",
                       describe_duration(std::chrono::duration_cast<Duration>(now - process->started)));
  }
  return {};
}

void Rollout::begin(std::size_t outdated) {
  stage_ = outdated > 0 ? Stage::rolling : Stage::idle;
  replaced_ = 0;
  total_ = outdated;
}

void Rollout::resume(Stage stage, std::size_t slot, std::size_t outdated) {
  begin(outdated);
  slot_ = slot;
  if (stage == Stage::failed && outdated > 0) stage_ = Stage::failed;
}

RolloutOrder Rollout::step(const RolloutView& view, TimePoint now) {
  if (stage_ != Stage::rolling) {
    return view.replacement != nullptr ? RolloutOrder{What::drop, slot_, {}, {}} : RolloutOrder{};
  }
  return view.replacement != nullptr ? judge(view, now) : next(view);
}

RolloutOrder Rollout::judge(const RolloutView& view, TimePoint now) {
  // The slot went away, or runs the newest configuration by now.
  if (slot_ >= view.slots.size() || !view.slots[slot_].outdated) return {What::drop, slot_, {}, {}};
  const Lifecycle& life = *view.replacement;
  if (std::string why = failure_of(life, view.start_timeout, now); !why.empty()) {
    stage_ = Stage::failed;
    return {What::abort, slot_, std::move(why), {}};
  }
  RolloutOrder order;
  if (const auto* ready = std::get_if<Ready>(&life.state)) {
    TimePoint proven = ready->process.ready_at.value_or(now) + kMinReady;
    if (now >= proven) {
      replaced_++;
      return {What::promote, slot_, {}, {}};
    }
    order.look_at = proven;
  } else if (const auto* unhealthy = std::get_if<Unhealthy>(&life.state)) {
    order.look_at = settled_by(unhealthy->process, view.start_timeout);
  }
  return order;
}

RolloutOrder Rollout::next(const RolloutView& view) {
  auto outdated = pick_outdated(view.slots);
  if (!outdated) {
    stage_ = Stage::idle;
    return {What::finish, 0, {}, {}};
  }
  // Long drains must not pile up more old workers than there are slots, whatever the number of reloads.
  if (view.leaving >= view.slots.size()) return {};
  slot_ = *outdated;
  return {What::start, slot_, {}, {}};
}

}  // namespace rota::supervisor
