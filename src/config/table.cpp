// THE table: every key of the file. The parser works by it, all_keys() publishes it, docs/CONFIG.md is tested against
// it.
//
// Each default stands twice, here as text and in config.h as a value: a test reads every text and compares.
#include "table.h"

#include "rota/config/config.h"
#include "rota/config/keys.h"
#include "rota/config/units.h"
#include "setters.h"

namespace rota::config {

namespace {

constexpr Range times(Duration min, Duration max) {
  return {static_cast<std::uint64_t>(min.count()), static_cast<std::uint64_t>(max.count())};
}
constexpr Range sizes(Bytes min, Bytes max) { return {min.count, max.count}; }

using Name = std::string_view;

template <auto kMember>
constexpr Key time_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::time, initial, range, effect, doc, &set_time<kMember>};
}
template <auto kMember>
constexpr Key size_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::size, initial, range, effect, doc, &set_size<kMember>};
}
template <auto kMember>
constexpr Key number_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::number, initial, range, effect, doc, &set_number<kMember>};
}
template <auto kMember>
constexpr Key choice_key(Name name, Name initial, std::span<const Choice> choices, Effect effect, Name doc) {
  return {name, Type::choice, initial, {}, effect, doc, &set_choice<kMember>, choices};
}
template <auto kMember>
constexpr Key user_key(Name name, Name note, Effect effect, Name doc) {
  return {name, Type::text, "", {}, effect, doc, &set_text<kMember>, {}, nullptr, {}, note};
}
constexpr Key mapping_key(Name name, const Mapping& inner, Setter set, Effect effect, Name doc) {
  return {name, Type::mapping, "", {}, effect, doc, set, {}, &inner, {}, "its keys' own"};
}
constexpr Key other_key(Name name, Name form, Name initial, Name note, Setter set, Effect effect, Name doc,
                        Range range = {}, const Mapping* inner = nullptr) {
  return {name, Type::other, initial, range, effect, doc, set, {}, inner, form, note};
}
constexpr Key spawned(Key key) {
  key.spawned_only = true;
  return key;
}

constexpr Range kWait = times(10ms, 24h);       // a timeout: 0 would mean "at once" and is nobody's wish
constexpr Range kWaitOrNone = times(0ms, 24h);  // a time that may be nothing

// ---- the top level's mappings

constexpr Key kTimeoutKeys[] = {
    time_key<&Timeouts::header>("header", "10s", kWait, Effect::reload,
                                "A whole request head, from the connection's or the head's first byte; then 408."),
    time_key<&Timeouts::body>("body", "30s", kWait, Effect::reload, "Without progress of a request body."),
    time_key<&Timeouts::idle>("idle", "75s", kWait, Effect::reload, "A client connection between two requests."),
    time_key<&Timeouts::connect>("connect", "5s", kWait, Effect::reload, "To connect to a worker or server."),
    time_key<&Timeouts::write>("write", "30s", kWait, Effect::reload, "A client that takes no bytes of its response."),
    time_key<&Timeouts::upstream_idle>(
        "upstream_idle", "1.5s", kWait, Effect::reload,
        "A pooled connection to a worker without use, unless the worker announces less."),
};
constexpr std::string_view kTimeoutLater[] = {"tunnel"};
constexpr Mapping kTimeouts{"timeouts", "{header: 10s}", kTimeoutKeys, kTimeoutLater};

constexpr Key kLimitKeys[] = {
    size_key<&Limits::head>("head", "32KiB", sizes(1_KiB, 64_KiB), Effect::reload,
                            "A request head: start line and fields; then 431."),
    number_key<&Limits::fields>("fields", "100", {1, 1000}, Effect::reload, "Fields of a request head; then 431."),
    size_key<&Limits::target>("target", "8KiB", sizes(64_B, 64_KiB), Effect::reload,
                              "The request target (path and query); then 414. At most `head`."),
    size_key<&Limits::body>("body", "0", sizes(0_B, Bytes{1ULL << 40}), Effect::reload,
                            "A request body; then 413. 0: unlimited."),
    number_key<&Limits::connections>("connections", "0", {0, 1'000'000}, Effect::reload,
                                     "Client connections at a time. 0: as many as the file descriptor limit allows."),
};
constexpr std::string_view kLimitLater[] = {"connections_per_address"};
constexpr Mapping kLimits{"limits", "{body: 10MiB}", kLimitKeys, kLimitLater};

constexpr Choice kLevels[] = {{"debug", static_cast<int>(log::Level::debug)},
                              {"info", static_cast<int>(log::Level::info)},
                              {"warning", static_cast<int>(log::Level::warning)},
                              {"error", static_cast<int>(log::Level::error)}};
constexpr Key kLogKeys[] = {
    choice_key<&Config::log_level>("level", "info", kLevels, Effect::reload,
                                   "The least severe of rota's own log lines."),
};
constexpr Mapping kLog{"log", "{level: info}", kLogKeys, {}};

constexpr Key kShutdownKeys[] = {
    time_key<&Shutdown::delay>("delay", "0s", times(0ms, 1h), Effect::reload,
                               "Goes on accepting so long after TERM, until a balancer in front has noticed."),
    time_key<&Shutdown::timeout>("timeout", "25s", times(100ms, 24h), Effect::reload,
                                 "From TERM to the end of everything, `delay` included; what is left is killed."),
};
constexpr Mapping kShutdown{"shutdown", "{timeout: 25s}", kShutdownKeys, {}};

// ---- an app's mappings

constexpr Key kHealthKeys[] = {
    other_key("path", "a path such as /healthz", "", "none: a connect is the check", &set_health_path, Effect::reload,
              "Asked with GET; 2xx and 3xx are healthy."),
    time_key<&Health::interval>("interval", "5s", times(100ms, 1h), Effect::reload, "From one check to the next."),
    time_key<&Health::timeout>("timeout", "2s", times(10ms, 1h), Effect::reload,
                               "A check that takes longer has failed."),
    number_key<&Health::unhealthy_after>("unhealthy_after", "3", {1, 100}, Effect::reload,
                                         "Failed checks in a row that take a worker out of rotation."),
    number_key<&Health::healthy_after>("healthy_after", "1", {1, 100}, Effect::reload,
                                       "Good checks in a row that bring it back."),
};
constexpr std::string_view kHealthLater[] = {"repair_after"};
constexpr Mapping kHealth{"apps.NAME.health", "{path: /healthz}", kHealthKeys, kHealthLater};

constexpr Key kRestartKeys[] = {
    time_key<&Restart::delay>(
        "delay", "250ms", times(10ms, 1h), Effect::reload,
        "Before a restart after a failure; doubled by each further one, ± 20 %. None after a worker "
        "that had been ready for 10 s."),
    time_key<&Restart::max_delay>("max_delay", "30s", times(10ms, 24h), Effect::reload, "Where the doubling ends."),
    time_key<&Restart::stable_after>("stable_after", "60s", times(100ms, 24h), Effect::reload,
                                     "Ready so long, its failures are forgotten."),
};
constexpr Mapping kRestart{"apps.NAME.restart", "{max_delay: 30s}", kRestartKeys, {}};

constexpr Key kStopKeys[] = {
    time_key<&Stop::drain>("drain", "30s", kWaitOrNone, Effect::reload,
                           "The longest wait for requests in flight before a worker gets its signal."),
    other_key("signal", "TERM, INT, QUIT, HUP, USR1, USR2 or WINCH", "TERM", "", &set_signal, Effect::reload,
              "What asks a worker to end; sent to its leader."),
    time_key<&Stop::grace>("grace", "10s", kWaitOrNone, Effect::reload,
                           "From the signal to SIGKILL for the worker's whole process group."),
};
constexpr Mapping kStop{"apps.NAME.stop", "{drain: 30s}", kStopKeys, {}};

constexpr Key kQueueKeys[] = {
    number_key<&Queue::size>("size", "100", {0, 100'000}, Effect::reload,
                             "Requests that wait for a ready worker, per proxy loop; then 503."),
    time_key<&Queue::timeout>("timeout", "10s", kWaitOrNone, Effect::reload, "The longest wait; then 503."),
};
constexpr Mapping kQueue{"apps.NAME.queue", "{timeout: 10s}", kQueueKeys, {}};

constexpr Key kRetryKeys[] = {
    number_key<&Retry::attempts>(
        "attempts", "1", {0, 10}, Effect::reload,
        "Further tries of a GET, HEAD or OPTIONS that a worker may have read before it died. A "
        "request that was never read is always tried elsewhere."),
};
constexpr std::string_view kRetryLater[] = {"poison_after"};
constexpr Mapping kRetry{"apps.NAME.retry", "{attempts: 1}", kRetryKeys, kRetryLater};

constexpr Key kAppTimeoutKeys[] = {
    time_key<&AppTimeouts::response>("response", "60s", kWait, Effect::reload,
                                     "To the first byte of a response; then 504."),
    time_key<&AppTimeouts::idle>("idle", "60s", kWait, Effect::reload, "Between two bytes of a response."),
};
constexpr Mapping kAppTimeouts{"apps.NAME.timeouts", "{response: 60s}", kAppTimeoutKeys, {}};

constexpr Choice kReadies[] = {{"auto", static_cast<int>(Ready::automatic)}, {"http", static_cast<int>(Ready::http)}};

constexpr Key kAppKeys[] = {
    spawned(other_key(
        "command", "a command such as node server.js, or a list of words", "", "required, unless there are `servers`",
        &set_command, Effect::workers,
        "What a worker runs. A text is split as a shell would split it, but runs without one; a list is taken as "
        "it is. {socket} and {slot} are replaced.")),
    spawned({"directory",
             Type::path,
             "",
             {},
             Effect::workers,
             "Where workers run; relative to the file's directory.",
             &set_directory,
             {},
             nullptr,
             {},
             "the file's directory"}),
    spawned(
        other_key("env", "a mapping of names to texts", "", "none", &set_env, Effect::workers,
                  "Environment variables besides those that rota was started with. {socket} and {slot} are replaced.")),
    spawned(user_key<&App::user>("user", "who started rota", Effect::workers,
                                 "The user that workers run as; only root can choose another.")),
    spawned(other_key("workers", "a whole number or auto", "auto", "", &set_workers, Effect::reload,
                      "How many workers. auto: the CPUs this process may really use (quota and affinity).",
                      {1, kWorkersMax})),
    spawned(
        other_key("socket", "path", "path", "", &set_socket, Effect::workers,
                  "How a worker is told where to listen. path: the path of a Unix socket in PORT and for {socket}.")),
    other_key("health", "a path such as /healthz, or a mapping", "", "a connect", &set_health, Effect::reload,
              "How a worker or server is checked.", {}, &kHealth),
    choice_key<&App::ready>(
        "ready", "auto", kReadies, Effect::reload,
        "What proves a new worker ready. auto: the health path answers if there is one, else a connect; "
        "http: the health path answers 2xx or 3xx."),
    spawned(time_key<&App::start_timeout>(
        "start_timeout", "60s", times(100ms, 24h), Effect::reload,
        "A worker that is not ready so long after its start is stopped and started anew.")),
    spawned(
        mapping_key("restart", kRestart, &set_struct<&App::restart>, Effect::reload, "How dead workers come back.")),
    spawned(mapping_key("stop", kStop, &set_struct<&App::stop>, Effect::reload, "How a worker is stopped.")),
    mapping_key("queue", kQueue, &set_struct<&App::queue>, Effect::reload, "Requests that find no ready worker."),
    mapping_key("retry", kRetry, &set_struct<&App::retry>, Effect::reload, "Requests whose worker fails them."),
    mapping_key("timeouts", kAppTimeouts, &set_struct<&App::timeouts>, Effect::reload, "How long a worker may take."),
    other_key("servers", "a list of \"host:port\" and unix:/path", "", "none", &set_servers, Effect::reload,
              "Already running servers in place of a command: balanced and checked, not started."),
};
constexpr std::string_view kAppLater[] = {
    "framework", "group",  "umask",   "limits",      "oom_score_adj", "env_file",       "routes", "balance",
    "sticky",    "deploy", "recycle", "concurrency", "log",           "start_parallel", "tls",    "preload"};
constexpr Mapping kApp{"apps.NAME", "{command: node server.js}", kAppKeys, kAppLater};

// ---- the top level

constexpr Choice kBoots[] = {{"wait", static_cast<int>(Boot::wait)}, {"fail", static_cast<int>(Boot::fail)}};

constexpr Key kFileKeys[] = {
    other_key("listen", "a port, \"host:port\", \"*:port\", \"[address]:port\", unix:/path, or a list of these",
              "127.0.0.1:8080", "", &set_listen, Effect::reload,
              "Where clients connect. A port alone: all addresses, IPv4 and IPv6. Port 0: any free one, which the log "
              "names."),
    number_key<&Config::threads>("threads", "1", {1, kThreadsMax}, Effect::upgrade, "Event loops of the proxy."),
    {"runtime_dir",
     Type::path,
     "",
     {},
     Effect::upgrade,
     "Where the workers' sockets and rota's lock are. Absolute; made if it is missing.",
     &set_runtime_dir,
     {},
     nullptr,
     {},
     "$RUNTIME_DIRECTORY, else /run/rota (root), $XDG_RUNTIME_DIR/rota or /tmp/rota-UID"},
    user_key<&Config::user>("user", "nobody (root), else who started rota", Effect::upgrade,
                            "The user of the proxy; only root can choose another."),
    mapping_key("timeouts", kTimeouts, &set_struct<&Config::timeouts>, Effect::reload,
                "How long clients and connections may take."),
    mapping_key("limits", kLimits, &set_struct<&Config::limits>, Effect::reload, "How much a client may send."),
    other_key("access_log", "off, stdout or a path", "off", "", &set_access_log, Effect::reload,
              "One JSON line per request. A path needs a \"/\" and is relative to the file's directory."),
    mapping_key("log", kLog, &set_same_struct, Effect::reload, "rota's own log, on stderr."),
    mapping_key("shutdown", kShutdown, &set_struct<&Config::shutdown>, Effect::reload, "What happens after TERM."),
    choice_key<&Config::boot>(
        "boot", "wait", kBoots, Effect::upgrade,
        "When no app becomes ready at the start. wait: answer 503 and keep trying; fail: exit 69."),
    mapping_key("apps", kApp, &set_apps, Effect::reload, "What is run: a name for each app, and its settings below."),
};
constexpr std::string_view kFileLater[] = {"trusted_proxies", "control", "services", "tls"};
constexpr Mapping kFile{"", "listen: 8080", kFileKeys, kFileLater};

// ---- what others see

std::string type_of(const Key& key) {
  switch (key.type) {
    case Type::time: return "time";
    case Type::size: return "size";
    case Type::number: return "number";
    case Type::text: return "text";
    case Type::path: return "path";
    case Type::mapping: return "mapping";
    case Type::other: return std::string(key.form);
    case Type::choice: break;
  }
  std::string names;
  for (std::size_t i = 0; i < key.choices.size(); ++i) {
    names += i == 0 ? "" : i + 1 == key.choices.size() ? " or " : ", ";
    names += key.choices[i].name;
  }
  return names;
}

std::string limits_of(const Key& key) {
  if (key.range.max == 0) return "";
  if (key.type == Type::time) {
    return format_duration(Duration{static_cast<Duration::rep>(key.range.min)}) + " to " +
           format_duration(Duration{static_cast<Duration::rep>(key.range.max)});
  }
  if (key.type == Type::size) return format_size(Bytes{key.range.min}) + " to " + format_size(Bytes{key.range.max});
  return std::to_string(key.range.min) + " to " + std::to_string(key.range.max);
}

std::string effect_of(Effect effect) {
  switch (effect) {
    case Effect::reload: return "reload";
    case Effect::workers: return "reload, with new workers";
    case Effect::upgrade: return "upgrade";
  }
  return "";
}

void collect(const Mapping& mapping, std::vector<KeyFacts>& facts) {
  std::string prefix = mapping.path.empty() ? "" : std::string(mapping.path) + ".";
  for (const Key& key : mapping.keys) {
    facts.push_back({prefix + std::string(key.name), type_of(key), std::string(key.initial),
                     std::string(key.initial.empty() ? key.initial_note : key.initial), limits_of(key),
                     effect_of(key.effect), std::string(key.doc), key.spawned_only});
    if (key.inner != nullptr) collect(*key.inner, facts);
  }
}

void collect_later(const Mapping& mapping, std::vector<std::string>& paths) {
  std::string prefix = mapping.path.empty() ? "" : std::string(mapping.path) + ".";
  for (std::string_view name : mapping.later) paths.push_back(prefix + std::string(name));
  for (const Key& key : mapping.keys) {
    if (key.inner != nullptr) collect_later(*key.inner, paths);
  }
}

}  // namespace

const Mapping& file_table() { return kFile; }
const Mapping& app_table() { return kApp; }

std::vector<KeyFacts> all_keys() {
  std::vector<KeyFacts> facts;
  collect(kFile, facts);
  return facts;
}

std::vector<std::string> later_keys() {
  std::vector<std::string> paths;
  collect_later(kFile, paths);
  return paths;
}

}  // namespace rota::config
