#include "rota/supervisor/app.h"

#include <utility>

#include "rota/base/log.h"
#include "rota/supervisor/kept_config.h"

namespace rota::supervisor {

App::App(const Surface& surface, std::shared_ptr<const config::App> config, std::optional<sys::User> change_to,
         const SavedApp* earlier, std::uint32_t parallel, AppListener& listener)
    : surface_(surface),
      listener_(listener),
      config_(std::move(config)),
      workers_(surface, Recipe{config_, config_hash(*config_), 1, std::move(change_to)}, earlier, parallel,
               static_cast<WorkerSetListener&>(*this)),
      servers_(surface, config_->name, earlier, static_cast<ServerSetListener&>(*this)),
      boot_timer_(surface.loop, *this),
      outage_timer_(surface.loop, *this) {
  servers_.configure(config_);
  if (earlier == nullptr) return;
  boot_over_ = earlier->boot_over;
  all_ready_told_ = boot_over_;
}

void App::start() {
  started_ = surface_.loop.now();
  if (!boot_over_) boot_timer_.start(config_->start_timeout);
  workers_.start();
  servers_.start();
}

void App::stop(const Desired& desired) {
  boot_timer_.stop();
  outage_timer_.stop();
  workers_.stop(desired);
}

void App::configure(std::shared_ptr<const config::App> config, std::optional<sys::User> change_to) {
  config_ = std::move(config);
  if (std::exchange(removed_, false)) {  // as if it were new
    boot_over_ = all_ready_told_ = false;
    started_ = surface_.loop.now();
    boot_timer_.start(config_->start_timeout);
  }
  workers_.configure({config_, config_hash(*config_), 1, std::move(change_to)});
  servers_.configure(config_);
}

// The same settings, and nothing to run them.
void App::remove() {
  removed_ = true;
  boot_over_ = true;
  boot_timer_.stop();
  config::App empty = *config_;
  empty.command.clear();
  empty.servers.clear();
  config_ = std::make_shared<const config::App>(std::move(empty));
  workers_.configure({config_, config_hash(*config_), 1, {}});
  servers_.configure(config_);
}

void App::advance(bool may_replace) {
  workers_.advance(may_replace);
  servers_.tidy();
  tell_when_ready();
  if (may_replace) watch_outage();
}

void App::watch_outage() {
  bool spawns = workers_.size() > 0;
  bool replaceable = spawns && config_->health.repair_after > Duration::zero();
  Outage::Orders orders =
      outage_.step({spawns ? workers_.lives() : servers_.lives(), unit(), replaceable, config_->health.unhealthy_after},
                   surface_.loop.now());
  if (orders.note) log::at(orders.note->level, "{}: {}", config_->name, orders.note->text);
  if (orders.recall) {
    workers_.recall();
    servers_.recall();
  }
  if (!orders.look_at) {
    outage_timer_.stop();
  } else if (!outage_timer_.active()) {
    TimePoint now = surface_.loop.now();
    outage_timer_.start(*orders.look_at <= now ? Duration::zero() : std::chrono::ceil<Duration>(*orders.look_at - now));
  }
}

void App::tell_when_ready() {
  if (all_ready_told_ || removed_ || !servers_.all_asked()) return;
  if (ready_count() < size() || size() == 0) return;
  all_ready_told_ = true;
  log::info("ready: {} of {} {} of {}", ready_count(), size() + servers_.unresolved().size(), unit(), config_->name);
}

BootVerdict App::judge() const {
  if (workers_.size() > 0) {
    return judge_boot(workers_.lives(), started_, config_->start_timeout, surface_.loop.now());
  }
  if (servers_.ready_count() > 0) return BootVerdict::ready;
  bool late = surface_.loop.now() >= started_ + config_->start_timeout;
  return late || servers_.hopeless() ? BootVerdict::failed : BootVerdict::undecided;
}

std::optional<BootVerdict> App::take_boot_verdict() {
  if (boot_over_) return {};
  BootVerdict verdict = judge();
  if (verdict == BootVerdict::undecided) return {};
  boot_over_ = true;
  boot_timer_.stop();
  return verdict;
}

bool App::on_connect_failed(std::uint64_t upstream, int error) {
  if (Slot* slot = workers_.find(upstream)) return slot->on_connect_failed(), true;
  if (Server* server = servers_.find(upstream)) return servers_.on_connect_failed(*server, error), true;
  return false;
}

bool App::on_drained(std::uint64_t upstream) {
  if (Slot* slot = workers_.find(upstream)) return slot->on_drained(), true;
  if (Server* server = servers_.find(upstream)) return server->on_drained(), true;
  return false;
}

ipc::AppState App::state() const {
  ipc::AppState state;
  state.name = config_->name;
  state.queue_size = config_->queue.size;
  state.queue_timeout = config_->queue.timeout;
  state.retry_attempts = config_->retry.attempts;
  state.poison_after = config_->retry.poison_after;
  state.response_timeout = config_->timeouts.response;
  state.idle_timeout = config_->timeouts.idle;
  workers_.add_to(state.upstreams);
  servers_.add_to(state.upstreams);
  return state;
}

SavedApp App::saved() const {
  SavedApp saved;
  saved.name = config_->name;
  saved.removed = removed_;
  saved.boot_over = boot_over_;
  if (removed_) saved.recipes.push_back({config_hash(*config_), 0, encode_app(*config_)});
  workers_.save(saved);
  servers_.save(saved);
  return saved;
}

// The first start has taken its time, and the verdict is due; or an outage lasts.
void App::on_timer(uv::Timer&) { listener_.on_app_changed(*this, false); }

}  // namespace rota::supervisor
