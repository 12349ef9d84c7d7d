#include "rota/supervisor/app.h"

#include <algorithm>

#include "rota/base/log.h"

namespace rota::supervisor {

App::App(const Surface& surface, const config::App& config, std::optional<sys::User> change_to,
         const std::vector<std::string>& server_hosts, const SavedApp* earlier, std::uint32_t parallel,
         AppListener& listener)
    : surface_(surface),
      config_(config),
      parallel_(parallel),
      listener_(listener),
      hash_(config_hash(config)),
      boot_timer_(surface.loop, *this) {
  for (std::uint32_t i = 0; i < config.workers && !config.command.empty(); i++) {
    slots_.push_back(std::make_unique<Slot>(surface, config, change_to, i, static_cast<SlotListener&>(*this)));
  }
  for (std::uint32_t i = 0; i < config.servers.size(); i++) {
    const config::Address& address = config.servers[i];
    std::uint64_t id = earlier != nullptr ? earlier->server_id(address.text()) : 0;
    servers_.push_back(std::make_unique<Server>(surface, config, address, server_hosts[i],
                                                id != 0 ? id : surface.next_id++, i,
                                                static_cast<ServerListener&>(*this)));
  }
  if (earlier == nullptr) return;
  boot_over_ = earlier->boot_over;
  all_ready_told_ = boot_over_;
  bool same = earlier->config_hash == hash_;
  generation_ = same ? earlier->generation : earlier->generation + 1;
  if (same) to_adopt_ = earlier->workers;  // others run something else: strangers, who are stopped
}

Slot* App::adoptable(std::uint64_t spawn_id) {
  for (const SavedWorker& worker : to_adopt_) {
    if (worker.spawn_id == spawn_id && spawn_id != 0 && worker.slot < slots_.size()) return slots_[worker.slot].get();
  }
  return nullptr;
}

void App::adopt(std::uint64_t spawn_id, Slot::Found found) {
  auto worker = std::find_if(to_adopt_.begin(), to_adopt_.end(), [&](const auto& w) { return w.spawn_id == spawn_id; });
  if (worker == to_adopt_.end()) return;
  slots_[worker->slot]->adopt(*worker, std::move(found));
  to_adopt_.erase(worker);
}

void App::finish_adoption() {
  for (const SavedWorker& worker : to_adopt_) {
    if (worker.slot < slots_.size()) slots_[worker.slot]->adopt(worker, {});
  }
  to_adopt_.clear();
}

void App::start() {
  started_ = surface_.loop.now();
  if (slots_.empty()) boot_over_ = true;
  if (!boot_over_) boot_timer_.start(config_.start_timeout);
  for (auto& slot : slots_) slot->want(Desired{});
}

void App::stop(const Desired& desired) {
  boot_timer_.stop();
  for (auto& slot : slots_) slot->want(desired);
}

std::vector<Slot*> App::grant_due() {
  std::vector<Slot*> granted;
  for (std::size_t i : pick_starts(lives(), parallel_, surface_.loop.now())) {
    slots_[i]->grant();
    granted.push_back(slots_[i].get());
  }
  return granted;
}

std::optional<BootVerdict> App::take_boot_verdict() {
  if (boot_over_) return {};
  BootVerdict verdict = judge_boot(lives(), started_, config_.start_timeout, surface_.loop.now());
  if (verdict == BootVerdict::undecided) return {};
  boot_over_ = true;
  boot_timer_.stop();
  return verdict;
}

Slot* App::find(std::uint64_t spawn_id) {
  for (auto& slot : slots_) {
    if (slot->spawn_id() == spawn_id && process_of(slot->life()) != nullptr) return slot.get();
  }
  return nullptr;
}

Server* App::find_server(std::uint64_t id) {
  for (auto& server : servers_) {
    if (server->id() == id) return server.get();
  }
  return nullptr;
}

bool App::idle() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) { return slot->idle(); });
}

ipc::AppState App::state() const {
  ipc::AppState state;
  state.name = config_.name;
  state.queue_size = config_.queue.size;
  state.queue_timeout = config_.queue.timeout;
  state.retry_attempts = config_.retry.attempts;
  state.response_timeout = config_.timeouts.response;
  state.idle_timeout = config_.timeouts.idle;
  for (const auto& slot : slots_) {
    if (auto upstream = slot->upstream()) state.upstreams.push_back(*upstream);
  }
  for (const auto& server : servers_) state.upstreams.push_back(server->upstream());
  return state;
}

SavedApp App::saved() const {
  SavedApp saved{config_.name, hash_, generation_, boot_over_, {}, {}};
  for (const auto& slot : slots_) saved.workers.push_back(slot->saved());
  for (std::size_t i = 0; i < servers_.size(); i++)
    saved.servers.push_back({config_.servers[i].text(), servers_[i]->id()});
  return saved;
}

void App::tell_last_lines() const {
  for (const auto& slot : slots_) {
    if (slot->last_lines().all().empty()) continue;
    log::error("{}'s last lines on stderr:", slot->label());
    for (const std::string& line : slot->last_lines().all()) log::error("  {}", line);
    return;  // one worker's words: the others say the same
  }
}

Lives App::lives() const {
  Lives lives;
  for (const auto& slot : slots_) lives.push_back(&slot->life());
  for (const auto& server : servers_) lives.push_back(&server->life());
  return lives;
}

void App::on_slot_changed(Slot&, bool publish_again) {
  if (!all_ready_told_ && ready_count() == slots_.size()) {
    all_ready_told_ = true;
    log::info("ready: {} of {} workers of {}", slots_.size(), slots_.size(), config_.name);
  }
  listener_.on_app_changed(*this, publish_again);
}

bool App::may_eject(const Slot& slot) { return supervisor::may_eject(lives(), slot.number()); }

void App::on_server_changed(Server&, bool publish_again) { listener_.on_app_changed(*this, publish_again); }

bool App::may_eject(const Server& server) {
  for (std::size_t i = 0; i < servers_.size(); i++) {
    if (servers_[i].get() == &server) return supervisor::may_eject(lives(), slots_.size() + i);
  }
  return false;
}

// The first start has taken its time: the verdict is due.
void App::on_timer(uv::Timer&) { listener_.on_app_changed(*this, false); }

}  // namespace rota::supervisor
