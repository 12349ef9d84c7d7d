#include "rota/supervisor/slot.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "rota/base/check.h"
#include "rota/base/log.h"
#include "rota/supervisor/where_listens.h"

namespace rota::supervisor {

namespace {

Duration until(TimePoint when, TimePoint now) {
  return when <= now ? Duration::zero() : std::chrono::ceil<Duration>(when - now);
}

}  // namespace

Slot::Slot(const Surface& surface, Recipe recipe, std::uint32_t number, SlotListener& listener)
    : surface_(surface),
      recipe_(std::move(recipe)),
      app_(*recipe_.app),
      number_(number),
      label_(fmt::format("{}.{}", app_.name, number)),
      listener_(listener),
      policy_(policy_of(app_)),
      health_path_(app_.health.path),
      checker_(surface.loop, rules_of(app_), surface.random, *this),
      deadline_(surface.loop, *this),
      tail_timer_(surface.loop, *this) {}

Slot::~Slot() = default;

void Slot::want(const Desired& desired) {
  desired_ = desired;
  apply(WantedChanged{});
}

void Slot::leave(const std::string& why) {
  label_ += " (leaving)";  // another worker of this slot may write to the log
  if (!why.empty()) apply(Unfit{why});
  want(Desired{false, true, {}, {}});
}

void Slot::configure(const config::App& app) {
  policy_ = policy_of(app);
  health_path_ = app.health.path;
  checker_.change(rules_of(app));
}

void Slot::grant() {
  ROTA_CHECK(waits_for_permit(life_));
  spawn_id_ = surface_.next_id++;
  sequence_ = surface_.runtime_dir.next_sequence();
  apply(Permit{});
}

void Slot::send_spawn() {
  WorkerPlace place{number_, surface_.runtime_dir.absolute(RuntimeDir::relative_socket(app_.name, number_, sequence_))};
  surface_.runtime_dir.give_app(app_.name, recipe_.change_to ? recipe_.change_to->uid : ::geteuid());
  surface_.keeper.spawn(spawn_id_, worker_spec(app_, place, recipe_.change_to, surface_.inherited_env));
}

void Slot::adopt(const SavedWorker& saved, std::optional<Found> found) {
  desired_ = {};  // unless leave() says otherwise
  sequence_ = saved.sequence;
  life_.failures = saved.failures;
  life_.restarts = saved.restarts;
  life_.trouble = saved.trouble;
  Adopted adopted{restore_state(saved, found ? found->pid : 0, surface_.loop.now())};
  if (saved.spawn_id == 0) {  // perhaps in the middle of a delay
    apply(adopted);
    return;
  }
  spawn_id_ = saved.spawn_id;
  aim_checker();
  if (found) attach_output(found->pid, std::move(found->output));
  apply(adopted);
  if (!found) apply(Vanished{});
}

SavedWorker Slot::saved(SavedPart part) const {
  SavedWorker saved = save_worker(number_, spawn_id_, sequence_, life_);
  saved.part = part;
  saved.config_hash = recipe_.hash;
  return saved;
}

void Slot::on_spawned(int pid, Fds output) {
  attach_output(pid, std::move(output));
  apply(Spawned{pid});
}

void Slot::on_exec_failed(std::string_view step, int error, std::string_view detail) {
  apply(ExecFailed{explain_spawn_failure(step, error, detail)});
}

void Slot::on_exited(int status) {
  if (output_) output_->catch_up();  // its last words, before they are quoted
  std::uint64_t id = spawn_id_;
  apply(Exited{status});
  leave_tail(id);
}

void Slot::on_connect_failed() {
  proxy_doubts_ = true;
  apply(ConnectFailed{});
}

void Slot::on_drained() { apply(Drained{}); }

void Slot::on_recalled() { apply(Recalled{}); }

std::optional<ipc::UpstreamState> Slot::upstream() const {
  auto phase = phase_of(life_);
  if (!phase) return {};
  ipc::UpstreamState state;
  state.id = spawn_id_;
  state.slot = number_;
  state.kind = ipc::UpstreamKind::unix_path;
  state.address = RuntimeDir::relative_socket(app_.name, number_, sequence_);
  state.phase = *phase;
  return state;
}

// The one door to step(): everything that happens to this slot comes through here.
void Slot::apply(const Event& event) {
  Surroundings around;
  around.desired = desired_;
  around.may_eject = listener_.may_eject(*this);
  around.random01 = std::uniform_real_distribution<double>(0.0, 1.0)(surface_.random);
  std::size_t state_before = life_.state.index();
  auto phase_before = phase_of(life_);
  bool permit_before = waits_for_permit(life_);
  bool failing_before = failing_of(life_) != nullptr;

  Actions actions = step(life_, policy_, around, event, surface_.loop.now());
  perform(actions);

  if (auto deadline = deadline_of(life_)) {
    deadline_.start(until(*deadline, surface_.loop.now()));
  } else {
    deadline_.stop();
  }
  checker_.set(checks_of(life_));
  bool quick = proxy_doubts_ && std::holds_alternative<CheckFailed>(event) && is_undecided(life_, policy_);
  if (actions.check_now || quick) checker_.check_soon();
  bool recovered =
      proxy_doubts_ && std::holds_alternative<CheckPassed>(event) && phase_of(life_) == ipc::UpstreamPhase::ready;
  if (recovered) proxy_doubts_ = false;
  // Each failed check counts: the app is judged by how long they have failed.
  bool failing = failing_of(life_) != nullptr;
  bool other_health = failing != failing_before || (failing && std::holds_alternative<CheckFailed>(event));
  if (state_before != life_.state.index() || phase_before != phase_of(life_) ||
      permit_before != waits_for_permit(life_) || actions.process_gone || recovered || other_health) {
    log::debug("{} {}", label_, name_of(life_.state));
    listener_.on_slot_changed(*this, recovered);
  }
}

void Slot::perform(const Actions& actions) {
  for (const Note& note : actions.notes) say(note);
  if (actions.explain_not_listening || actions.look_where_it_listens) tell_where_it_listens(actions);
  if (actions.spawn) aim_checker();
  for (const Kill& kill : actions.kills) surface_.keeper.signal(spawn_id_, kill.number, kill.group);
  if (actions.death) report(*actions.death);
  if (actions.process_gone) {
    proxy_doubts_ = false;
    surface_.runtime_dir.remove(RuntimeDir::relative_socket(app_.name, number_, sequence_));
  }
}

// At the end of its time as an error; early as a warning, and again only when it is something new.
void Slot::tell_where_it_listens(const Actions& actions) {
  const Process* process = process_of(life_);
  if (process == nullptr || process->pid == 0) return;
  std::string own = surface_.runtime_dir.absolute(RuntimeDir::relative_socket(app_.name, number_, sequence_));
  std::string where = explain_listening(process->pid, own);
  if (where.empty()) return;
  if (actions.explain_not_listening) {
    log::error("{} {}", label_, where);
  } else if (where != listens_elsewhere_) {
    auto age = std::chrono::duration_cast<Duration>(surface_.loop.now() - process->started);
    log::warning("{} has not opened its socket after {}, but {}", label_, describe_duration(age), where);
    listens_elsewhere_ = std::move(where);
  }
}

// A short life is explained in the worker's own words: where they do not stand just above anyway, and once for an end
// that is always the same.
void Slot::say(const Note& note) {
  std::vector<std::string> words;
  if (note.quote_stderr && !surface_.logs.of(app_.name)->beside_the_log()) words = last_lines_->newest(kQuotedLines);
  bool known = !words.empty() && words == quoted_;
  log::at(note.level, "{} {}{}", label_, note.text, known ? "; its last words are the same as before" : "");
  if (words.empty() || known) return;
  for (const std::string& line : words) log::at(note.level, "{} said: {}", label_, line);
  quoted_ = std::move(words);
}

// Before the proxy is told that this upstream is gone.
void Slot::report(const Death& death) {
  CrashReport report;
  report.app = app_.name;
  report.slot = number_;
  report.pid = death.pid;
  report.spawn_id = spawn_id_;
  report.status = death.status;
  report.failure = death.failure;
  report.killed_by_us = death.killed;
  report.uptime = death.uptime;
  report.restarts = life_.restarts;
  surface_.crashes.begin(std::move(report), death.served, last_lines_);
}

void Slot::aim_checker() {
  auto address =
      sys::unix_address(surface_.runtime_dir.absolute(RuntimeDir::relative_socket(app_.name, number_, sequence_)));
  ROTA_CHECK(address);  // config has measured the longest one
  checker_.aim(*address);
}

void Slot::attach_output(int pid, Fds output) {
  if (output.size() != 2) return;
  if (!last_lines_->all().empty()) earlier_lines_ = last_lines_;
  last_lines_ = std::make_shared<LastLines>();
  output_ = std::make_unique<WorkerOutput>(surface_.loop, WorkerTag{app_.name, number_, pid, recipe_.generation},
                                           std::move(output[0]), std::move(output[1]), surface_.logs.of(app_.name),
                                           last_lines_, surface_.peek, static_cast<WorkerOutputListener&>(*this));
}

// The exit is acknowledged when its output has been read: until then the keeper holds the pipes, whatever happens to
// us.
void Slot::leave_tail(std::uint64_t id) {
  if (!output_ || output_->ended()) {
    if (output_) surface_.loop.retire(std::move(output_));
    surface_.keeper.acknowledge_exit(id);
    return;
  }
  if (tails_.size() == kTailsMax) end_tail(0);
  tails_.push_back({id, surface_.loop.now() + kTailMax, std::move(output_)});
  if (!tail_timer_.active()) tail_timer_.start(kTailMax);
}

void Slot::end_tail(std::size_t index) {
  auto at = tails_.begin() + static_cast<std::ptrdiff_t>(index);
  at->output->close();
  surface_.keeper.acknowledge_exit(at->id);
  surface_.loop.retire(std::move(at->output));
  tails_.erase(at);
  if (tails_.empty()) tail_timer_.stop();
  listener_.on_slot_changed(*this, false);  // it may have been the last thing a shutdown waits for
}

void Slot::on_timer(uv::Timer& timer) {
  if (&timer == &deadline_) {
    apply(Deadline{});
    return;
  }
  TimePoint now = surface_.loop.now();
  while (!tails_.empty() && tails_.front().until <= now) end_tail(0);
  if (!tails_.empty()) tail_timer_.start(until(tails_.front().until, now));
}

void Slot::on_check(const CheckResult& result) {
  std::visit([this](const auto& event) { apply(event); }, result);
}

void Slot::on_odd_health_path(int status) {
  log::warning(
      "{} answers {} on its health path {}: it takes part, but its checks will fail; give `health` a path that "
      "answers 200",
      label_, status, health_path_);
}

void Slot::on_output_ended(WorkerOutput& output) {
  for (std::size_t i = 0; i < tails_.size(); i++) {
    if (tails_[i].output.get() == &output) {
      end_tail(i);
      return;
    }
  }
}

}  // namespace rota::supervisor
