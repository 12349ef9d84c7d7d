// One app: its workers or servers, what is decided for them together, and what the proxy and the next supervisor are
// told of it. An app that is taken out of the configuration lives on until its last worker has left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rota/supervisor/outage.h"
#include "rota/supervisor/server_set.h"
#include "rota/supervisor/worker_set.h"

namespace rota::supervisor {

class App;
class AppListener {
 public:
  virtual void on_app_changed(App& app, bool publish_again) = 0;

 protected:
  ~AppListener() = default;
};

class App final : WorkerSetListener, ServerSetListener, uv::TimerListener {
 public:
  // change_to: the user of its workers, when it is not ours. earlier: what an earlier supervisor left of this app, or
  // null. parallel: workers that may be starting at once.
  App(const Surface& surface, std::shared_ptr<const config::App> config, std::optional<sys::User> change_to,
      const SavedApp* earlier, std::uint32_t parallel, AppListener& listener);

  // Before start():
  Slot* adopt(std::uint64_t spawn_id, Slot::Found& found) { return workers_.adopt(spawn_id, found); }
  void finish_adoption() { workers_.finish_adoption(); }

  void start();
  void stop(const Desired& desired);  // the end of everything
  // After start(): a newer configuration, or the first one again after remove().
  void configure(std::shared_ptr<const config::App> config, std::optional<sys::User> change_to);
  void remove();  // from the configuration
  bool removed() const { return removed_; }
  bool gone() const { return removed_ && idle() && servers_.empty(); }

  // Once per loop turn, at top level. may_replace: workers by newer ones, where a reload wants it.
  void advance(bool may_replace);
  // Slots whose workers may start now are granted; the caller saves, then has them sent.
  std::vector<Slot*> grant_due() { return workers_.grant_due(); }
  // Empty as long as it is open, and after it has been told once.
  std::optional<BootVerdict> take_boot_verdict();
  bool boot_over() const { return boot_over_; }
  bool in_outage() const { return outage_.on(); }  // none of its workers or servers passes its checks

  Slot* find(std::uint64_t spawn_id) { return workers_.find(spawn_id); }
  // What the proxy reports of an upstream. False: it is none of this app's.
  bool on_connect_failed(std::uint64_t upstream, int error);
  bool on_drained(std::uint64_t upstream);

  bool idle() const { return workers_.idle(); }
  std::size_t ready_count() const { return workers_.ready_count() + servers_.ready_count(); }
  std::size_t size() const { return workers_.size() + servers_.size(); }
  const config::App& config() const { return *config_; }
  const WorkerSet& workers() const { return workers_; }
  const ServerSet& servers() const { return servers_; }
  const char* unit() const { return config_->command.empty() ? "servers" : "workers"; }  // what it has
  ipc::AppState state() const;                                                           // without its routes
  SavedApp saved() const;
  void tell_last_lines() const { workers_.tell_last_lines(); }  // to the log, why it does not start

 private:
  void tell_when_ready();
  void watch_outage();
  BootVerdict judge() const;
  void on_workers_changed(bool publish_again) override { listener_.on_app_changed(*this, publish_again); }
  void on_servers_changed(bool publish_again) override { listener_.on_app_changed(*this, publish_again); }
  void on_timer(uv::Timer& timer) override;

  const Surface& surface_;
  AppListener& listener_;
  std::shared_ptr<const config::App> config_;
  bool removed_ = false;
  bool boot_over_ = false;
  bool all_ready_told_ = false;
  TimePoint started_{};
  WorkerSet workers_;
  ServerSet servers_;
  Outage outage_;
  uv::Timer boot_timer_;
  uv::Timer outage_timer_;
};

}  // namespace rota::supervisor
