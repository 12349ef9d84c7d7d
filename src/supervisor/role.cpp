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

// What a stop waits for, and how to have it wait no longer. Nothing of an end that does not wait.
std::string describe(const ShutdownPlan& plan, TimePoint now) {
  if (plan.stage() == ShutdownPlan::Stage::stopping) return "";
  std::string delay;
  if (plan.stage() == ShutdownPlan::Stage::delaying) {
    Duration left = std::chrono::duration_cast<Duration>(*plan.deadline() - now);
    delay = fmt::format("accepting for {} more; ", describe_duration(left));
  }
  Duration left = std::chrono::duration_cast<Duration>(plan.drain_end() - now);
  return fmt::format(": {}requests in flight have {}; a second signal does not wait for them", delay,
                     describe_duration(left));
}

WorkerLogs::Settings log_settings() {
  bool journal = log::stderr_is_journal();
  return {STDERR_FILENO, journal, !journal && ::isatty(STDERR_FILENO) == 1 ? Colours::pass : Colours::strip};
}

}  // namespace

Role::Role(uv::Loop& loop, Outside outside, UniqueFd channel)
    : loop_(loop),
      outside_(std::move(outside)),
      random_(std::random_device{}()),
      inherited_env_(inherited_environment(environ)),
      keeper_(loop, std::move(channel), *this),
      proxy_(loop, *this),
      listeners_(keeper_, *this),
      logs_(log_settings()),
      crashes_(loop, proxy_, *this, sys::OomCounter(outside_.root)),
      surface_{loop,     keeper_,      runtime_dir_,      logs_, peek_, crashes_, random_, inherited_env_,
               next_id_, outside_.ask, outside_.name_pace},
      strangers_(loop, keeper_),
      shutdown_timer_(loop, *this) {
  keeper_.hello();
  keeper_.list();
}

// What is taken from the configuration as it stands; the proxy gets its part with its state.
void Role::use_settings() {
  // One log, one format: the keeper's lines and the proxy's are like ours.
  log::set_threshold(config_.log_level);
  log::set_format(config_.log_format);
  keeper_.log_settings(config_.log_level, config_.log_format);
  shutdown_.use(config_.shutdown, longest_grace(config_));
}

// The end of a turn ---------------------------------------------------------------------------------------------------

void Role::changed(bool publish_again) {
  publish_again_ = publish_again_ || publish_again;
  loop_.defer(*this);
}

void Role::run_deferred() {
  if (stage_ != Stage::running) return;
  advance_apps();
  start_workers();
  judge_boot();
  save();
  publish();
  if (reloading_ && reload_over()) finish_reload();
  tell_status();
  if (reload_again_ && !pending_) {
    reload_again_ = false;
    reload();
  }
  if (shutdown_.stage() == ShutdownPlan::Stage::stopping && all_idle()) obey(shutdown_.on_all_stopped());
}

void Role::advance_apps() {
  for (auto& app : apps_) app->advance(!shutdown_.begun());
  for (auto& app : apps_) {
    if (!app->gone()) continue;
    log::info("app {} is gone", app->config().name);
    runtime_dir_.remove_app(app->config().name);
  }
  if (std::erase_if(apps_, [](const auto& app) { return app->gone(); }) > 0) logs_.forget_unused();
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
        "app {}: no {} became ready{}", app->config().name, app->config().command.empty() ? "server" : "worker",
        config_.boot == config::Boot::wait ? "; its requests wait or are answered 503, and it goes on trying" : "");
    if (config_.boot == config::Boot::fail) app->tell_last_lines();
  }
  bool all_over = std::all_of(apps_.begin(), apps_.end(), [](auto& app) { return app->boot_over(); });
  bool any_ready = std::any_of(apps_.begin(), apps_.end(), [](auto& app) { return app->ready_count() > 0; });
  if (failed && all_over && !any_ready && !ready_told_ && config_.boot == config::Boot::fail) {
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
  crashes_.save(state.crashes);
  std::string bytes = encode_state(state);
  if (bytes != saved_) {
    keeper_.save_state(bytes);
    saved_ = std::move(bytes);
  }
  keeper_.send_acknowledgements();
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

// The end of everything -----------------------------------------------------------------------------------------------

void Role::obey(const ShutdownOrders& orders) {
  if (stage_ == Stage::running) save();  // first: what follows must not be begun anew by a later supervisor
  if (orders.announce) {
    log::info("stopping{}", describe(shutdown_, loop_.now()));
    pending_.reset();
    reloading_.reset();
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
  crashes_.finish();
  runtime_dir_.clean_up();
  if (shutdown_.begun()) log::info("stopped");
  keeper_.shut_down(code);
  stage_ = Stage::ended;
  loop_.stop();
}

Slot* Role::find(std::uint64_t spawn_id) {
  for (auto& app : apps_) {
    if (Slot* slot = app->find(spawn_id)) return slot;
  }
  return nullptr;
}

App* Role::find_app(const std::string& name) {
  for (auto& app : apps_) {
    if (app->config().name == name) return app.get();
  }
  return nullptr;
}

int run(const config::Source& source) {
  prepare_for_the_keepers_death();
  log::configure({"supervisor", log::Level::info, log::stderr_is_journal()});
  uv::Loop loop("supervisor");
  Outside outside;
  outside.load = [source] { return config::load(source); };
  Role role(loop, std::move(outside), UniqueFd(ipc::kChannelFd));
  loop.run();
  return role.exit_code();
}

}  // namespace rota::supervisor
