// HUP: the file anew. First everything that can refuse is asked (mistakes, users, directories, logs, names, addresses),
// with nothing changed; then all of it is put in force in one turn; then workers are replaced one by one, which takes
// its time and may fail on its own (rollout.h). A later HUP supersedes what is still under way.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "role.h"
#include "rota/base/log.h"
#include "rota/supervisor/users.h"
#include "rota/sys/cpu.h"

namespace rota::supervisor {

namespace {

// The longest socket path of an app, in the runtime directory that stays until the next start.
Failure check_socket_path(const RuntimeDir& directory, const config::App& app) {
  if (app.command.empty()) return {};
  std::string longest = directory.absolute(RuntimeDir::relative_socket(app.name, app.workers - 1, kSequenceMax));
  if (longest.size() <= config::kSocketPathMax) return {};
  return StartFailure{
      ExitCode::configuration,
      fmt::format("app {}: the path of a worker's socket would have {} bytes and can have {}; a shorter "
                  "runtime_dir takes effect at the next start only",
                  app.name, longest.size(), config::kSocketPathMax)};
}

std::string first_line(const std::vector<config::Problem>& problems) {
  std::string shown = problems.front().shown;
  shown.resize(std::min(shown.size(), shown.find('\n')));
  return problems.size() == 1 ? shown : fmt::format("{} (and {} more)", shown, problems.size() - 1);
}

}  // namespace

void Role::reload() {
  if (shutdown_.begun()) {
    log::warning("no reload (HUP): rota is stopping");
    return;
  }
  if (pending_) {  // its file may be older than this signal
    reload_again_ = true;
    return;
  }
  // What systemd compares with the moment at which it sent the signal.
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (ready_told_) {
    keeper_.notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                               std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
  }
  config::Loaded loaded = outside_.load();
  log::info("reloading {}", config_.file.empty() ? "(there is no file)" : config_.file);
  if (!loaded.problems.empty()) {
    tell_problems(loaded.problems);
    reload_failed(first_line(loaded.problems));
    return;
  }
  for (const std::string& note : loaded.notes) log::warning("{}", note);
  if (Failure failure = prepare_reload(std::move(loaded.config))) reload_failed(failure->text);
}

Failure Role::prepare_reload(config::Config wanted) {
  pending_.emplace();
  pending_->changes = find_changes(config_, wanted);
  pending_->config = applicable(config_, std::move(wanted));
  const config::Config& coming = pending_->config;
  for (const config::App& app : coming.apps) {
    UserChoice user = choose_user(app);
    if (user.failure) return user.failure;
    if (Failure failure = check_socket_path(runtime_dir_, app)) return failure;
    if (!runtime_dir_.has_app(app.name)) {
      if (Failure failure = make_directory(app, user.change_to, false)) return failure;
      pending_->directories.push_back(app.name);
    }
    pending_->users.push_back(std::move(user.change_to));
  }
  if (coming.access_log != config_.access_log) {
    if (Failure failure = prepare_access_log(coming.access_log, pending_->access_log)) return failure;
  }
  return look_up_listeners(coming.listen) ? Failure{} : bind_for_reload();  // goes on in on_looked_up()
}

Failure Role::bind_for_reload() {
  PlannedListeners planned = plan_listeners(pending_->config.listen, names_);
  if (planned.failure) return planned.failure;
  listeners_.prepare(std::move(planned.listeners), config_.threads, true);  // goes on in on_listeners_ready()
  return {};
}

void Role::reload_failed(const std::string& why) {
  if (pending_) {
    listeners_.abandon();
    for (const std::string& app : pending_->directories) runtime_dir_.remove_app(app);
    pending_.reset();
  }
  reload_failure_ = why;
  log::error("reload failed: {}; what was in force stays in force", why);
  tell_status();
  if (ready_told_ && !reloading_) keeper_.notify("READY=1");  // an earlier one that still goes on tells it at its end
  changed();
}

// Everything else that can refuse has agreed.
void Role::commit_reload() {
  // An app of before may have gone, with its directory, since this reload was prepared.
  for (std::size_t i = 0; i < pending_->config.apps.size(); i++) {
    const config::App& app = pending_->config.apps[i];
    if (runtime_dir_.has_app(app.name)) continue;
    if (Failure failure = make_directory(app, pending_->users[i], false)) return reload_failed(failure->text);
    pending_->directories.push_back(app.name);
  }
  if (Failure failure = logs_.use(pending_->config.apps, pending_->config.access_log, false)) {
    reload_failed(failure->text);
    return;
  }
  PendingReload agreed = std::move(*pending_);
  pending_.reset();
  bool other_access_log = agreed.config.access_log != config_.access_log;
  config_ = std::move(agreed.config);
  listeners_.commit();
  use_settings();
  if (other_access_log && agreed.access_log) {
    shelve_access_log(agreed.access_log.get());
  } else if (other_access_log) {
    keeper_.unshelve(kAccessLogName);
    access_log_on_shelf_ = false;
  }
  apply_apps(std::move(agreed.users));
  keep_config();
  reload_failure_.clear();
  reloading_ = RunningReload{std::move(agreed.changes), loop_.now(), {}};
  changed();
}

// In the order of the file; those on their way out come last.
void Role::apply_apps(std::vector<std::optional<sys::User>> users) {
  std::vector<std::unique_ptr<App>> before = std::exchange(apps_, {});
  std::uint32_t parallel = start_parallel(sys::available_cpus());
  for (std::size_t i = 0; i < config_.apps.size(); i++) {
    auto config = std::make_shared<const config::App>(config_.apps[i]);
    auto old = std::find_if(before.begin(), before.end(),
                            [&](const auto& app) { return app && app->config().name == config->name; });
    if (old != before.end()) {
      (*old)->configure(std::move(config), std::move(users[i]));
      apps_.push_back(std::move(*old));
    } else {
      apps_.push_back(std::make_unique<App>(surface_, std::move(config), std::move(users[i]), nullptr, parallel,
                                            static_cast<AppListener&>(*this)));
      apps_.back()->start();
    }
  }
  for (auto& app : before) {
    if (!app) continue;
    if (!app->removed()) app->remove();
    apps_.push_back(std::move(app));
  }
}

// Replaced workers may still drain, and apps that were removed may still end: that is no longer the reload's business.
bool Role::settling() const {
  return std::any_of(apps_.begin(), apps_.end(), [](const auto& app) {
    return !app->boot_over() || app->workers().rollout().stage() == Rollout::Stage::rolling;
  });
}

// "Reloaded" is a promise that no request goes any more where it went before, so the proxy must have heard of it.
bool Role::reload_over() {
  if (settling()) {
    reloading_->last_state.reset();
    return false;
  }
  if (!reloading_->last_state) reloading_->last_state = version_;
  return proxy_.applied(*reloading_->last_state);
}

std::string Role::what_failed() const {
  std::vector<std::string> parts;
  for (const auto& app : apps_) {
    const std::string& name = app->config().name;
    const auto& added = reloading_->changes.added;
    if (app->workers().rollout().stage() == Rollout::Stage::failed) parts.push_back(app->workers().failure());
    if (std::find(added.begin(), added.end(), name) != added.end() && app->ready_count() == 0) {
      parts.push_back(
          fmt::format("no {} of app {} became ready", app->config().command.empty() ? "server" : "worker", name));
    }
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string Role::what_was_done() const {
  std::vector<std::string> parts;
  for (const auto& app : apps_) {
    const Rollout& rollout = app->workers().rollout();
    bool nothing_done = rollout.stage() == Rollout::Stage::failed && rollout.replaced() == 0;
    if (rollout.total() == 0 || nothing_done) continue;
    parts.push_back(
        fmt::format("{} of {} workers of {} replaced", rollout.replaced(), rollout.total(), app->config().name));
  }
  Changes changes = reloading_->changes;
  changes.replaced.clear();  // said with numbers
  if (std::string text = changes.text(); !text.empty()) parts.push_back(std::move(text));
  return fmt::format("{}", fmt::join(parts, "; "));
}

void Role::finish_reload() {
  const Changes& changes = reloading_->changes;
  if (!changes.next_start.empty()) {
    log::warning("what was changed of {} takes effect at the next start", fmt::join(changes.next_start, ", "));
  }
  std::string done = what_was_done();
  std::string failed = what_failed();
  auto took = std::chrono::duration_cast<Duration>(loop_.now() - reloading_->begun_at);
  if (!failed.empty()) {
    log::error("reload failed after {}: {}{}{}", describe_duration(took), failed,
               done.empty() ? "" : "; what was done: ", done);
  } else if (done.empty()) {
    log::info("reloaded: nothing has changed{}", changes.next_start.empty() ? "" : " that is in force now");
  } else {
    log::info("reloaded in {}: {}", describe_duration(took), done);
  }
  reloading_.reset();
  if (!failed.empty()) reload_failure_ = std::move(failed);  // else that of a later one stays, whose file was refused
  tell_status();
  if (ready_told_) keeper_.notify("READY=1");
}

}  // namespace rota::supervisor
