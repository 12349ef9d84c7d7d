#include "rota/proxy/deadlines.h"

#include <algorithm>

namespace rota::proxy {

Deadlines::Class& Deadlines::class_of(Duration duration) {
  for (auto& one : classes_) {
    if (one->duration == duration) return *one;
  }
  classes_.push_back(std::make_unique<Class>());
  classes_.back()->duration = duration;
  return *classes_.back();
}

void Deadlines::arm(DeadlineNode& node, Duration after, TimePoint now) {
  node.unlink();
  node.due_ = now + after;
  class_of(after).waiting.push_back(node);
}

void Deadlines::arm_at(DeadlineNode& node, TimePoint due) {
  node.unlink();
  node.due_ = due;
  odd_.insert_sorted(node, [due](const DeadlineNode& other) { return other.due_ > due; });
}

bool Deadlines::fire(IntrusiveList<DeadlineNode, ListLink>& list, TimePoint now, int& fired) {
  while (!list.empty() && list.front().due_ <= now) {
    if (fired++ == kExpiredMax) return true;
    list.pop_front().on_deadline();
  }
  return false;
}

bool Deadlines::any() const {
  if (!odd_.empty()) return true;
  return std::any_of(classes_.begin(), classes_.end(),
                     [](const std::unique_ptr<Class>& one) { return !one->waiting.empty(); });
}

bool Deadlines::expire(TimePoint now) {
  int fired = 0;
  if (fire(odd_, now, fired)) return true;
  // By index: on_deadline() may arm a duration that is new.
  for (std::size_t i = 0; i < classes_.size(); i++) {
    if (fire(classes_[i]->waiting, now, fired)) return true;
  }
  // Durations that a reload has made obsolete; a handful of classes stays for good.
  if (classes_.size() > 32) {
    std::erase_if(classes_, [](const std::unique_ptr<Class>& one) { return one->waiting.empty(); });
  }
  return false;
}

}  // namespace rota::proxy
