#include "rota/supervisor/outage.h"

#include <fmt/format.h>

#include <algorithm>

namespace rota::supervisor {

namespace {

bool is_checked(const Lifecycle& life) {
  return std::holds_alternative<Ready>(life.state) || std::holds_alternative<Unhealthy>(life.state);
}

// What one of them found, and how many there are.
struct Summary {
  std::size_t count = 0;
  std::size_t silent = 0;
  std::string example;
};
Summary summarise(const Lives& lives) {
  Summary summary;
  for (const Lifecycle* life : lives) {
    if (!is_checked(*life)) continue;
    summary.count++;
    const Failing* failing = failing_of(*life);
    if (failing == nullptr) continue;
    bool silent = is_silence(failing->last);
    if (silent) summary.silent++;
    if (summary.example.empty() || !silent) summary.example = failing->text;  // an answer says more than none
  }
  return summary;
}

std::string what_is_done(const Summary& summary, const OutageView& view) {
  if (!view.replaceable) return "something that all of them need may be down";
  if (summary.silent == 0) return "something that all of them need may be down; none is replaced for that";
  if (summary.silent == summary.count) return "they are replaced one after the other";
  return "something that all of them need may be down; only those that do not answer are replaced";
}

}  // namespace

Together judge_together(const Lives& lives, std::uint32_t unhealthy_after) {
  bool any = false;
  bool all = true;
  for (const Lifecycle* life : lives) {
    if (passes_checks(*life)) return Together::serving;
    if (!is_checked(*life)) continue;
    const Failing* failing = failing_of(*life);
    any = true;
    all = all && failing != nullptr && failing->checks >= unhealthy_after;
  }
  return any && all ? Together::outage : Together::undecided;
}

Outage::Orders Outage::step(const OutageView& view, TimePoint now) {
  Together together = judge_together(view.lives, view.unhealthy_after);
  Orders orders;
  if (together == Together::serving && on()) {
    auto passing = std::count_if(view.lives.begin(), view.lives.end(), [](auto* life) { return passes_checks(*life); });
    auto lasted = std::chrono::duration_cast<Duration>(now - *since_);
    since_.reset();
    orders.note = Note{log::Level::info, fmt::format("{} of {} {} pass their checks again, after {}", passing,
                                                     view.lives.size(), view.unit, describe_duration(lasted))};
  } else if (together == Together::outage) {
    orders.recall = true;
    bool first = !on();
    if (first) since_ = now;
    if (first || now >= next_note_) {
      Summary summary = summarise(view.lives);
      std::string lasting =
          first ? "" : ", for " + describe_duration(std::chrono::duration_cast<Duration>(now - *since_));
      std::string who = summary.count == 1 ? fmt::format("none of its {}", view.unit)
                                           : fmt::format("none of its {} {}", summary.count, view.unit);
      orders.note = Note{log::Level::error, fmt::format("{}{} passes its checks{}: {}; {}", first ? "" : "still ", who,
                                                        lasting, summary.example, what_is_done(summary, view))};
      next_note_ = now + kOutageNoteEvery;
    }
  }
  // While nothing is decided nothing will be said: the next change of a worker asks again.
  if (on() && together == Together::outage) orders.look_at = next_note_;
  return orders;
}

}  // namespace rota::supervisor
