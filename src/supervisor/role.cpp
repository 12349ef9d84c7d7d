#include "role.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "rota/base/log.h"
#include "rota/supervisor/supervisor.h"
#include "rota/supervisor/undertaker.h"
#include "rota/sys/process.h"

extern char** environ;

namespace rota::supervisor {

namespace {

Duration longest_grace(const config::Config& config) {
  Duration longest{};
  for (const config::App& app : config.apps) longest = std::max(longest, app.stop.grace);
  return longest;
}

WorkerLogs::Settings log_settings() {
  bool journal = log::stderr_is_journal();
  return {STDERR_FILENO, journal, !journal && ::isatty(STDERR_FILENO) == 1 ? Colours::pass : Colours::strip};
}

}  // namespace

Role::Role(uv::Loop& loop, config::Loaded loaded, UniqueFd channel)
    : loop_(loop),
      loaded_(std::move(loaded)),
      config_(loaded_.config),
      random_(std::random_device{}()),
      inherited_env_(inherited_environment(environ)),
      keeper_(loop, std::move(channel), *this),
      proxy_(loop, *this),
      listeners_(keeper_, *this),
      logs_(log_settings()),
      surface_{loop, keeper_, runtime_dir_, logs_, random_, inherited_env_, next_id_},
      strangers_(loop, keeper_),
      shutdown_(config_.shutdown, longest_grace(config_)),
      shutdown_timer_(loop, *this) {
  keeper_.hello();
  use_log_settings();
  keeper_.list();
}

// One log, one format: the keeper's lines and the proxy's (by its state) are like ours.
void Role::use_log_settings() {
  log::set_threshold(config_.log_level);
  log::set_format(config_.log_format);
  keeper_.log_settings(config_.log_level, config_.log_format);
}

// The end of a turn ---------------------------------------------------------------------------------------------------

void Role::changed(bool publish_again) {
  publish_again_ = publish_again_ || publish_again;
  loop_.defer(*this);
}

void Role::run_deferred() {
  if (stage_ != Stage::running) return;
  start_workers();
  judge_boot();
  save();
  publish();
  tell_status();
  if (shutdown_.stage() == ShutdownPlan::Stage::stopping && all_idle()) obey(shutdown_.on_all_stopped());
}

void Role::start_workers() {
  std::vector<Slot*> granted;
  for (auto& app : apps_) {
    for (Slot* slot : app->grant_due()) granted.push_back(slot);
  }
  if (granted.empty()) return;
  save();  // first: see Slot::grant
  for (Slot* slot : granted) slot->send_spawn();
}

void Role::judge_boot() {
  if (shutdown_.begun()) return;
  bool failed = false;
  for (auto& app : apps_) {
    auto verdict = app->take_boot_verdict();
    if (verdict != BootVerdict::failed) continue;
    failed = true;
    log::error(
        "app {}: no worker became ready{}", app->config().name,
        config_.boot == config::Boot::wait ? "; its requests wait or are answered 503, and it goes on trying" : "");
    if (config_.boot == config::Boot::fail) app->tell_last_lines();
  }
  bool all_over = std::all_of(apps_.begin(), apps_.end(), [](auto& app) { return app->boot_over(); });
  bool any_ready = std::any_of(apps_.begin(), apps_.end(), [](auto& app) { return app->ready_count() > 0; });
  if (failed && all_over && !any_ready && config_.boot == config::Boot::fail) {
    log::error("giving up: no app became ready");
    obey(shutdown_.on_quit(ExitCode::no_app_ready, loop_.now()));
  } else if (all_over && !ready_told_) {
    ready_told_ = true;
    keeper_.notify("READY=1");
  }
}

void Role::save() {
  SavedState state;
  state.next_id = next_id_;
  state.shutdown = save_shutdown(shutdown_.progress());
  for (const auto& app : apps_) state.apps.push_back(app->saved());
  std::string bytes = encode_state(state);
  if (bytes == saved_) return;
  keeper_.save_state(bytes);
  saved_ = std::move(bytes);
}

void Role::publish() {
  ipc::ProxyState state = proxy_state();
  state.version = version_ + 1;
  std::string bytes = ipc::encode_bulk(state);
  // All but the version, which stands first.
  auto content = [](std::string_view text) { return text.substr(std::min(text.size(), sizeof(state.version))); };
  if (content(bytes) == content(published_) && !publish_again_) return;
  published_ = std::move(bytes);
  publish_again_ = false;
  version_++;
  auto bulk = ipc::make_bulk("rota-proxy-state", published_);
  ROTA_CHECK(bulk);
  keeper_.save_proxy_state(bulk->get());
  proxy_.publish(std::move(*bulk), version_);
}

void Role::tell_status() {
  std::string text = shutdown_.begun() ? std::string("Stopping") : "Serving on " + listeners_.summary();
  for (const auto& app : apps_) {
    const char* what = app->config().command.empty() ? "servers" : "workers";
    text += fmt::format("{} {}: {} of {} {} ready", text.find(';') == std::string::npos ? ";" : ",", app->config().name,
                        app->ready_count(), app->size(), what);
    if (text.size() > 1000) break;  // a line for people
  }
  if (text == status_) return;
  status_ = std::move(text);
  keeper_.notify("STATUS=" + status_);
}

// The end of everything -----------------------------------------------------------------------------------------------

void Role::obey(const ShutdownOrders& orders) {
  if (stage_ == Stage::running) save();  // first: what follows must not be begun anew by a later supervisor
  if (orders.announce) {
    log::info("stopping");
    keeper_.notify("STOPPING=1");
  }
  if (orders.drain_proxy) {
    draining_ = true;
    publish();
    draining_version_ = version_;
    if (!proxy_.connected()) obey(shutdown_.on_proxy_quiet(loop_.now()));
  }
  if (orders.close_listeners) listeners_.close_all();
  if (orders.workers) {
    for (auto& app : apps_) app->stop(*orders.workers);
    if (orders.workers->kill_by && *orders.workers->kill_by <= loop_.now()) strangers_.kill_all();
  }
  if (orders.end) {
    end(shutdown_.code());
    return;
  }
  arm_shutdown();
  changed();
}

void Role::arm_shutdown() {
  auto deadline = shutdown_.deadline();
  if (!deadline) {
    shutdown_timer_.stop();
    return;
  }
  TimePoint now = loop_.now();
  shutdown_timer_.start(*deadline > now ? std::chrono::ceil<Duration>(*deadline - now) : Duration::zero());
}

void Role::on_timer(uv::Timer&) {
  ShutdownOrders orders = shutdown_.on_deadline(loop_.now());
  if (shutdown_.stage() == ShutdownPlan::Stage::stopping)
    log::warning("clients are still there; stopping the workers anyway");
  obey(orders);
}

bool Role::all_idle() const {
  return strangers_.empty() && std::all_of(apps_.begin(), apps_.end(), [](const auto& app) { return app->idle(); });
}

void Role::end(ExitCode code) {
  runtime_dir_.clean_up();
  if (shutdown_.begun()) log::info("stopped");
  keeper_.shut_down(code);
  stage_ = Stage::ended;
  loop_.stop();
}

// What the keeper reports ---------------------------------------------------------------------------------------------

Slot* Role::find(std::uint64_t spawn_id) {
  for (auto& app : apps_) {
    if (Slot* slot = app->find(spawn_id)) return slot;
  }
  return nullptr;
}

Server* Role::find_server(std::uint64_t id) {
  for (auto& app : apps_) {
    if (Server* server = app->find_server(id)) return server;
  }
  return nullptr;
}

void Role::on_hello(const ipc::Hello& hello) {
  epoch_ = hello.epoch;
  keeper_pid_ = static_cast<int>(hello.keeper_pid);
}

void Role::on_spawned(const ipc::Spawned& message, Fds fds) {
  processes_[message.id] = message.pid;
  if (Slot* slot = find(message.id)) slot->on_spawned(message.pid, std::move(fds));
}

void Role::on_exec_failed(const ipc::ExecFailed& message) {
  if (Slot* slot = find(message.id)) slot->on_exec_failed(message.step, message.error, message.detail);
}

void Role::on_exited(const ipc::Exited& message) {
  processes_.erase(message.id);
  if (stage_ != Stage::running) {
    for (FoundProcess& process : found_) {
      if (process.id != message.id) continue;
      process.exited = true;
      process.status = message.status;
    }
    return;
  }
  if (Slot* slot = find(message.id)) {
    slot->on_exited(message.status);
  } else if (!strangers_.on_exited(message.id)) {
    keeper_.acknowledge_exit(message.id);
  }
  changed();
}

void Role::on_bound(const ipc::Bound& message) { listeners_.on_bound(message); }

void Role::on_listed(const ipc::Listed& message, Fds fds) {
  if (!message.exited) processes_[message.id] = message.pid;
  found_.push_back({message.id, message.pid, message.exited, message.status, std::move(fds)});
}

void Role::on_shelved(const ipc::Shelved& message, Fds fds) {
  if (message.listener) listeners_.found(message);
  if (message.name == "lock" && !fds.empty()) runtime_dir_.adopt_lock(std::move(fds[0]));
  if (message.name == "access-log") access_log_on_shelf_ = true;
}

void Role::on_saved_state(std::string bytes) {
  earlier_ = decode_state(bytes);
  if (!earlier_) {
    log::warning("the state of the supervisor before cannot be read: its workers are replaced");
    earlier_ = SavedState{};
  }
}

void Role::on_list_end() {
  if (stage_ == Stage::listing) begin();
}

void Role::on_signalled(const ipc::Signalled& message) {
  if (stage_ != Stage::running) {
    // Nothing of ours runs yet: no ceremony.
    if (ends(message.number) && stage_ == Stage::preparing && !earlier_) {
      end(ExitCode::clean);
    } else {
      early_signals_.push_back(message);
    }
    return;
  }
  switch (message.number) {
    case SIGTERM:
    case SIGINT:
      for (; terms_told_ < message.count; terms_told_++) obey(shutdown_.on_term(loop_.now()));
      break;
    case SIGQUIT: obey(shutdown_.on_quit(ExitCode::clean, loop_.now())); break;
    case SIGUSR1: reopen_logs(); break;
    case SIGHUP: log::warning("reload (HUP) is not available in this version; the configuration in force stays"); break;
    case SIGUSR2: log::warning("upgrade (USR2) is not available in this version"); break;
    default: log::warning("signal {} ({}) means nothing here", message.number, sys::signal_name(message.number));
  }
}

void Role::on_proxy_started(const ipc::ProxyStarted& message, UniqueFd channel) {
  log::debug("proxy started (pid {})", message.pid);
  proxy_pid_ = message.pid;
  proxy_.connect(std::move(channel), message.epoch, epoch_);
}

void Role::on_proxy_exited(const ipc::ProxyExited& message) {
  proxy_pid_ = 0;
  proxy_.disconnect();
  if (stage_ != Stage::running) return;
  log::error("the proxy (pid {}) ended: {}; the next one starts {}", message.pid, sys::describe_status(message.status),
             message.delay_ms == 0 ? "now" : "in " + describe_duration(Duration(message.delay_ms)));
  if (shutdown_.begun()) obey(shutdown_.on_proxy_quiet(loop_.now()));
}

// With the keeper everything ends: by the kernel's hand (the death signal), and what does not mind that by ours. The
// next rota may start at once.
void Role::on_keeper_gone() {
  stage_ = Stage::ended;
  exit_code_ = static_cast<int>(ExitCode::failed);
  loop_.stop();
  if (!keeper_has_died()) return;
  log::error("the keeper has died: everything ends with it");
  std::vector<pid_t> leaders;
  for (const auto& [id, pid] : processes_) leaders.push_back(pid);
  if (proxy_pid_ != 0) leaders.push_back(proxy_pid_);
  runtime_dir_.clean_up();
  runtime_dir_.unlock();
  end_groups(std::move(leaders));
}

// What the proxy reports
// ------------------------------------------------------------------------------------------------

void Role::on_proxy_applied(std::uint64_t version) {
  if (draining_ && version >= draining_version_) obey(shutdown_.on_proxy_draining(loop_.now()));
}

void Role::on_proxy_connect_failed(std::uint64_t upstream, int error) {
  log::debug("the proxy cannot connect to upstream {} (error {})", upstream, error);
  if (Slot* slot = find(upstream)) slot->on_connect_failed();
  if (Server* server = find_server(upstream)) server->on_connect_failed(error);
}

void Role::on_proxy_drained(std::uint64_t upstream) {
  if (Slot* slot = find(upstream)) slot->on_drained();
}

void Role::on_proxy_quiet() { obey(shutdown_.on_proxy_quiet(loop_.now())); }

void Role::on_proxy_lost(std::uint64_t epoch, Loss loss) {
  switch (loss) {
    case Loss::closed: log::debug("the proxy has closed its channel"); break;  // its end will be told, if it is that
    case Loss::silent: log::error("killing the proxy: it does not answer"); break;
    case Loss::broken: log::error("killing the proxy: it broke the protocol"); break;
  }
  keeper_.kill_proxy(epoch);
}

void Role::on_app_changed(App&, bool publish_again) { changed(publish_again); }

int run(const config::Source& source) {
  prepare_for_the_keepers_death();
  config::Loaded loaded = config::load(source);
  log::configure({"supervisor", loaded.config.log_level, log::stderr_is_journal()});
  uv::Loop loop("supervisor");
  Role role(loop, std::move(loaded), UniqueFd(ipc::kChannelFd));
  loop.run();
  return role.exit_code();
}

}  // namespace rota::supervisor
