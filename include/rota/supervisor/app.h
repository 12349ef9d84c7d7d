// One app: its slots or servers, what is decided for them together, and what the proxy and the next supervisor are told
// of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rota/supervisor/app_policy.h"
#include "rota/supervisor/server.h"
#include "rota/supervisor/slot.h"

namespace rota::supervisor {

class App;
class AppListener {
 public:
  virtual void on_app_changed(App& app, bool publish_again) = 0;

 protected:
  ~AppListener() = default;
};

class App final : SlotListener, ServerListener, uv::TimerListener {
 public:
  // server_hosts: numeric, one for each of config.servers. earlier: what an earlier supervisor left of this app, or
  // null.
  App(const Surface& surface, const config::App& config, std::optional<sys::User> change_to,
      const std::vector<std::string>& server_hosts, const SavedApp* earlier, std::uint32_t parallel,
      AppListener& listener);

  // Before start():
  Slot* adoptable(std::uint64_t spawn_id);  // the slot that a saved process belongs to
  void adopt(std::uint64_t spawn_id, Slot::Found found);
  void finish_adoption();  // what was not found is gone

  void start();
  void stop(const Desired& desired);

  // Slots whose workers may start now are granted; the caller saves, then has them sent.
  std::vector<Slot*> grant_due();
  // Empty as long as it is open, and after it has been told once.
  std::optional<BootVerdict> take_boot_verdict();
  bool boot_over() const { return boot_over_; }

  Slot* find(std::uint64_t spawn_id);
  Server* find_server(std::uint64_t id);
  bool idle() const;
  std::size_t ready_count() const { return count_ready(lives()); }
  std::size_t size() const { return slots_.size() + servers_.size(); }
  const config::App& config() const { return config_; }
  ipc::AppState state() const;
  SavedApp saved() const;
  void tell_last_lines() const;  // to the log, why it does not start

 private:
  Lives lives() const;
  void on_slot_changed(Slot& slot, bool publish_again) override;
  bool may_eject(const Slot& slot) override;
  void on_server_changed(Server& server, bool publish_again) override;
  bool may_eject(const Server& server) override;
  void on_timer(uv::Timer& timer) override;

  const Surface& surface_;
  const config::App& config_;
  std::uint32_t parallel_;
  AppListener& listener_;
  std::uint64_t hash_;
  std::uint64_t generation_ = 1;
  bool boot_over_ = false;
  bool all_ready_told_ = false;
  TimePoint started_{};
  std::vector<SavedWorker> to_adopt_;  // empty after finish_adoption()
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<Server>> servers_;
  uv::Timer boot_timer_;
};

}  // namespace rota::supervisor
