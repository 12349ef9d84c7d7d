// What an app can say: the half of the table below a name in `apps`.
#include <sys/resource.h>

#include "rota/config/config.h"
#include "rows.h"

namespace rota::config {

namespace {

constexpr Key kHealthKeys[] = {
    other_key("path", "a path such as /healthz", {.text = true, .pattern = "/[!-~]*"}, "",
              "none: a connect is the check", &set_health_path, Effect::reload,
              "Asked with GET; 2xx and 3xx are healthy."),
    time_key<&Health::interval>("interval", "5s", times(100ms, 1h), Effect::reload, "From one check to the next."),
    time_key<&Health::timeout>("timeout", "2s", times(10ms, 1h), Effect::reload,
                               "A check that takes longer has failed."),
    number_key<&Health::unhealthy_after>("unhealthy_after", "3", {1, 100}, Effect::reload,
                                         "Failed checks in a row that take a worker out of rotation."),
    number_key<&Health::healthy_after>("healthy_after", "1", {1, 100}, Effect::reload,
                                       "Good checks in a row that bring it back."),
    time_key<&Health::repair_after>(
        "repair_after", "60s", kWaitOrNone, Effect::reload,
        "A worker that has answered no check for so long is replaced, one at a time; one "
        "that answered errors only while another one is healthy. 0: never. Servers are never replaced."),
};
constexpr Mapping kHealth{"apps.NAME.health", "{path: /healthz}", kHealthKeys, {}};

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
    other_key("signal", "TERM, INT, QUIT, HUP, USR1, USR2 or WINCH",
              {.text = true, .pattern = "(SIG)?(TERM|INT|QUIT|HUP|USR1|USR2|WINCH)"}, "TERM", "", &set_signal,
              Effect::reload, "What asks a worker to end; sent to its leader."),
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
    number_key<&Retry::poison_after>(
        "poison_after", "0", {0, 100}, Effect::reload,
        "A request that was in flight at so many deaths of workers in a row is refused with 503 instead of killing the "
        "next one. 0: never."),
};
constexpr Mapping kRetry{"apps.NAME.retry", "{attempts: 1}", kRetryKeys, {}};

constexpr Key kAppTimeoutKeys[] = {
    time_key<&AppTimeouts::response>("response", "60s", kWait, Effect::reload,
                                     "To the first byte of a response; then 504."),
    time_key<&AppTimeouts::idle>("idle", "60s", kWait, Effect::reload, "Between two bytes of a response."),
};
constexpr Mapping kAppTimeouts{"apps.NAME.timeouts", "{response: 60s}", kAppTimeoutKeys, {}};

constexpr Choice kFormats[] = {{"text", static_cast<int>(AppLog::Format::text)},
                               {"json", static_cast<int>(AppLog::Format::json)},
                               {"passthrough", static_cast<int>(AppLog::Format::passthrough)}};
constexpr Key kAppLogKeys[] = {
    choice_key<&AppLog::format>(
        "format", "text", kFormats, Effect::reload,
        "text: the line after the app's name and slot; json: an object per line; passthrough: the bytes as they came. "
        "Without `file` the default is that of `log.format`."),
    path_key("file", "rota's stderr", &set_log_file, Effect::reload,
             "Where the lines go; relative to the file's directory."),
    size_key<&AppLog::max_size>("max_size", "64MiB", sizes(0_B, kSizeMost), Effect::reload,
                                "Of `file`, which is then renamed to FILE.1 and begun anew. 0: never."),
    number_key<&AppLog::keep>("keep", "4", {0, 1000}, Effect::reload, "How many renamed files are kept."),
};
constexpr Mapping kAppLog{"apps.NAME.log", "{format: json}", kAppLogKeys, {}};

constexpr Choice kUnlimited[] = {{"unlimited", 0}};
template <int kResource>
constexpr Key limit_key(Name name, Type type, Range range, Name doc, std::span<const Choice> words = kUnlimited) {
  return {name,  type,    "", range,       Effect::workers, doc, &set_resource_limit<kResource>,
          words, nullptr, {}, "rota's own"};
}
constexpr Range kAnySize = sizes(0_B, kSizeMost);
constexpr Key kResourceKeys[] = {
    limit_key<RLIMIT_NOFILE>("nofile", Type::number, {16, 1'073'741'816},
                             "Open files. The system's most is in /proc/sys/fs/nr_open.", {}),
    limit_key<RLIMIT_NPROC>("nproc", Type::number, {1, 4'194'304},
                            "Processes and threads of the worker's user, in all."),
    limit_key<RLIMIT_CORE>("core", Type::size, kAnySize, "A core dump."),
    limit_key<RLIMIT_MEMLOCK>("memlock", Type::size, kAnySize, "Memory locked into RAM."),
    limit_key<RLIMIT_STACK>("stack", Type::size, sizes(64_KiB, kSizeMost), "The main thread's stack."),
    limit_key<RLIMIT_FSIZE>("fsize", Type::size, kAnySize, "A file that the worker writes."),
    limit_key<RLIMIT_AS>("as", Type::size, sizes(1_MiB, kSizeMost), "Address space, which is more than memory in use."),
    limit_key<RLIMIT_CPU>("cpu", Type::time, times(1s, 24h * 365),
                          "Time on a CPU, in whole seconds; then the worker is killed."),
};
constexpr Mapping kResources{"apps.NAME.limits", "{nofile: 65536}", kResourceKeys, {}};

constexpr Choice kReadies[] = {{"auto", static_cast<int>(Ready::automatic)}, {"http", static_cast<int>(Ready::http)}};
constexpr Choice kAuto[] = {{"auto", 0}};

constexpr Key kAppKeys[] = {
    spawned(other_key(
        "command", "a command such as node server.js, or a list of words",
        {.text = true, .list = true, .any_scalar = true}, "", "required, unless there are `servers`", &set_command,
        Effect::workers,
        "What a worker runs. A text is split as a shell would split it, but runs without one; a list is taken as "
        "it is. {socket} and {slot} are replaced.")),
    other_key("routes", "a route such as example.com/api, or a list of these",
              {.text = true, .pattern = "[^?#\\s]*[^?#\\s0-9][^?#\\s]*", .list = true}, "",
              "everything that no other app's routes match", &set_routes, Effect::reload,
              "Which requests the app gets: [host][:port][/path], or unix:/path of a listener."),
    spawned(path_key("directory", "the file's directory", &set_directory, Effect::workers,
                     "Where workers run; relative to the file's directory.")),
    spawned(
        other_key("env", "a mapping of names to texts", {.texts = true}, "", "none", &set_env, Effect::workers,
                  "Environment variables besides those that rota was started with. {socket} and {slot} are replaced.")),
    spawned(other_key("env_file", "a path, or a list of these", {.text = true, .list = true}, "", "none", &set_env_file,
                      Effect::workers,
                      "Files of NAME=value lines; relative to the file's directory. Of a name that is there twice the "
                      "later file wins, and `env` over all.")),
    spawned(text_key<&App::user>("user", "who started rota", Effect::workers,
                                 "The user that workers run as; only root can choose another.")),
    spawned(text_key<&App::group>("group", "the user's own", Effect::workers,
                                  "The group that workers run as; only root can choose another.")),
    spawned(other_key("umask", "octal digits such as 0007",
                      {.text = true, .pattern = "0?[0-7]{1,3}", .numbers = {0, 777}}, "0007", "", &set_umask,
                      Effect::workers,
                      "Which permissions the files that workers make do not get. The proxy connects as the workers' "
                      "group, so the group keeps the right to write.")),
    spawned(mapping_key("limits", kResources, &set_same_struct, Effect::workers,
                        "What the kernel lets a worker use (rlimits, soft and hard alike).")),
    spawned({"oom_score_adj",
             Type::number,
             "",
             {-1000, 1000},
             Effect::workers,
             "Who is killed first when memory runs out: higher is earlier. Less than rota's own needs root.",
             &set_oom_score_adj,
             {},
             nullptr,
             {},
             "rota's own"}),
    spawned({"workers",
             Type::number,
             "auto",
             {1, kWorkersMax},
             Effect::reload,
             "How many workers. auto: the CPUs this process may really use (quota and affinity).",
             &set_workers,
             kAuto}),
    spawned(
        other_key("socket", "path", {.text = true, .pattern = "path"}, "path", "", &set_socket, Effect::workers,
                  "How a worker is told where to listen. path: the path of a Unix socket in PORT and for {socket}.")),
    other_key("health", "a path such as /healthz, or a mapping", {.text = true, .pattern = "/[!-~]*"}, "", "a connect",
              &set_health, Effect::reload, "How a worker or server is checked.", &kHealth),
    {"ready",
     Type::choice,
     "auto",
     {},
     Effect::reload,
     "What proves a new worker ready. auto: the health path answers if there is one, else a connect; "
     "http: the health path answers 2xx or 3xx.",
     &set_ready,
     kReadies},
    spawned(time_key<&App::start_timeout>(
        "start_timeout", "60s", times(100ms, 24h), Effect::reload,
        "A worker that is not ready so long after its start is stopped and started anew.")),
    spawned(
        mapping_key("restart", kRestart, &set_struct<&App::restart>, Effect::reload, "How dead workers come back.")),
    spawned(mapping_key("stop", kStop, &set_struct<&App::stop>, Effect::reload, "How a worker is stopped.")),
    mapping_key("queue", kQueue, &set_struct<&App::queue>, Effect::reload, "Requests that find no ready worker."),
    mapping_key("retry", kRetry, &set_struct<&App::retry>, Effect::reload, "Requests whose worker fails them."),
    mapping_key("timeouts", kAppTimeouts, &set_struct<&App::timeouts>, Effect::reload, "How long a worker may take."),
    spawned(mapping_key("log", kAppLog, &set_struct<&App::log>, Effect::reload,
                        "What becomes of the lines that workers print.")),
    other_key("servers", "a list of \"host:port\" and unix:/path", {.list = true}, "", "none", &set_servers,
              Effect::reload, "Already running servers in place of a command: balanced and checked, not started."),
};
constexpr std::string_view kAppLater[] = {"framework",   "balance",        "sticky", "deploy", "recycle",
                                          "concurrency", "start_parallel", "tls",    "preload"};

}  // namespace

constexpr Mapping kAppTable{"apps.NAME", "{command: node server.js}", kAppKeys, kAppLater};

}  // namespace rota::config
