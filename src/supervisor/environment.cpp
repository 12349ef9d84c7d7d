#include "rota/supervisor/environment.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include <cerrno>
#include <cstring>
#include "rota/config/placeholders.h"

namespace rota::supervisor {

namespace {

using namespace std::string_view_literals;

constexpr std::array kNotForWorkers = {"NOTIFY_SOCKET"sv,
                                       "WATCHDOG_USEC"sv,
                                       "WATCHDOG_PID"sv,
                                       "LISTEN_FDS"sv,
                                       "LISTEN_PID"sv,
                                       "LISTEN_FDNAMES"sv,
                                       "INVOCATION_ID"sv,
                                       "JOURNAL_STREAM"sv,
                                       "NODE_UNIQUE_ID"sv,
                                       "NODE_CHANNEL_FD"sv,
                                       "NODE_CHANNEL_SERIALIZATION_MODE"sv};
constexpr std::array kForProxy = {"TZ"sv,           "JOURNAL_STREAM"sv, "ASAN_OPTIONS"sv, "UBSAN_OPTIONS"sv,
                                  "TSAN_OPTIONS"sv, "LSAN_OPTIONS"sv};

// The key of the file for "resource 7", as the trampoline calls it.
std::string_view limit_name(std::string_view detail) {
  struct Name {
    int resource;
    std::string_view key;
  };
  constexpr std::array kNames = {Name{RLIMIT_NOFILE, "nofile"}, Name{RLIMIT_NPROC, "nproc"},
                                 Name{RLIMIT_CORE, "core"},     Name{RLIMIT_MEMLOCK, "memlock"},
                                 Name{RLIMIT_STACK, "stack"},   Name{RLIMIT_FSIZE, "fsize"},
                                 Name{RLIMIT_AS, "as"},         Name{RLIMIT_CPU, "cpu"}};
  for (const Name& one : kNames) {
    if (detail == fmt::format("resource {}", one.resource)) return one.key;
  }
  return detail;
}

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

// Later settings replace earlier ones of the same name.
void set(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  auto old = std::find_if(env.begin(), env.end(), [&](const std::string& entry) { return name_of(entry) == name; });
  std::string entry = fmt::format("{}={}", name, value);
  if (old == env.end()) {
    env.push_back(std::move(entry));
  } else {
    *old = std::move(entry);
  }
}

void become(ipc::SpawnSpec& spec, const sys::User& user) {
  spec.change_user = true;
  spec.uid = user.uid;
  spec.gid = user.gid;
  spec.groups = user.groups;
}

}  // namespace

std::vector<std::string> inherited_environment(const char* const* environ_now) {
  std::vector<std::string> env;
  for (; environ_now != nullptr && *environ_now != nullptr; environ_now++) {
    std::string_view entry = *environ_now;
    if (entry.find('=') == std::string_view::npos) continue;
    if (std::find(kNotForWorkers.begin(), kNotForWorkers.end(), name_of(entry)) != kNotForWorkers.end()) continue;
    env.emplace_back(entry);
  }
  return env;
}

std::string fill_placeholders(std::string_view text, const WorkerPlace& place) {
  std::string out;
  std::size_t done = 0;
  while (auto found = config::find_placeholder(text, done)) {
    out += text.substr(done, found->offset - done);
    std::string_view whole = text.substr(found->offset, found->length);
    if (found->literal) {
      out += whole.substr(1, whole.size() - 2);
    } else if (found->word == config::kSocketPlaceholder) {
      out += place.socket;
    } else {
      out += std::to_string(place.slot);
    }
    done = found->offset + found->length;
  }
  out += text.substr(done);
  return out;
}

ipc::SpawnSpec worker_spec(const config::App& app, const WorkerPlace& place, const std::optional<sys::User>& change_to,
                           const std::vector<std::string>& inherited) {
  ipc::SpawnSpec spec;
  for (const std::string& word : app.command) spec.argv.push_back(fill_placeholders(word, place));
  spec.env = inherited;
  std::string slot = std::to_string(place.slot);
  set(spec.env, "PORT", place.socket);
  set(spec.env, "ROTA_SOCKET", place.socket);
  set(spec.env, "ROTA_APP", app.name);
  set(spec.env, "ROTA_SLOT", slot);
  set(spec.env, "WORKER_ID", slot);
  set(spec.env, "NODE_APP_INSTANCE", slot);
  // Platforms export a number of processes; each of our workers would start so many. The app's own `env` may still say
  // it.
  set(spec.env, "WEB_CONCURRENCY", "1");
  if (change_to) {
    become(spec, *change_to);
    set(spec.env, "HOME", change_to->home.empty() ? "/" : change_to->home);
    set(spec.env, "USER", change_to->name);
    set(spec.env, "LOGNAME", change_to->name);
  }
  for (const auto& [name, value] : app.env) set(spec.env, name, fill_placeholders(value, place));
  spec.umask = app.umask;
  for (const config::ResourceLimit& limit : app.limits)
    spec.limits.push_back({limit.resource, limit.value, limit.value});
  spec.set_oom_score_adj = app.oom_score_adj.has_value();
  spec.oom_score_adj = app.oom_score_adj.value_or(0);
  spec.directory = app.directory;
  return spec;
}

std::string explain_spawn_failure(std::string_view step, int error, std::string_view detail) {
  const char* why = std::strerror(error);
  bool denied = error == EPERM || error == EACCES;
  if (step == "oom_score_adj") {
    return fmt::format("oom_score_adj cannot be {}: {}{}", detail, why,
                       denied ? "; only root may make it less than rota's own" : "");
  }
  if (step == "limits") {
    return fmt::format("limits.{} cannot be set: {}{}", limit_name(detail), why,
                       denied ? "; only root may raise a limit above rota's own" : "");
  }
  return fmt::format("{}{}{}: {}", step, detail.empty() ? "" : " ", detail, why);
}

ipc::SpawnSpec proxy_spec(const std::string& runtime_dir, const std::optional<sys::User>& change_to,
                          const char* const* environ_now) {
  ipc::SpawnSpec spec;
  spec.program = ipc::Program::self;
  spec.argv = {ipc::kProxyName};
  for (; environ_now != nullptr && *environ_now != nullptr; environ_now++) {
    std::string_view entry = *environ_now;
    if (std::find(kForProxy.begin(), kForProxy.end(), name_of(entry)) != kForProxy.end()) spec.env.emplace_back(entry);
  }
  if (change_to) become(spec, *change_to);
  spec.no_new_privileges = true;
  spec.umask = 0007;
  spec.directory = runtime_dir;
  return spec;
}

}  // namespace rota::supervisor
