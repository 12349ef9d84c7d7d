#include "rota/supervisor/worker_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rota/base/log.h"
#include "rota/supervisor/kept_config.h"
#include "rota/supervisor/users.h"

namespace rota::supervisor {

WorkerSet::WorkerSet(const Surface& surface, Recipe newest, const SavedApp* earlier, std::uint32_t parallel,
                     WorkerSetListener& listener)
    : surface_(surface),
      parallel_(parallel),
      listener_(listener),
      newest_(std::move(newest)),
      look_timer_(surface.loop, *this),
      permit_timer_(surface.loop, *this) {
  if (earlier != nullptr) {
    bool same = earlier->config_hash == newest_.hash;
    newest_.generation = same ? earlier->generation : earlier->generation + 1;
    for (const SavedRecipe& saved : earlier->recipes) {
      auto app = decode_app(saved.app);
      if (!app) continue;
      UserChoice user = choose_user(*app);
      if (user.failure) continue;  // it comes back as the newest, then
      older_.push_back({std::make_shared<const config::App>(std::move(*app)), saved.config_hash, saved.generation,
                        std::move(user.change_to)});
    }
    to_adopt_ = earlier->workers;
    earlier_stage_ = earlier->rollout;
  }
  resize();
}

std::unique_ptr<Slot> WorkerSet::make_slot(Recipe recipe, std::uint32_t number) {
  auto slot = std::make_unique<Slot>(surface_, std::move(recipe), number, static_cast<SlotListener&>(*this));
  slot->configure(*newest_.app);
  return slot;
}

// Top slots go, and come.
void WorkerSet::resize() {
  std::size_t wanted = newest_.app->command.empty() ? 0 : newest_.app->workers;
  while (slots_.size() > wanted) {
    leave(std::move(slots_.back()));
    slots_.pop_back();
  }
  while (slots_.size() < wanted) {
    slots_.push_back(make_slot(newest_, static_cast<std::uint32_t>(slots_.size())));
    if (started_) slots_.back()->want(Desired{});
  }
}

// Adoption ------------------------------------------------------------------------------------------------------------

// A recipe that is not known any more: its workers come back as the newest, but are still to be replaced.
Recipe WorkerSet::recipe_of(std::uint64_t hash) const {
  if (hash == newest_.hash) return newest_;
  for (const Recipe& recipe : older_) {
    if (recipe.hash == hash) return recipe;
  }
  Recipe unknown = newest_;
  unknown.hash = hash;
  unknown.generation = newest_.generation - 1;
  return unknown;
}

Slot* WorkerSet::adopt(std::uint64_t spawn_id, Slot::Found& found) {
  auto worker = std::find_if(to_adopt_.begin(), to_adopt_.end(),
                             [&](const SavedWorker& one) { return spawn_id != 0 && one.spawn_id == spawn_id; });
  if (worker == to_adopt_.end()) return nullptr;
  Slot* slot = adopt_as(*worker, std::move(found));
  to_adopt_.erase(worker);
  return slot;
}

Slot* WorkerSet::adopt_as(const SavedWorker& worker, std::optional<Slot::Found> found) {
  std::unique_ptr<Slot> slot = make_slot(recipe_of(worker.config_hash), worker.slot);
  Slot* adopted = slot.get();
  bool has_place = worker.slot < slots_.size();
  if (worker.part == SavedPart::serving && has_place) {
    slots_[worker.slot] = std::move(slot);
  } else if (worker.part == SavedPart::replacement && has_place && !replacement_ &&
             worker.config_hash == newest_.hash && earlier_stage_ == Rollout::Stage::rolling) {
    replacement_ = std::move(slot);
  }
  adopted->adopt(worker, std::move(found));
  if (slot) leave(std::move(slot));
  return adopted;
}

void WorkerSet::finish_adoption() {
  for (const SavedWorker& worker : to_adopt_) {
    if (worker.part != SavedPart::leaving) adopt_as(worker, {});
  }
  to_adopt_.clear();
  rollout_.resume(earlier_stage_, replacement_ ? replacement_->number() : 0, outdated());
  if (rollout_.stage() == Rollout::Stage::rolling) {
    log::info("{}: {} of {} workers are of an older configuration; replacing them goes on", newest_.app->name,
              outdated(), slots_.size());
  }
}

// Life ----------------------------------------------------------------------------------------------------------------

void WorkerSet::start() {
  started_ = true;
  for (auto& slot : slots_) slot->want(Desired{});
  if (replacement_) replacement_->want(Desired{});
}

template <class Use>
void WorkerSet::for_each(Use use) {
  for (auto& slot : slots_) use(*slot);
  if (replacement_) use(*replacement_);
  for (auto& slot : leaving_) use(*slot);
}

void WorkerSet::stop(const Desired& desired) {
  ending_ = true;
  rollout_.cancel();
  repair_.cancel();
  look_timer_.stop();
  for_each([&](Slot& slot) { slot.want(desired); });
}

void WorkerSet::configure(Recipe newest) {
  newest.generation = newest_.generation + (newest.hash == newest_.hash ? 0 : 1);
  newest_ = std::move(newest);
  failure_.clear();
  end_repair();  // whoever is still ill then begins anew, by the new settings
  for_each([&](Slot& slot) { slot.configure(*newest_.app); });
  resize();
  if (replacement_ && replacement_->recipe().hash != newest_.hash) leave(std::move(replacement_));
  rollout_.begin(outdated());
}

void WorkerSet::leave(std::unique_ptr<Slot> slot, const std::string& why) {
  slot->leave(why);
  leaving_.push_back(std::move(slot));
}

void WorkerSet::advance(bool may_replace) {
  std::erase_if(leaving_, [](const auto& slot) { return slot->idle(); });
  if (!started_ || ending_ || !may_replace) return;
  repair_.watch(lives(), policy_of(*newest_.app), surface_.loop.now());
  if (!repair_.active()) {
    while (obey(rollout_.step(view(), surface_.loop.now()))) {
    }
  }
  if (rollout_.stage() == Rollout::Stage::rolling) return;  // which takes the ill ones first
  while (obey(repair_.step(repair_view(), policy_of(*newest_.app), surface_.loop.now()))) {
  }
}

RolloutView WorkerSet::view() const {
  RolloutView view;
  for (const auto& slot : slots_) view.slots.push_back({&slot->life(), slot->recipe().hash != newest_.hash});
  if (replacement_) view.replacement = &replacement_->life();
  view.leaving = leaving_.size();
  view.start_timeout = newest_.app->start_timeout;
  return view;
}

bool WorkerSet::obey(const RolloutOrder& order) {
  using What = RolloutOrder::What;
  switch (order.what) {
    case What::wait:
      look_timer_.stop();
      if (order.look_at) look_at(*order.look_at);
      return false;
    case What::start:
      replacement_ = make_slot(newest_, static_cast<std::uint32_t>(order.slot));
      replacement_->want(Desired{});
      return true;
    case What::promote: promote(order.slot); return true;
    case What::drop: leave(std::move(replacement_)); return true;
    case What::abort: abort(order); return true;
    case What::finish: return true;
  }
  return false;
}

// Both in one turn: the proxy's next state has the new worker in the old one's place.
void WorkerSet::promote(std::size_t slot) {
  log::info("{}.{} replaced ({} of {})", newest_.app->name, slot, rollout_.replaced(), rollout_.total());
  std::swap(slots_[slot], replacement_);
  leave(std::move(replacement_));
}

void WorkerSet::abort(const RolloutOrder& order) {
  failure_ = fmt::format("the new worker of {}.{} failed: {}", newest_.app->name, order.slot, order.why);
  log::error("{}; {} of {} workers go on with the configuration of before", failure_, outdated(), slots_.size());
  for (const std::string& line : replacement_->last_lines().newest(kQuotedLines)) {
    log::error("{}.{} said: {}", newest_.app->name, order.slot, line);
  }
  leave(std::move(replacement_));
}

void WorkerSet::look_at(TimePoint when) {
  TimePoint now = surface_.loop.now();
  look_timer_.start(when <= now ? Duration::zero() : std::chrono::ceil<Duration>(when - now));
}

// Repair --------------------------------------------------------------------------------------------------------------

RepairView WorkerSet::repair_view() const {
  return {lives(), replacement_ ? &replacement_->life() : nullptr, leaving_.size()};
}

// With the recipe of the worker that is ill, which need not be the newest.
bool WorkerSet::obey(const RepairOrder& order) {
  using What = RepairOrder::What;
  switch (order.what) {
    case What::wait:
      if (order.look_at) look_at(*order.look_at);
      return false;
    case What::start: {
      Slot& ill = *slots_[order.slot];
      log::warning("{} is replaced: {}", ill.label(), order.why);
      replacement_ = make_slot(ill.recipe(), ill.number());
      replacement_->want(Desired{});
      return true;
    }
    case What::promote: {
      bool ended = process_of(slots_[order.slot]->life()) == nullptr;
      log::info("{} has a new worker; {}", slots_[order.slot]->label(),
                ended ? "the old one ended by itself" : "the old one is drained and stopped");
      std::unique_ptr<Slot> old = std::exchange(slots_[order.slot], std::move(replacement_));
      slots_[order.slot]->succeed(*old);
      leave(std::move(old), order.why);
      return true;
    }
    case What::drop:
      log::info("{}.{} needs no new worker any more", newest_.app->name, order.slot);
      leave(std::move(replacement_));
      return true;
    case What::give_up:
      log::error("{} stays: its new worker failed: {}", slots_[order.slot]->label(), order.why);
      leave(std::move(replacement_));
      return true;
  }
  return false;
}

void WorkerSet::end_repair() {
  if (repair_.active()) leave(std::move(replacement_));
  repair_.cancel();
}

void WorkerSet::recall() {
  for (auto& slot : slots_) slot->on_recalled();
}

std::vector<Slot*> WorkerSet::grant_due() {
  std::vector<Slot*> granted;
  TimePoint now = surface_.loop.now();
  for (std::size_t i : pick_starts(lives(), parallel_, now)) granted.push_back(slots_[i].get());
  // One at a time anyway.
  if (replacement_ && waits_for_permit(replacement_->life())) granted.push_back(replacement_.get());
  for (Slot* slot : granted) slot->grant();
  // A start that hangs is no event: without a timer the others would wait for the next one.
  if (auto next = next_permit(lives(), now)) {
    permit_timer_.start(std::chrono::ceil<Duration>(*next - now));
  } else {
    permit_timer_.stop();
  }
  return granted;
}

// Views ---------------------------------------------------------------------------------------------------------------

Slot* WorkerSet::find(std::uint64_t spawn_id) {
  Slot* found = nullptr;
  for_each([&](Slot& slot) {
    if (slot.spawn_id() == spawn_id && process_of(slot.life()) != nullptr) found = &slot;
  });
  return found;
}

bool WorkerSet::idle() const {
  auto is_idle = [](const auto& slot) { return slot->idle(); };
  return std::all_of(slots_.begin(), slots_.end(), is_idle) && (!replacement_ || replacement_->idle()) &&
         std::all_of(leaving_.begin(), leaving_.end(), is_idle);
}

Lives WorkerSet::lives() const {
  Lives lives;
  for (const auto& slot : slots_) lives.push_back(&slot->life());
  return lives;
}

std::size_t WorkerSet::process_count() const {
  auto runs = [](const auto& slot) { return process_of(slot->life()) != nullptr; };
  return static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), runs) +
                                  std::count_if(leaving_.begin(), leaving_.end(), runs)) +
         (replacement_ && runs(replacement_) ? 1 : 0);
}

std::size_t WorkerSet::outdated() const {
  return static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(),
                                                [&](const auto& slot) { return slot->recipe().hash != newest_.hash; }));
}

// Not the new worker that has not proven itself: it takes no requests.
void WorkerSet::add_to(std::vector<ipc::UpstreamState>& upstreams) const {
  for (const auto* list : {&slots_, &leaving_}) {
    for (const auto& slot : *list) {
      if (auto upstream = slot->upstream()) upstreams.push_back(*upstream);
    }
  }
}

void WorkerSet::save(SavedApp& saved) const {
  saved.config_hash = newest_.hash;
  saved.generation = newest_.generation;
  saved.rollout = rollout_.stage();
  saved.rollout_slot = static_cast<std::uint32_t>(rollout_.slot());
  auto add = [&](const Slot& slot, SavedPart part) {
    saved.workers.push_back(slot.saved(part));
    const Recipe& recipe = slot.recipe();
    bool known = std::any_of(saved.recipes.begin(), saved.recipes.end(),
                             [&](const SavedRecipe& one) { return one.config_hash == recipe.hash; });
    if (recipe.hash == newest_.hash || known) return;
    saved.recipes.push_back({recipe.hash, recipe.generation, encode_app(*recipe.app)});
  };
  for (const auto& slot : slots_) add(*slot, SavedPart::serving);
  if (replacement_) add(*replacement_, SavedPart::replacement);
  for (const auto& slot : leaving_) add(*slot, SavedPart::leaving);
}

void WorkerSet::tell_last_lines() const {
  for (const auto& slot : slots_) {
    if (slot->last_words().all().empty()) continue;
    log::error("{}'s last lines on stderr:", slot->label());
    for (const std::string& line : slot->last_words().all()) log::error("  {}", line);
    return;  // one worker's words: the others say the same
  }
}

void WorkerSet::on_slot_changed(Slot&, bool publish_again) { listener_.on_workers_changed(publish_again); }

bool WorkerSet::may_eject(const Slot& slot) {
  bool serves = slot.number() < slots_.size() && slots_[slot.number()].get() == &slot;
  return !serves || supervisor::may_eject(lives(), slot.number());
}

void WorkerSet::on_timer(uv::Timer&) { listener_.on_workers_changed(false); }

}  // namespace rota::supervisor
