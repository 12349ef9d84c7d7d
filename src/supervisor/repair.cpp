#include "rota/supervisor/repair.h"

#include <fmt/format.h>

#include <algorithm>

#include "rota/base/check.h"
#include "rota/supervisor/outage.h"
#include "rota/supervisor/rollout.h"

namespace rota::supervisor {

namespace {

using What = RepairOrder::What;

Duration between(TimePoint from, TimePoint to) { return std::chrono::duration_cast<Duration>(to - from); }

// By the checks themselves and not by the clock: two of them, so far apart, have seen the same.
bool is_silent(const Failing& failing, const Policy& policy) {
  return failing.silent_checks >= policy.unhealthy_after &&
         between(failing.silent_since, failing.last_at) >= policy.repair_after;
}

// Whoever does not answer comes first, then whoever has been failing longest.
bool is_worse(const Failing& one, const Failing& other, const Policy& policy) {
  bool silent = is_silent(one, policy);
  if (silent != is_silent(other, policy)) return silent;
  return silent ? one.silent_since < other.silent_since : one.since < other.since;
}

}  // namespace

std::string unfitness_of(const Lifecycle& life, const Policy& policy, std::optional<TimePoint> well_since) {
  const Failing* failing = failing_of(life);
  if (failing == nullptr || policy.repair_after <= Duration::zero()) return {};
  if (is_silent(*failing, policy)) {
    std::string span = describe_duration(between(failing->silent_since, failing->last_at));
    if (failing->last == CheckFailure::gone) return fmt::format("nothing has listened on its socket for {}", span);
    return fmt::format("checks timed out for {}", span);
  }
  if (!well_since || failing->checks < policy.unhealthy_after) return {};
  Duration alone = between(std::max(failing->since, *well_since), failing->last_at);
  if (alone < policy.repair_after) return {};
  return fmt::format("checks failed for {}: {}", describe_duration(alone), failing->text);
}

void Repair::watch(const Lives& slots, const Policy& policy, TimePoint now) {
  Together together = judge_together(slots, policy.unhealthy_after);
  if (in_outage_ || together == Together::outage) outage_over_ = now;
  if (together != Together::undecided) in_outage_ = together == Together::outage;
}

RepairOrder Repair::step(const RepairView& view, const Policy& policy, TimePoint now) {
  ROTA_CHECK(active() == (view.replacement != nullptr));
  return active() ? judge(view, policy, now) : begin(view, policy, now);
}

RepairOrder Repair::begin(const RepairView& view, const Policy& policy, TimePoint now) {
  std::optional<Case> worst;
  for (std::size_t i = 0; i < view.slots.size(); i++) {
    std::optional<TimePoint> well_since;
    if (may_eject(view.slots, i)) well_since = outage_over_;
    std::string why = unfitness_of(*view.slots[i], policy, well_since);
    if (why.empty()) continue;
    if (worst && !is_worse(*failing_of(*view.slots[i]), *failing_of(*view.slots[worst->slot]), policy)) continue;
    worst = Case{i, std::move(why)};
  }
  if (!worst) return {};
  if (pause_until_ && now < *pause_until_) return {What::wait, 0, {}, pause_until_};
  // Long drains must not pile up more old workers than there are slots.
  if (view.leaving >= view.slots.size()) return {};
  pause_until_.reset();
  under_repair_ = std::move(worst);
  return {What::start, under_repair_->slot, under_repair_->why, {}};
}

RepairOrder Repair::judge(const RepairView& view, const Policy& policy, TimePoint now) {
  Case ill = *under_repair_;
  auto over = [&](What what, std::string why) {
    under_repair_.reset();
    return RepairOrder{what, ill.slot, std::move(why), {}};
  };
  bool vacant = ill.slot < view.slots.size() && process_of(*view.slots[ill.slot]) == nullptr;
  if (vacant) return over(What::promote, ill.why);  // the new worker is further than the next start would be
  bool still_ill = ill.slot < view.slots.size() && failing_of(*view.slots[ill.slot]) != nullptr;
  if (!still_ill || policy.repair_after <= Duration::zero()) return over(What::drop, {});

  const Lifecycle& life = *view.replacement;
  if (std::string failure = failure_of(life, policy.start_timeout, now); !failure.empty()) {
    // Out of rotation and without an answer it serves nobody: the slot is better off with starts that may succeed.
    const Lifecycle& old = *view.slots[ill.slot];
    // The others wait all the same: the new worker has not shown that it helps.
    pause_until_ = now + std::max(policy.repair_after, kRepairPauseMin);
    if (std::holds_alternative<Unhealthy>(old.state) && is_silent(*failing_of(old), policy)) {
      return over(What::promote, ill.why);
    }
    return over(What::give_up, std::move(failure));
  }
  if (const auto* ready = std::get_if<Ready>(&life.state)) {
    TimePoint proven = ready->process.ready_at.value_or(now) + kMinReady;
    if (now < proven) return {What::wait, ill.slot, {}, proven};
    if (ready->failing.checks == 0) return over(What::promote, ill.why);
  } else if (const auto* unhealthy = std::get_if<Unhealthy>(&life.state)) {
    return {What::wait, ill.slot, {}, settled_by(unhealthy->process, policy.start_timeout)};
  }
  return {};
}

}  // namespace rota::supervisor
