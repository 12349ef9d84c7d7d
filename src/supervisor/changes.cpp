#include "rota/supervisor/changes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "rota/supervisor/saved_state.h"

namespace rota::supervisor {

namespace {

const config::App* find(const config::Config& config, const std::string& name) {
  for (const config::App& app : config.apps) {
    if (app.name == name) return &app;
  }
  return nullptr;
}

// What only a change of workers or of their number explains is made equal; what is left is settings.
bool same_settings(const config::App& before, config::App after) {
  after.place = before.place;
  after.command = before.command;
  after.directory = before.directory;
  after.user = before.user;
  after.group = before.group;
  after.umask = before.umask;
  after.limits = before.limits;
  after.oom_score_adj = before.oom_score_adj;
  after.env = before.env;
  after.workers = before.workers;
  after.workers_auto = before.workers_auto;
  // Indexes move when a listener comes or goes, and the text is for messages.
  auto plain = [](config::App app) {
    for (config::Route& route : app.routes) {
      route.text.clear();
      if (!route.listeners.empty()) route.listeners.assign(1, 0);
    }
    return app;
  };
  return plain(before) == plain(after);
}

void compare_apps(const config::App& before, const config::App& after, Changes& changes) {
  if (!before.command.empty() && !after.command.empty()) {
    if (config_hash(before) != config_hash(after)) changes.replaced.push_back(after.name);
    if (before.workers != after.workers) {
      changes.resized.push_back(fmt::format("{} from {} to {} workers", after.name, before.workers, after.workers));
    }
  }
  if (!same_settings(before, after) || before.command.empty() != after.command.empty()) {
    changes.adjusted.push_back(after.name);
  }
}

void compare_settings(const config::Config& before, const config::Config& after, Changes& changes) {
  auto note = [](bool same, const char* key, std::vector<std::string>& list) {
    if (!same) list.emplace_back(key);
  };
  note(before.listen == after.listen, "listen", changes.settings);
  note(before.timeouts == after.timeouts, "timeouts", changes.settings);
  note(before.limits == after.limits, "limits", changes.settings);
  note(before.access_log == after.access_log, "access_log", changes.settings);
  note(before.trusted_proxies == after.trusted_proxies, "trusted_proxies", changes.settings);
  note(before.log_level == after.log_level && before.log_format == after.log_format, "log", changes.settings);
  note(before.shutdown == after.shutdown, "shutdown", changes.settings);
  note(before.threads == after.threads, "threads", changes.next_start);
  note(before.user == after.user, "user", changes.next_start);
  note(before.runtime_dir == after.runtime_dir, "runtime_dir", changes.next_start);
  note(before.boot == after.boot, "boot", changes.next_start);
}

}  // namespace

bool Changes::any_now() const {
  return !(added.empty() && removed.empty() && replaced.empty() && resized.empty() && adjusted.empty() &&
           settings.empty());
}

std::string Changes::text() const {
  std::vector<std::string> parts;
  for (const std::string& app : added) parts.push_back(fmt::format("app {} added", app));
  for (const std::string& app : removed) parts.push_back(fmt::format("app {} removed", app));
  if (!replaced.empty()) parts.push_back(fmt::format("new workers for {}", fmt::join(replaced, ", ")));
  for (const std::string& what : resized) parts.push_back(what);
  if (!adjusted.empty()) parts.push_back(fmt::format("settings of {}", fmt::join(adjusted, ", ")));
  if (!settings.empty()) parts.push_back(fmt::format("{}", fmt::join(settings, ", ")));
  return fmt::format("{}", fmt::join(parts, "; "));
}

Changes find_changes(const config::Config& before, const config::Config& after) {
  Changes changes;
  for (const config::App& app : after.apps) {
    const config::App* old = find(before, app.name);
    if (old == nullptr) {
      changes.added.push_back(app.name);
    } else {
      compare_apps(*old, app, changes);
    }
  }
  for (const config::App& app : before.apps) {
    if (find(after, app.name) == nullptr) changes.removed.push_back(app.name);
  }
  compare_settings(before, after, changes);
  return changes;
}

config::Config applicable(const config::Config& before, config::Config after) {
  after.threads = before.threads;
  after.user = before.user;
  after.runtime_dir = before.runtime_dir;
  after.boot = before.boot;
  return after;
}

}  // namespace rota::supervisor
