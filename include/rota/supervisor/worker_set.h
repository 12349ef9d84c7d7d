// The workers of one app: a slot for each, a new worker beside one while it is being replaced, and those that leave.
// Performs what rollout.h, repair.h and app_policy.h decide.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/supervisor/app_policy.h"
#include "rota/supervisor/repair.h"
#include "rota/supervisor/rollout.h"
#include "rota/supervisor/slot.h"

namespace rota::supervisor {

class WorkerSetListener {
 public:
  virtual void on_workers_changed(bool publish_again) = 0;

 protected:
  ~WorkerSetListener() = default;
};

class WorkerSet final : SlotListener, uv::TimerListener {
 public:
  // newest: without a command there are no slots. earlier: what an earlier supervisor left of this app, or null.
  // parallel: workers that may be starting at once.
  WorkerSet(const Surface& surface, Recipe newest, const SavedApp* earlier, std::uint32_t parallel,
            WorkerSetListener& listener);

  // Before start(): processes that were found. What was not found by finish_adoption() is gone. Null: not one of these,
  // and `found` is untouched.
  Slot* adopt(std::uint64_t spawn_id, Slot::Found& found);
  void finish_adoption();

  void start();
  void stop(const Desired& desired);  // the end of everything
  // After start(). Settings and the number of workers at once; workers of another recipe are replaced one by one.
  void configure(Recipe newest);

  // Once per loop turn, at top level: replaces, and forgets what has ended.
  void advance(bool may_replace);
  void recall();  // all fail their checks together: those that answer take part again
  // Slots whose workers may start now are granted; the caller saves, then has them sent.
  std::vector<Slot*> grant_due();

  Slot* find(std::uint64_t spawn_id);
  bool idle() const;
  Lives lives() const;
  std::size_t size() const { return slots_.size(); }
  std::size_t ready_count() const { return count_ready(lives()); }
  std::size_t leaving_count() const { return leaving_.size(); }
  std::size_t process_count() const;
  std::size_t outdated() const;
  const Rollout& rollout() const { return rollout_; }
  const std::string& failure() const { return failure_; }  // of the last rollout: "its new worker failed: ..."
  void add_to(std::vector<ipc::UpstreamState>& upstreams) const;
  void save(SavedApp& saved) const;
  void tell_last_lines() const;

 private:
  Recipe recipe_of(std::uint64_t hash) const;
  std::unique_ptr<Slot> make_slot(Recipe recipe, std::uint32_t number);
  void resize();
  void leave(std::unique_ptr<Slot> slot, const std::string& why = {});
  RolloutView view() const;
  bool obey(const RolloutOrder& order);  // false: nothing more for now
  void promote(std::size_t slot);
  void abort(const RolloutOrder& order);
  RepairView repair_view() const;
  bool obey(const RepairOrder& order);
  void end_repair();
  void look_at(TimePoint when);
  Slot* adopt_as(const SavedWorker& worker, std::optional<Slot::Found> found);
  template <class Use>
  void for_each(Use use);
  void on_slot_changed(Slot& slot, bool publish_again) override;
  bool may_eject(const Slot& slot) override;
  void on_timer(uv::Timer& timer) override;

  const Surface& surface_;
  std::uint32_t parallel_;
  WorkerSetListener& listener_;
  Recipe newest_;
  std::vector<Recipe> older_;          // of an earlier supervisor's workers
  std::vector<SavedWorker> to_adopt_;  // empty after finish_adoption()
  Rollout::Stage earlier_stage_ = Rollout::Stage::idle;
  bool started_ = false;
  bool ending_ = false;

  Rollout rollout_;
  std::string failure_;
  Repair repair_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::unique_ptr<Slot> replacement_;  // the repair's while one is active, else the rollout's
  std::vector<std::unique_ptr<Slot>> leaving_;
  uv::Timer look_timer_;
  uv::Timer permit_timer_;
};

}  // namespace rota::supervisor
