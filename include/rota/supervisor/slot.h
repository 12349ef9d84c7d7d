// A worker's stable place in its app: the shell around one Lifecycle. It performs what step() decides (spawns, signals,
// checks, log lines) and feeds it what happens. Belongs to an App, which outlives it; is outlived by nothing of its own
// but the output of a worker that has just ended (at most kTailMax).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "rota/config/config.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/supervisor/checker.h"
#include "rota/supervisor/crash_reports.h"
#include "rota/supervisor/environment.h"
#include "rota/supervisor/followed_name.h"
#include "rota/supervisor/keeper_link.h"
#include "rota/supervisor/lifecycle.h"
#include "rota/supervisor/output.h"
#include "rota/supervisor/recipe.h"
#include "rota/supervisor/runtime_dir.h"
#include "rota/supervisor/saved_state.h"

namespace rota::supervisor {

inline constexpr Duration kTailMax{1s};      // reading on after an exit: a grandchild may keep the pipes open
inline constexpr std::size_t kTailsMax = 8;  // ended workers of one slot whose output is still read
// Of stderr, after a note about a short life: enough for the reason above a stack trace.
inline constexpr std::size_t kQuotedLines = 12;

// What all slots and servers share; outlives them.
struct Surface {
  uv::Loop& loop;
  KeeperLink& keeper;
  RuntimeDir& runtime_dir;
  WorkerLogs& logs;
  sys::PipePeek& peek;
  CrashReports& crashes;
  std::mt19937_64& random;
  const std::vector<std::string>& inherited_env;
  std::uint64_t& next_id;
  Lookup::Ask ask = look_up;  // names
  FollowedName::Pace name_pace{};
};

class Slot;
class SlotListener {
 public:
  // Its state is not what it was. publish_again: the proxy doubts this upstream and must hear of it even so.
  virtual void on_slot_changed(Slot& slot, bool publish_again) = 0;
  virtual bool may_eject(const Slot& slot) = 0;

 protected:
  ~SlotListener() = default;
};

class Slot final : uv::TimerListener, CheckListener, WorkerOutputListener {
 public:
  // The newest settings of the app are taken from the recipe, too, until configure().
  Slot(const Surface& surface, Recipe recipe, std::uint32_t number, SlotListener& listener);
  ~Slot();

  void want(const Desired& desired);
  // It is replaced, or not needed any more: drained, then stopped. why: told at its end, one clause or nothing.
  void leave(const std::string& why = {});
  // Takes the place of a worker that did not live well: one more restart of the slot, unless its death was counted.
  void succeed(const Slot& before) {
    life_.restarts += before.life_.restarts + (process_of(before.life_) != nullptr ? 1 : 0);
  }
  // What its worker takes as it runs: checks, patience, ways to stop.
  void configure(const config::App& app);
  // Two steps, so that the state is saved in between: a spawn nobody remembers must not exist.
  void grant();
  void send_spawn();
  // From an earlier supervisor. `found`: what the keeper says of its process, if it knows one.
  struct Found {
    int pid = 0;
    Fds output;
  };
  void adopt(const SavedWorker& saved, std::optional<Found> found);

  void on_spawned(int pid, Fds output);
  void on_exec_failed(std::string_view step, int error, std::string_view detail);
  void on_exited(int status);
  void on_connect_failed();
  void on_drained();
  void on_recalled();

  std::uint32_t number() const { return number_; }
  const Recipe& recipe() const { return recipe_; }
  const Lifecycle& life() const { return life_; }
  std::uint64_t spawn_id() const { return spawn_id_; }
  bool idle() const { return std::holds_alternative<Stopped>(life_.state) && tails_.empty(); }
  std::optional<ipc::UpstreamState> upstream() const;
  SavedWorker saved(SavedPart part) const;
  const LastLines& last_lines() const { return *last_lines_; }
  // The same, or, of a worker that has said nothing yet, those of the one before it.
  const LastLines& last_words() const { return last_lines_->all().empty() ? *earlier_lines_ : *last_lines_; }
  const std::string& label() const { return label_; }  // "web.0"

 private:
  struct Tail {
    std::uint64_t id = 0;
    TimePoint until{};
    std::unique_ptr<WorkerOutput> output;
  };
  void apply(const Event& event);
  void perform(const Actions& actions);
  void tell_where_it_listens(const Actions& actions);
  void say(const Note& note);
  void report(const Death& death);
  void aim_checker();
  void attach_output(int pid, Fds output);
  void leave_tail(std::uint64_t id);
  void end_tail(std::size_t index);
  void on_timer(uv::Timer& timer) override;
  void on_check(const CheckResult& result) override;
  void on_odd_health_path(int status) override;
  void on_output_ended(WorkerOutput& output) override;

  const Surface& surface_;
  Recipe recipe_;
  const config::App& app_;  // the recipe's
  std::uint32_t number_;
  std::string label_;
  SlotListener& listener_;
  Policy policy_;
  std::string health_path_;

  Desired desired_{false, true, {}, {}};
  Lifecycle life_;
  std::uint64_t spawn_id_ = 0;
  std::uint64_t sequence_ = 0;  // of its socket path
  bool proxy_doubts_ = false;   // a proxy could not connect; the next good check is told to it
  // Of the newest worker; one of before may still be writing to its own.
  std::shared_ptr<LastLines> last_lines_ = std::make_shared<LastLines>();
  std::shared_ptr<LastLines> earlier_lines_ = std::make_shared<LastLines>();
  std::string listens_elsewhere_;    // as told last
  std::vector<std::string> quoted_;  // of the worker that was quoted last
  std::unique_ptr<WorkerOutput> output_;
  std::vector<Tail> tails_;
  Checker checker_;
  uv::Timer deadline_;
  uv::Timer tail_timer_;
};

}  // namespace rota::supervisor
