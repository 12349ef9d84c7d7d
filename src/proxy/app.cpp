#include "rota/proxy/app.h"

#include <algorithm>

#include "rota/base/check.h"

namespace rota::proxy {

void App::apply(const ipc::AppState& state) {
  forgotten_ = false;
  for (auto& upstream : upstreams_) {
    bool known = std::any_of(state.upstreams.begin(), state.upstreams.end(),
                             [&](const ipc::UpstreamState& one) { return one.id == upstream->id(); });
    if (!known) upstream->forget();
  }
  for (const ipc::UpstreamState& one : state.upstreams) {
    auto at =
        std::find_if(upstreams_.begin(), upstreams_.end(), [&](const auto& have) { return have->id() == one.id; });
    if (at != upstreams_.end()) {
      (*at)->set_phase(one.phase);
    } else {
      upstreams_.push_back(std::make_unique<Upstream>(context_, one));
    }
  }
  settings_ = state;
  settings_.upstreams.clear();
  rebuild_round();
  upstream_freed();
}

void App::forget() {
  forgotten_ = true;
  for (auto& upstream : upstreams_) upstream->forget();
  rebuild_round();
  upstream_freed();
}

void App::rebuild_round() {
  // The round goes on behind the slot that had the last turn, whoever came or went.
  std::int64_t last = round_.empty() ? -1 : round_[(next_ + round_.size() - 1) % round_.size()]->slot();
  round_.clear();
  for (auto& upstream : upstreams_) {
    if (upstream->phase() == ipc::UpstreamPhase::ready) round_.push_back(upstream.get());
  }
  std::sort(round_.begin(), round_.end(), [](const Upstream* a, const Upstream* b) {
    return a->slot() != b->slot() ? a->slot() < b->slot() : a->id() < b->id();
  });
  auto after = std::find_if(round_.begin(), round_.end(), [&](const Upstream* one) { return one->slot() > last; });
  next_ = after == round_.end() ? 0 : static_cast<std::size_t>(after - round_.begin());
}

App::Picked App::pick(uv::StreamListener& user, std::uint64_t avoid_upstream, bool never) {
  Picked picked;
  TimePoint now = context_.loop.now();
  for (bool avoided : {false, true}) {
    if (avoided && never) break;
    for (std::size_t i = 0; i < round_.size(); i++) {
      Upstream& upstream = *round_[next_];
      next_ = next_ + 1 == round_.size() ? 0 : next_ + 1;
      if (upstream.ejected(now) || (upstream.id() == avoid_upstream) != avoided) continue;
      Upstream::Acquired acquired = upstream.acquire(user);
      if (acquired.connection != nullptr) {
        picked.connection = std::move(acquired.connection);
        return picked;
      }
      if (acquired.error == EAGAIN) {
        picked.busy = true;
      } else {
        upstream.eject(acquired.error);
      }
    }
  }
  return picked;
}

bool App::has_other(std::uint64_t than) const {
  TimePoint now = context_.loop.now();
  return std::any_of(round_.begin(), round_.end(),
                     [&](const Upstream* one) { return one->id() != than && !one->ejected(now); });
}

bool App::is_listening(std::uint64_t upstream) const {
  TimePoint now = context_.loop.now();
  return std::any_of(round_.begin(), round_.end(), [&](const Upstream* one) {
    return one->id() == upstream && !one->ejected(now) && one->is_listening();
  });
}

bool App::hold(Held& waiting) {
  if (held_count_ >= settings_.queue_size) return false;
  held_.push_back(waiting);
  held_count_++;
  return true;
}

void App::stop_holding(Held& waiting) {
  if (!waiting.linked()) return;
  waiting.unlink();
  held_count_--;
}

void App::release_held() {
  // An exchange that ends at once frees its upstream and would come here again.
  if (releasing_) return;
  releasing_ = true;
  while (!held_.empty()) {
    Held& first = held_.pop_front();
    held_count_--;
    if (!first.try_upstream()) {
      held_.push_front(first);
      held_count_++;
      break;
    }
  }
  releasing_ = false;
}

void App::give_up_if_hopeless() {
  while (round_.empty() && !held_.empty()) {
    Held& first = held_.pop_front();
    held_count_--;
    first.give_up();
  }
}

void App::upstream_freed() {
  std::erase_if(upstreams_, [](const std::unique_ptr<Upstream>& one) { return one->finished(); });
  if (held_count_ > 0) release_held();
}

}  // namespace rota::proxy
