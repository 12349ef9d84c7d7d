// From the keeper's list to a running daemon, or to one sentence and an exit code with nothing half-started left.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "role.h"
#include "rota/base/log.h"
#include "rota/supervisor/users.h"
#include "rota/sys/cpu.h"

extern char** environ;

namespace rota::supervisor {

namespace {

constexpr const char* kAccessLogName = "access-log";

}  // namespace

void Role::begin() {
  stage_ = Stage::preparing;
  std::uint64_t newest = 0;
  for (const FoundProcess& process : found_) newest = std::max(newest, process.id);
  next_id_ = std::max(earlier_ ? earlier_->next_id : 1, newest + 1);
  if (!loaded_.problems.empty()) {
    for (const config::Problem& problem : loaded_.problems) {
      if (log::format() == log::Format::json) {
        log::error("{}", problem.shown);
      } else {
        log::write_raw(2, problem.shown);  // several lines, with a caret
      }
    }
    fail({config::exit_code_of(loaded_.problems), "the configuration has mistakes; nothing was started"});
    return;
  }
  for (const std::string& note : loaded_.notes) log::warning("{}", note);
  if (Failure failure = prepare()) fail(*failure);
}

Failure Role::prepare() {
  if (is_root()) {
    UserChoice choice = choose_user(config_.user.empty() ? "nobody" : config_.user, "", "the proxy");
    if (choice.failure) return choice.failure;
    proxy_user_ = std::move(choice.change_to);
  }
  if (Failure failure = prepare_runtime_dir()) return failure;
  look_up_names();
  return lookup_ ? Failure{} : prepare_with_names();  // goes on in on_looked_up()
}

void Role::look_up_names() {
  std::set<std::string> unknown;
  auto add = [&](const config::Address& address) {
    if (address.kind == config::Address::Kind::unix_path || address.host.empty()) return;
    if (sys::tcp_address(address.host, address.port)) {  // numbers
      names_[address.host] = {{address.host}, {}};
    } else {
      unknown.insert(address.host);
    }
  };
  for (const config::Listener& one : config_.listen) add(one.address);
  for (const config::App& app : config_.apps) {
    for (const config::Address& server : app.servers) add(server);
  }
  if (!unknown.empty())
    lookup_.emplace(loop_, std::move(unknown), kLookupPatience, static_cast<LookupListener&>(*this));
}

void Role::on_looked_up(const ResolvedNames& names) {
  if (stage_ != Stage::preparing) return;  // stopped meanwhile
  for (const auto& [host, resolved] : names) names_[host] = resolved;
  if (Failure failure = prepare_with_names()) fail(*failure);
}

Failure Role::prepare_with_names() {
  if (Failure failure = prepare_apps()) return failure;
  if (Failure failure = prepare_access_log()) return failure;
  PlannedListeners planned = plan_listeners(config_.listen, names_);
  if (planned.failure && !stop_pending()) return planned.failure;
  listeners_.prepare(std::move(planned.listeners), config_.threads, !stop_pending());
  return {};
}

Failure Role::prepare_runtime_dir() {
  bool for_others = is_root();
  if (Failure failure = runtime_dir_.open(config_.runtime_dir, for_others)) return failure;
  if (runtime_dir_.lock_fd() >= 0) return {};  // on the shelf since an earlier supervisor took it
  if (Failure failure = runtime_dir_.lock(keeper_pid_)) return failure;
  keeper_.shelve("lock", false, runtime_dir_.lock_fd());
  return {};
}

Failure Role::prepare_access_log() {
  if (access_log_on_shelf_) return {};
  switch (config_.access_log.to) {
    case config::AccessLog::To::off: break;
    case config::AccessLog::To::standard_output: keeper_.shelve(kAccessLogName, true, STDOUT_FILENO); break;
    case config::AccessLog::To::file: {
      OpenedLog log = open_log_file(config_.access_log.path);
      if (log.failure) return log.failure;
      keeper_.shelve(kAccessLogName, true, log.fd.get());
      break;
    }
  }
  return {};
}

void Role::reopen_logs() {
  bool any = logs_.open_again();
  if (config_.access_log.to != config::AccessLog::To::file) {
    if (!any) log::info("no log file to open again");
    return;
  }
  OpenedLog log = open_log_file(config_.access_log.path);
  if (log.failure) {
    log::error("{}; the old file is still written to", log.failure->text);
    return;
  }
  keeper_.shelve(kAccessLogName, true, log.fd.get());
  log::info("access log {} opened again", config_.access_log.path);
}

Failure Role::prepare_apps() {
  // Once it has run, a log that cannot be opened is no reason to stand still.
  if (Failure failure = logs_.use(config_.apps, earlier_.has_value())) return failure;
  std::uint32_t parallel = start_parallel(sys::available_cpus());
  for (const config::App& app : config_.apps) {
    UserChoice user = choose_user(app);
    if (user.failure) return user.failure;
    std::vector<std::string> hosts;
    for (const config::Address& server : app.servers) {
      hosts.emplace_back();
      if (server.kind == config::Address::Kind::unix_path) continue;
      const Resolved& resolved = names_.at(server.host);
      if (resolved.hosts.empty()) {
        return StartFailure{
            ExitCode::configuration,
            fmt::format("app {}: the server name {} has no address ({}); check the name, or write the address "
                        "in numbers",
                        app.name, server.host, resolved.error)};
      }
      hosts.back() = resolved.hosts.front();
    }
    if (!app.command.empty()) {
      uid_t worker = user.change_to ? user.change_to->uid : ::geteuid();
      gid_t proxy = proxy_user_ ? proxy_user_->gid : ::getegid();
      if (Failure failure = runtime_dir_.make_app(app.name, worker, proxy, earlier_.has_value())) return failure;
    }
    const SavedApp* saved = earlier_ ? earlier_->find(app.name) : nullptr;
    apps_.push_back(std::make_unique<App>(surface_, app, std::move(user.change_to), hosts, saved, parallel,
                                          static_cast<AppListener&>(*this)));
  }
  return {};
}

// Everything that can refuse has agreed.
void Role::on_listeners_ready() {
  listeners_.commit();
  adopt_found();
  stage_ = Stage::running;
  version_ = epoch_ << 32U;  // above whatever an earlier supervisor has published
  ShutdownOrders orders;
  if (earlier_) orders = shutdown_.resume(restore_shutdown(earlier_->shutdown), loop_.now());
  terms_told_ = shutdown_.progress().terms;
  draining_ = orders.drain_proxy;
  if (orders.workers) {
    for (auto& app : apps_) app->stop(*orders.workers);
  } else {
    for (auto& app : apps_) app->start();
  }
  save();
  publish();
  keeper_.proxy_recipe(proxy_spec(config_.runtime_dir, proxy_user_, environ));
  changed();
  if (shutdown_.begun()) obey(orders);
  for (const ipc::Signalled& signal : std::exchange(early_signals_, {})) on_signalled(signal);
}

// An end that an earlier supervisor has begun, or was asked for while there was none.
bool Role::stop_pending() const {
  if (!earlier_) return false;
  if (earlier_->shutdown.stage != ShutdownPlan::Stage::serving) return true;
  return std::any_of(early_signals_.begin(), early_signals_.end(), [](const auto& s) { return ends(s.number); });
}

void Role::on_listeners_failed(const StartFailure& failure) { fail(failure); }

void Role::adopt_found() {
  std::size_t adopted = 0;
  for (FoundProcess& process : found_) {
    bool ours =
        std::any_of(apps_.begin(), apps_.end(), [&](auto& app) { return app->adoptable(process.id) != nullptr; });
    if (ours && !process.exited) adopted++;
    adopt_one(process);
  }
  found_.clear();
  for (auto& app : apps_) app->finish_adoption();
  if (earlier_) log::info("took over {} running workers from the supervisor before", adopted);
}

void Role::adopt_one(FoundProcess& process) {
  for (auto& app : apps_) {
    Slot* slot = app->adoptable(process.id);
    if (slot == nullptr) continue;
    app->adopt(process.id, {process.pid, std::move(process.output)});
    if (process.exited) slot->on_exited(process.status);
    return;
  }
  strangers_.take(process);
}

// A first start that fails leaves nothing. A later supervisor that cannot go on leaves everything as it is: the keeper
// starts the next one, and workers and proxy serve meanwhile.
void Role::fail(const StartFailure& failure) {
  log::error("{}", failure.text);
  if (earlier_) {
    log::error("what runs goes on running; trying again");
    stage_ = Stage::ended;
    exit_code_ = static_cast<int>(ExitCode::failed);
    loop_.stop();
    return;
  }
  end(failure.code);
}

}  // namespace rota::supervisor
