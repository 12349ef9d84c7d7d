// What the service manager shows of rota: one line that a person understands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "role.h"

namespace rota::supervisor {

namespace {

constexpr std::size_t kStatusMax = 800;   // bytes; more apps than fit are left out
constexpr std::size_t kFailureMax = 300;  // of a reload
constexpr std::size_t kTroubleMax = 100;  // of a worker

std::string cut(const std::string& text, std::size_t most) {
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

}  // namespace

void Role::tell_status() {
  std::string text = status_text();
  if (text == status_) return;
  status_ = std::move(text);
  keeper_.notify("STATUS=" + status_);
}

// "4 of 4 workers ready", and what is wrong with them.
std::string Role::app_text(const App& app) {
  if (app.removed()) return fmt::format("removed, {} workers leaving", app.workers().leaving_count());
  std::string text = fmt::format("{} of {} {} ready", app.ready_count(), app.size(), app.unit());
  std::string loops = describe_crash_loops(app.workers().lives());
  if (!loops.empty()) text += fmt::format(" ({})", cut(loops, kTroubleMax));
  if (app.in_outage()) text += " (none passes its checks)";
  return text;
}

// "Serving on *:8080; web: 4 of 4 workers ready, api: 1 of 2 workers ready"
std::string Role::status_text() const {
  if (shutdown_.begun()) return stopping_text();
  std::string text = "Serving on " + listeners_.summary();
  if (pending_ || reloading_) {
    std::vector<std::string> parts;
    for (const auto& app : apps_) {
      const Rollout& rollout = app->workers().rollout();
      if (rollout.stage() != Rollout::Stage::rolling) continue;
      parts.push_back(
          fmt::format(", {} of {} workers of {} replaced", rollout.replaced(), rollout.total(), app->config().name));
    }
    text = fmt::format("Reloading{}; serving on {}", fmt::join(parts, ""), listeners_.summary());
  } else if (!reload_failure_.empty()) {
    text += fmt::format(" (reload failed: {})", cut(reload_failure_, kFailureMax));
  }
  if (!proxy_trouble_.empty()) text = "The proxy is down: " + proxy_trouble_ + ". " + text;
  const char* separator = "; ";
  for (const auto& app : apps_) {
    text += fmt::format("{}{}: {}", separator, app->config().name, app_text(*app));
    separator = ", ";
    if (text.size() > kStatusMax) return text + ", ...";
  }
  return text;
}

std::string Role::stopping_text() const {
  switch (shutdown_.stage()) {
    case ShutdownPlan::Stage::delaying: return "Stopping: still accepting, for shutdown.delay";
    case ShutdownPlan::Stage::closing: return "Stopping: no more connections are taken";
    case ShutdownPlan::Stage::quieting: return "Stopping: waiting for clients";
    case ShutdownPlan::Stage::stopping: {
      std::size_t workers = 0;
      for (const auto& app : apps_) workers += app->workers().process_count();
      return fmt::format("Stopping: waiting for {} worker{}", workers, workers == 1 ? "" : "s");
    }
    case ShutdownPlan::Stage::serving:
    case ShutdownPlan::Stage::ended:
    case ShutdownPlan::Stage::count_: break;
  }
  return "Stopping";
}

}  // namespace rota::supervisor
