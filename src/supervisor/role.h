// The supervisor's composition root; see supervisor.h. Private to the module.
#pragma once

#include <signal.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "rota/config/load.h"
#include "rota/supervisor/app.h"
#include "rota/supervisor/changes.h"
#include "rota/supervisor/crash_reports.h"
#include "rota/supervisor/keeper_link.h"
#include "rota/supervisor/listeners.h"
#include "rota/supervisor/proxy_link.h"
#include "rota/supervisor/runtime_dir.h"
#include "rota/supervisor/saved_state.h"
#include "rota/supervisor/shutdown.h"
#include "rota/supervisor/strangers.h"

namespace rota::supervisor {

inline constexpr const char* kAccessLogName = "access-log";  // on the keeper's shelf

inline bool ends(int signal) { return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT; }

// What the supervisor asks of the world beyond its channel; tests answer instead.
struct Outside {
  std::function<config::Loaded()> load;  // the configuration as its file is now
  Lookup::Ask ask = look_up;             // addresses of names
  FollowedName::Pace name_pace{};
  std::string root;  // before /proc and /sys, where the kernel's out-of-memory kills are counted
};

// Every mistake with its place, to the log.
void tell_problems(const std::vector<config::Problem>& problems);

class Role final : KeeperListener,
                   LookupListener,
                   ProxyLinkListener,
                   ListenersListener,
                   AppListener,
                   CrashReportsListener,
                   uv::Deferred,
                   uv::TimerListener {
 public:
  Role(uv::Loop& loop, Outside outside, UniqueFd channel);
  int exit_code() const { return exit_code_; }

 private:
  // Asking the keeper what it holds; making everything ready; running (shutting down included); waiting to be ended.
  enum class Stage : std::uint8_t { listing, preparing, running, ended };

  // start.cpp: from the keeper's list to running
  void begin();
  Failure take_configuration();
  Failure prepare();
  bool look_up_listeners(const std::vector<config::Listener>& listeners);  // false: nothing needs to be asked
  Failure prepare_with_names();
  Failure prepare_runtime_dir();
  Failure prepare_access_log(const config::AccessLog& wanted, UniqueFd& opened) const;
  Failure prepare_apps();
  Failure make_directory(const config::App& app, const std::optional<sys::User>& user, bool in_use);
  void start_running();
  void keep_config();
  void adopt_found();
  bool adopt_one(FoundProcess& process);
  bool stop_pending() const;
  void fail(const StartFailure& failure);

  // reload.cpp: HUP
  void reload();
  Failure prepare_reload(config::Config wanted);
  Failure bind_for_reload();
  void commit_reload();
  void apply_apps(std::vector<std::optional<sys::User>> users);
  void reload_failed(const std::string& why);
  void finish_reload();
  bool settling() const;  // what a reload has begun is not over yet
  bool reload_over();
  std::string what_failed() const;
  std::string what_was_done() const;

  // role.cpp
  void changed(bool publish_again = false);
  void run_deferred() override;
  void advance_apps();
  void start_workers();
  void judge_boot();
  void save();
  void publish();
  void use_settings();
  void shelve_access_log(int fd);
  void obey(const ShutdownOrders& orders);
  void arm_shutdown();
  void reopen_logs();
  void end(ExitCode code);
  bool all_idle() const;
  App* find_app(const std::string& name);
  Slot* find(std::uint64_t spawn_id);
  ipc::ProxyState proxy_state() const;  // proxy_state.cpp

  // status.cpp
  void tell_status();
  std::string status_text() const;
  static std::string app_text(const App& app);
  std::string stopping_text() const;

  void on_hello(const ipc::Hello& hello) override;
  void on_spawned(const ipc::Spawned& message, Fds fds) override;
  void on_exec_failed(const ipc::ExecFailed& message) override;
  void on_exited(const ipc::Exited& message) override;
  void on_bound(const ipc::Bound& message) override;
  void on_listed(const ipc::Listed& message, Fds fds) override;
  void on_shelved(const ipc::Shelved& message, Fds fds) override;
  void on_saved_state(std::string bytes) override;
  void on_list_end() override;
  void on_signalled(const ipc::Signalled& message) override;
  void on_proxy_started(const ipc::ProxyStarted& message, UniqueFd channel) override;
  void on_proxy_exited(const ipc::ProxyExited& message) override;
  void on_keeper_gone() override;
  void on_proxy_applied(std::uint64_t version) override;
  void on_proxy_connect_failed(std::uint64_t upstream, int error) override;
  void on_proxy_drained(std::uint64_t upstream) override;
  void on_proxy_quiet() override;
  void on_proxy_in_flight(std::uint64_t upstream, ipc::InFlight list) override;
  void on_proxy_lost(std::uint64_t epoch, Loss loss) override;
  void on_crash_reports_changed() override;
  void on_looked_up(const ResolvedNames& names) override;
  void on_listeners_ready() override;
  void on_listeners_failed(const StartFailure& failure) override;
  void on_app_changed(App& app, bool publish_again) override;
  void on_timer(uv::Timer& timer) override;

  uv::Loop& loop_;
  Outside outside_;
  config::Config config_;  // in force
  std::mt19937_64 random_;
  std::vector<std::string> inherited_env_;
  std::uint64_t next_id_ = 1;

  Stage stage_ = Stage::listing;
  int exit_code_ = 0;
  std::uint64_t epoch_ = 0;
  int keeper_pid_ = 0;
  std::optional<SavedState> earlier_;   // an earlier supervisor's
  std::optional<config::Config> kept_;  // what was in force then
  std::vector<FoundProcess> found_;
  std::map<std::uint64_t, pid_t> processes_;  // all that the keeper has told of, but for those whose end it has told
  pid_t proxy_pid_ = 0;
  std::string proxy_trouble_;     // why there is none for a while: "signal 9 (KILL), the next one starts in 800 ms"
  std::uint32_t terms_told_ = 0;  // of the keeper's count, how many the plan has heard of
  std::vector<ipc::Signalled> early_signals_;

  KeeperLink keeper_;
  ProxyLink proxy_;
  Listeners listeners_;
  RuntimeDir runtime_dir_;
  WorkerLogs logs_;
  sys::PipePeek peek_;
  CrashReports crashes_;
  Surface surface_;
  Strangers strangers_;
  ShutdownPlan shutdown_;
  std::optional<sys::User> proxy_user_;  // when the proxy changes user
  std::vector<std::unique_ptr<App>> apps_;
  uv::Timer shutdown_timer_;
  ResolvedNames names_;  // of listeners
  std::optional<Lookup> lookup_;

  // Between HUP and the moment at which everything new is in force, or nothing.
  struct PendingReload {
    config::Config config;
    Changes changes;
    std::vector<std::optional<sys::User>> users;  // of its apps
    std::vector<std::string> directories;         // made for it
    UniqueFd access_log;
  };
  std::optional<PendingReload> pending_;
  // From then until the last worker is replaced, and the proxy knows it.
  struct RunningReload {
    Changes changes;
    TimePoint begun_at{};
    std::optional<std::uint64_t> last_state;  // the version with which all was told
  };
  std::optional<RunningReload> reloading_;
  bool reload_again_ = false;   // HUP came while one was pending
  std::string reload_failure_;  // of the last one

  // What was told last, so that it is told again only when it changed.
  std::string published_;  // encoded
  std::uint64_t version_ = 0;
  bool draining_ = false;               // the proxy's phase
  std::uint64_t draining_version_ = 0;  // the first state that says so
  std::string saved_;
  std::string status_;
  bool publish_again_ = false;
  bool ready_told_ = false;
  bool access_log_on_shelf_ = false;
};

}  // namespace rota::supervisor
