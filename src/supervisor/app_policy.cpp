#include "rota/supervisor/app_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace rota::supervisor {

namespace {

bool holds_permit(const Lifecycle& life, TimePoint now) {
  const auto* starting = std::get_if<Starting>(&life.state);
  return starting != nullptr && now < starting->process.started + kPermitHold;
}
bool is_ready(const Lifecycle& life) { return std::holds_alternative<Ready>(life.state); }

}  // namespace

std::uint32_t start_parallel(std::uint32_t cpus) { return std::max(kStartParallelMin, cpus); }

std::vector<std::size_t> pick_starts(const Lives& lives, std::uint32_t parallel, TimePoint now) {
  std::vector<std::size_t> picked;
  auto busy = static_cast<std::size_t>(
      std::count_if(lives.begin(), lives.end(), [now](auto* l) { return holds_permit(*l, now); }));
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < lives.size(); i++) {
    if (waits_for_permit(*lives[i])) waiting.push_back(i);
  }
  std::stable_sort(waiting.begin(), waiting.end(),
                   [&](std::size_t a, std::size_t b) { return lives[a]->failures < lives[b]->failures; });
  for (std::size_t i : waiting) {
    std::size_t left = parallel - std::min<std::size_t>(busy + picked.size(), parallel);
    if (left > (lives[i]->failures > 0 ? 1U : 0U)) picked.push_back(i);
  }
  return picked;
}

std::optional<TimePoint> next_permit(const Lives& lives, TimePoint now) {
  if (std::none_of(lives.begin(), lives.end(), [](auto* l) { return waits_for_permit(*l); })) return {};
  std::optional<TimePoint> next;
  for (const auto* life : lives) {
    if (!holds_permit(*life, now)) continue;
    TimePoint end = process_of(*life)->started + kPermitHold;
    next = next ? std::min(*next, end) : end;
  }
  return next;
}

bool may_eject(const Lives& lives, std::size_t which) {
  for (std::size_t i = 0; i < lives.size(); i++) {
    if (i != which && passes_checks(*lives[i])) return true;
  }
  return false;
}

std::size_t count_ready(const Lives& lives) {
  return static_cast<std::size_t>(std::count_if(lives.begin(), lives.end(), [](auto* l) { return is_ready(*l); }));
}

std::string describe_crash_loops(const Lives& lives) {
  std::size_t count = 0;
  std::string trouble;
  for (const Lifecycle* life : lives) {
    // One that is READY again may have mended; its trouble is forgotten.
    if (!crash_looping(*life) || life->trouble.empty()) continue;
    count++;
    trouble = life->trouble;
  }
  return count == 0 ? "" : fmt::format("{} in a crash loop: {}", count, trouble);
}

BootVerdict judge_boot(const Lives& lives, TimePoint started, Duration start_timeout, TimePoint now) {
  for (const auto* life : lives) {
    const Process* process = process_of(*life);
    if (process != nullptr && process->ready_at) return BootVerdict::ready;
  }
  if (now >= started + start_timeout) return BootVerdict::failed;
  bool all_failed = std::all_of(lives.begin(), lives.end(), [](auto* l) { return l->failures >= kBootAttempts; });
  return all_failed ? BootVerdict::failed : BootVerdict::undecided;
}

}  // namespace rota::supervisor
