// From the keeper's list to a running daemon, or to one sentence and an exit code with nothing half-started left.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "role.h"
#include "rota/base/log.h"
#include "rota/supervisor/kept_config.h"
#include "rota/supervisor/users.h"
#include "rota/sys/cpu.h"

extern char** environ;

namespace rota::supervisor {

void tell_problems(const std::vector<config::Problem>& problems) {
  for (const config::Problem& problem : problems) {
    if (log::format() == log::Format::json) {
      log::error("{}", problem.shown);
    } else {
      log::write_raw(problem.shown);  // several lines, with a caret
    }
  }
}

void Role::begin() {
  stage_ = Stage::preparing;
  std::uint64_t newest = 0;
  for (const FoundProcess& process : found_) newest = std::max(newest, process.id);
  next_id_ = std::max(earlier_ ? earlier_->next_id : 1, newest + 1);
  Failure failure = take_configuration();
  if (!failure) failure = prepare();
  if (failure) fail(*failure);
}

// After a crash what was in force stays in force, whatever has become of the file.
Failure Role::take_configuration() {
  if (kept_) {
    config_ = *kept_;
    use_settings();
    return {};
  }
  config::Loaded loaded = outside_.load();
  config_ = std::move(loaded.config);
  use_settings();
  if (!loaded.problems.empty()) {
    tell_problems(loaded.problems);
    return StartFailure{config::exit_code_of(loaded.problems), "the configuration cannot be used; nothing was started"};
  }
  for (const std::string& note : loaded.notes) log::warning("{}", note);
  return {};
}

Failure Role::prepare() {
  if (is_root()) {
    UserChoice choice = choose_user(config_.user.empty() ? "nobody" : config_.user, "", "the proxy");
    if (choice.failure) return choice.failure;
    proxy_user_ = std::move(choice.change_to);
  }
  if (Failure failure = prepare_runtime_dir()) return failure;
  return look_up_listeners(config_.listen) ? Failure{} : prepare_with_names();  // goes on in on_looked_up()
}

// Names that were found before keep their addresses: an unchanged listener keeps its socket.
bool Role::look_up_listeners(const std::vector<config::Listener>& listeners) {
  std::set<std::string> unknown;
  for (const config::Listener& one : listeners) {
    const config::Address& address = one.address;
    if (address.kind == config::Address::Kind::unix_path || address.host.empty()) continue;
    if (auto known = names_.find(address.host); known != names_.end() && !known->second.hosts.empty()) continue;
    if (sys::tcp_address(address.host, address.port)) {  // numbers
      names_[address.host] = {{address.host}, {}};
    } else {
      unknown.insert(address.host);
    }
  }
  if (unknown.empty()) return false;
  lookup_.emplace(loop_, std::move(unknown), kLookupPatience, static_cast<LookupListener&>(*this), outside_.ask);
  return true;
}

void Role::on_looked_up(const ResolvedNames& names) {
  for (const auto& [host, resolved] : names) names_[host] = resolved;
  if (stage_ == Stage::preparing) {
    if (Failure failure = prepare_with_names()) fail(*failure);
  } else if (pending_) {
    if (Failure failure = bind_for_reload()) reload_failed(failure->text);
  }
}

Failure Role::prepare_with_names() {
  if (!access_log_on_shelf_) {  // first: the apps' files are compared with it
    UniqueFd opened;
    if (Failure failure = prepare_access_log(config_.access_log, opened)) return failure;
    if (opened) shelve_access_log(opened.get());
  }
  if (Failure failure = prepare_apps()) return failure;
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

Failure Role::prepare_access_log(const config::AccessLog& wanted, UniqueFd& opened) const {
  switch (wanted.to) {
    case config::AccessLog::To::off: break;
    case config::AccessLog::To::standard_output: opened.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)); break;
    case config::AccessLog::To::file: {
      OpenedLog log = open_log_file(wanted.path);
      if (log.failure) return log.failure;
      opened = std::move(log.fd);
      break;
    }
  }
  return {};
}

void Role::shelve_access_log(int fd) {
  keeper_.shelve(kAccessLogName, true, fd);
  access_log_on_shelf_ = true;
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
  shelve_access_log(log.fd.get());
  log::info("access log {} opened again", config_.access_log.path);
}

Failure Role::prepare_apps() {
  // Once it has run, a log that cannot be opened is no reason to stand still.
  if (Failure failure = logs_.use(config_.apps, config_.access_log, earlier_.has_value())) return failure;
  std::uint32_t parallel = start_parallel(sys::available_cpus());
  for (const config::App& app : config_.apps) {
    UserChoice user = choose_user(app);
    if (user.failure) return user.failure;
    if (Failure failure = make_directory(app, user.change_to, earlier_.has_value())) return failure;
    const SavedApp* saved = earlier_ ? earlier_->find(app.name) : nullptr;
    apps_.push_back(std::make_unique<App>(surface_, std::make_shared<const config::App>(app), std::move(user.change_to),
                                          saved, parallel, static_cast<AppListener&>(*this)));
  }
  if (!earlier_) return {};
  for (const SavedApp& saved : earlier_->apps) {  // on their way out
    std::optional<config::App> app;
    if (saved.removed && !saved.recipes.empty()) app = decode_app(saved.recipes.front().app);
    if (!app || find_app(saved.name) != nullptr) continue;
    if (Failure failure = make_directory(*app, {}, true)) return failure;
    apps_.push_back(std::make_unique<App>(surface_, std::make_shared<const config::App>(std::move(*app)), std::nullopt,
                                          &saved, parallel, static_cast<AppListener&>(*this)));
    apps_.back()->remove();
  }
  return {};
}

Failure Role::make_directory(const config::App& app, const std::optional<sys::User>& user, bool in_use) {
  uid_t worker = user ? user->uid : ::geteuid();
  gid_t proxy = proxy_user_ ? proxy_user_->gid : ::getegid();
  return runtime_dir_.make_app(app.name, worker, proxy, in_use);
}

// Everything that can refuse has agreed.
void Role::on_listeners_ready() {
  if (stage_ == Stage::preparing) {
    listeners_.commit(!earlier_);  // who bound them may have died before it could say so
    start_running();
  } else if (pending_ && !shutdown_.begun()) {
    commit_reload();
  } else {
    listeners_.abandon();
  }
}

void Role::start_running() {
  if (earlier_) crashes_.restore(earlier_->crashes);
  adopt_found();
  stage_ = Stage::running;
  version_ = epoch_ << 32U;  // above whatever an earlier supervisor has published
  if (!kept_) keep_config();
  ShutdownOrders orders;
  if (earlier_) orders = shutdown_.resume(restore_shutdown(earlier_->shutdown), loop_.now());
  terms_told_ = shutdown_.progress().terms;
  draining_ = orders.drain_proxy;
  for (auto& app : apps_) {
    if (orders.workers) {
      app->stop(*orders.workers);
    } else {
      app->start();
    }
  }
  save();
  publish();
  keeper_.proxy_recipe(proxy_spec(config_.runtime_dir, proxy_user_, environ));
  changed();
  if (shutdown_.begun()) obey(orders);
  for (const ipc::Signalled& signal : std::exchange(early_signals_, {})) on_signalled(signal);
}

void Role::keep_config() {
  auto bulk = ipc::make_bulk("rota-config", encode_config(config_));
  ROTA_CHECK(bulk);
  keeper_.shelve(kKeptConfigName, false, bulk->get());
}

// An end that an earlier supervisor has begun, or was asked for while there was none.
bool Role::stop_pending() const {
  if (!earlier_) return false;
  if (earlier_->shutdown.stage != ShutdownPlan::Stage::serving) return true;
  return std::any_of(early_signals_.begin(), early_signals_.end(), [](const auto& s) { return ends(s.number); });
}

void Role::on_listeners_failed(const StartFailure& failure) {
  if (stage_ == Stage::preparing) {
    fail(failure);
  } else if (pending_) {
    reload_failed(failure.text);
  }
}

void Role::adopt_found() {
  std::size_t adopted = 0;
  for (FoundProcess& process : found_) {
    bool ran = !process.exited;
    if (adopt_one(process) && ran) adopted++;
  }
  found_.clear();
  for (auto& app : apps_) app->finish_adoption();
  if (earlier_) log::info("took over {} running workers from the supervisor before", adopted);
}

bool Role::adopt_one(FoundProcess& process) {
  Slot::Found found{process.pid, std::move(process.output)};
  for (auto& app : apps_) {
    Slot* slot = app->adopt(process.id, found);
    if (slot == nullptr) continue;
    if (process.exited) slot->on_exited(process.status);
    return true;
  }
  strangers_.take(process);
  return false;
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
