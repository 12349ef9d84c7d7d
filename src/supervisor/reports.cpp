// What the keeper and the proxy report, carried to whom it concerns.
#include <fmt/format.h>
#include <signal.h>

#include "role.h"
#include "rota/base/log.h"
#include "rota/supervisor/kept_config.h"
#include "rota/supervisor/undertaker.h"
#include "rota/sys/process.h"

namespace rota::supervisor {

// What the keeper reports ---------------------------------------------------------------------------------------------

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
  if (message.name == kAccessLogName) access_log_on_shelf_ = true;
  if (message.name == kKeptConfigName && !fds.empty()) {
    auto bytes = ipc::read_bulk(fds[0].get());
    if (bytes) kept_ = decode_config(*bytes);
    if (!kept_) log::warning("the configuration of the supervisor before cannot be read, so the file is read again");
  }
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
      for (; terms_told_ < message.count; terms_told_++) {
        if (terms_told_ == 1) log::info("a second signal: requests in flight are not waited for");
        obey(shutdown_.on_term(loop_.now()));
      }
      break;
    case SIGQUIT: obey(shutdown_.on_quit(ExitCode::clean, loop_.now())); break;
    case SIGUSR1: reopen_logs(); break;
    case SIGHUP: reload(); break;
    case SIGUSR2: log::warning("upgrade (USR2) is not available in this version"); break;
    default: log::warning("signal {} ({}) means nothing here", message.number, sys::signal_name(message.number));
  }
}

void Role::on_proxy_started(const ipc::ProxyStarted& message, UniqueFd channel) {
  log::debug("proxy started (pid {})", message.pid);
  proxy_pid_ = message.pid;
  proxy_trouble_.clear();
  if (stage_ == Stage::running) tell_status();
  proxy_.connect(std::move(channel), message.epoch, epoch_);
  crashes_.on_proxy_connected(stage_ != Stage::running);
}

void Role::on_proxy_exited(const ipc::ProxyExited& message) {
  proxy_pid_ = 0;
  proxy_.disconnect();
  crashes_.on_proxy_gone();
  if (stage_ != Stage::running) return;
  std::string how = sys::describe_status(message.status);
  std::string again = message.delay_ms == 0 ? "now" : "in " + describe_duration(Duration(message.delay_ms));
  log::error("the proxy (pid {}) ended: {}; the next one starts {}", message.pid, how, again);
  if (message.delay_ms > 0) proxy_trouble_ = fmt::format("{}, the next one starts {}", how, again);
  tell_status();
  if (shutdown_.begun()) obey(shutdown_.on_proxy_quiet(loop_.now()));
  changed();
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
  if (reloading_) changed();  // it may have waited for this
}

void Role::on_proxy_connect_failed(std::uint64_t upstream, int error) {
  log::debug("the proxy cannot connect to upstream {} (error {})", upstream, error);
  for (auto& app : apps_) {
    if (app->on_connect_failed(upstream, error)) return;
  }
}

void Role::on_proxy_drained(std::uint64_t upstream) {
  for (auto& app : apps_) {
    if (app->on_drained(upstream)) return;
  }
}

void Role::on_proxy_in_flight(std::uint64_t upstream, ipc::InFlight list) {
  crashes_.on_in_flight(upstream, std::move(list));
}

void Role::on_crash_reports_changed() { changed(); }

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

}  // namespace rota::supervisor
