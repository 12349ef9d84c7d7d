// The file's top level, and the mappings in it but for the apps. With table_app.cpp THE table: the parser works by it,
// all_keys() publishes it, docs/CONFIG.md and conf/rota.yaml are tested against it, the JSON Schema is made of it.
//
// Each default stands twice, here as text and in config.h as a value: a test reads every text and compares.
#include "table.h"

#include "rota/config/config.h"
#include "rows.h"

namespace rota::config {

namespace {

constexpr Key kListenerKeys[] = {
    other_key("address", "a port, \"host:port\" or unix:/path", {.text = true, .numbers = {0, 65535}}, "", "required",
              &set_listener_address, Effect::reload, "Where clients connect, as in the short form."),
    {"proxy_protocol",
     Type::boolean,
     "false",
     {},
     Effect::reload,
     "Every connection begins with a PROXY protocol header (version 1 or 2), which names the client. Needs "
     "`trusted_proxies`: refused from peers that are not trusted.",
     &set_boolean<&Listener::proxy_protocol>},
};
constexpr std::string_view kListenerLater[] = {"tls"};
constexpr Mapping kListener{"listen", "{address: 8080}", kListenerKeys, kListenerLater};

constexpr Key kTimeoutKeys[] = {
    time_key<&Timeouts::header>("header", "10s", kWait, Effect::reload,
                                "A whole request head, from the connection's or the head's first byte; then 408."),
    time_key<&Timeouts::body>(
        "body", "30s", kWait, Effect::reload,
        "In each such time at least 256 bytes of a request body must come, or its end; then 408."),
    time_key<&Timeouts::idle>("idle", "75s", kWait, Effect::reload, "A client connection between two requests."),
    time_key<&Timeouts::connect>("connect", "5s", kWait, Effect::reload, "To connect to a worker or server."),
    time_key<&Timeouts::write>(
        "write", "30s", kWait, Effect::reload,
        "In each such time a client must take at least 256 bytes of its response, or be cut off."),
    time_key<&Timeouts::tunnel>("tunnel", "1h", kWait, Effect::reload,
                                "An upgraded connection (WebSocket) without a byte either way."),
    time_key<&Timeouts::upstream_idle>(
        "upstream_idle", "1.5s", kWait, Effect::reload,
        "A pooled connection to a worker without use, unless the worker announces less."),
};
constexpr Mapping kTimeouts{"timeouts", "{header: 10s}", kTimeoutKeys, {}};

constexpr Key kLimitKeys[] = {
    size_key<&Limits::head>("head", "32KiB", sizes(1_KiB, 64_KiB), Effect::reload,
                            "A request head: start line and fields; then 431."),
    number_key<&Limits::fields>("fields", "100", {1, 1000}, Effect::reload, "Fields of a request head; then 431."),
    size_key<&Limits::target>("target", "8KiB", sizes(64_B, 64_KiB), Effect::reload,
                              "The request target (path and query); then 414. At most `head`."),
    size_key<&Limits::body>("body", "0", sizes(0_B, kSizeMost), Effect::reload,
                            "A request body; then 413. 0: unlimited."),
    number_key<&Limits::connections>("connections", "0", {0, 1'000'000}, Effect::reload,
                                     "Client connections at a time. 0: as many as the file descriptor limit allows."),
    number_key<&Limits::connections_per_address>(
        "connections_per_address", "0", {0, 1'000'000}, Effect::reload,
        "Of them, connections of one client address (of IPv6 the first 64 bits). 0: no limit of its own."),
};
constexpr Mapping kLimits{"limits", "{body: 10MiB}", kLimitKeys, {}};

constexpr Choice kLevels[] = {{"debug", static_cast<int>(log::Level::debug)},
                              {"info", static_cast<int>(log::Level::info)},
                              {"warning", static_cast<int>(log::Level::warning)},
                              {"error", static_cast<int>(log::Level::error)}};
constexpr Choice kFormats[] = {{"text", static_cast<int>(log::Format::text)},
                               {"json", static_cast<int>(log::Format::json)}};
constexpr Key kLogKeys[] = {
    choice_key<&Config::log_level>("level", "info", kLevels, Effect::reload,
                                   "The least severe of rota's own log lines."),
    choice_key<&Config::log_format>("format", "text", kFormats, Effect::reload,
                                    "Lines for people, or one JSON object per line."),
};
constexpr Mapping kLog{"log", "{level: info}", kLogKeys, {}};

constexpr Key kShutdownKeys[] = {
    time_key<&Shutdown::delay>("delay", "0s", times(0ms, 1h), Effect::reload,
                               "Goes on accepting so long after TERM, until a balancer in front has noticed."),
    time_key<&Shutdown::timeout>("timeout", "25s", times(100ms, 24h), Effect::reload,
                                 "From TERM to the end of everything, `delay` included; what is left is killed."),
};
constexpr Mapping kShutdown{"shutdown", "{timeout: 25s}", kShutdownKeys, {}};

constexpr Choice kBoots[] = {{"wait", static_cast<int>(Boot::wait)}, {"fail", static_cast<int>(Boot::fail)}};

constexpr Key kFileKeys[] = {
    other_key("listen",
              "a port, \"host:port\", \"*:port\", \"[address]:port\" or unix:/path, a mapping, or a list of these",
              {.text = true, .numbers = {0, 65535}, .list = true}, "127.0.0.1:8080", "", &set_listen, Effect::reload,
              "Where clients connect. A port alone: all addresses, IPv4 and IPv6. Port 0: any free one, which the log "
              "names.",
              &kListener),
    other_key(
        "trusted_proxies", "an address, a network or unix, or a list of these",
        {.text = true, .list = true, .may_be_empty = true}, "[]", "", &set_trusted_proxies, Effect::reload,
        "Peers whose word about the client's address is taken (Forwarded, X-Forwarded-For, PROXY protocol). unix: "
        "whoever connects to a Unix listener."),
    number_key<&Config::threads>("threads", "1", {1, kThreadsMax}, Effect::upgrade, "Event loops of the proxy."),
    path_key("runtime_dir", "$RUNTIME_DIRECTORY, else /run/rota (root), $XDG_RUNTIME_DIR/rota or /tmp/rota-UID",
             &set_runtime_dir, Effect::upgrade,
             "Where the workers' sockets and rota's lock are. Absolute; made if it is missing."),
    text_key<&Config::user>("user", "nobody (root), else who started rota", Effect::upgrade,
                            "The user of the proxy; only root can choose another."),
    mapping_key("timeouts", kTimeouts, &set_struct<&Config::timeouts>, Effect::reload,
                "How long clients and connections may take."),
    mapping_key("limits", kLimits, &set_struct<&Config::limits>, Effect::reload, "How much a client may send."),
    other_key("access_log", "off, stdout or a path", {.text = true, .pattern = "off|stdout|.*/.*[^/]"}, "off", "",
              &set_access_log, Effect::reload,
              "One JSON line per request. A path needs a \"/\" and is relative to the file's directory."),
    mapping_key("log", kLog, &set_same_struct, Effect::reload, "rota's own log, on stderr."),
    mapping_key("shutdown", kShutdown, &set_struct<&Config::shutdown>, Effect::reload, "What happens after TERM."),
    choice_key<&Config::boot>(
        "boot", "wait", kBoots, Effect::upgrade,
        "When no app becomes ready at the start. wait: answer 503 and keep trying; fail: exit 69."),
    mapping_key("apps", kAppTable, &set_apps, Effect::reload,
                "What is run: a name for each app, and its settings below."),
};
constexpr std::string_view kFileLater[] = {"control", "services", "tls"};
constexpr Mapping kFile{"", "listen: 8080", kFileKeys, kFileLater};

}  // namespace

const Mapping& file_table() { return kFile; }

}  // namespace rota::config
