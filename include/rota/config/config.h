// The configuration as plain values with their defaults: what the rest of rota sees of the file.
// Knows nothing of YAML. Semantics, units and limits of each key: docs/CONFIG.md.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rota/base/log.h"
#include "rota/base/units.h"

namespace rota::config {

// Where a client may connect, or where a server listens.
struct Address {
  enum class Kind { tcp, unix_path };
  Kind kind = Kind::tcp;
  std::string host;          // tcp: a numeric address or a name; empty: all addresses, dual stack
  std::uint16_t port = 0;    // tcp: 0 means "any free port" and is allowed for listeners only
  std::string path;          // unix_path: absolute, at most kSocketPathMax bytes
  std::string text() const;  // "127.0.0.1:8080", "[::1]:80", "*:8080", "unix:/run/x.sock"
  bool operator==(const Address&) const = default;
};
inline constexpr std::size_t kSocketPathMax = 107;  // sockaddr_un::sun_path less its NUL

// A place to listen at, with its options.
struct Listener {
  Address address;
  bool proxy_protocol = false;  // every connection begins with a PROXY protocol header, from trusted_proxies only
  bool operator==(const Listener&) const = default;
};

// Addresses with a common beginning. IPv4 is written as IPv6 (::ffff:a.b.c.d, the prefix 96 longer).
struct Network {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t prefix = 128;
  bool operator==(const Network&) const = default;
};
// Peers whose word about the client's address is taken.
struct TrustedProxies {
  std::vector<Network> networks;
  bool unix_peers = false;  // whoever connects to a Unix listener
  bool operator==(const TrustedProxies&) const = default;
};

struct Timeouts {
  Duration header{10s};          // the whole request head, from its first byte (and from accept to the first byte)
  Duration body{30s};            // without progress of a request body
  Duration idle{75s};            // a client connection between requests
  Duration connect{5s};          // to a worker
  Duration write{30s};           // a client that takes no bytes
  Duration tunnel{1h};           // an upgraded connection (WebSocket) without a byte either way
  Duration upstream_idle{1500};  // a pooled worker connection, unless the worker announces less
  bool operator==(const Timeouts&) const = default;
};

struct Limits {
  Bytes head{32_KiB};  // request head: start line and fields
  std::uint32_t fields = 100;
  Bytes target{8_KiB};
  Bytes body{0};                              // 0: unlimited
  std::uint32_t connections = 0;              // client connections in all; 0: from the file descriptor limit
  std::uint32_t connections_per_address = 0;  // of one client address (IPv6: /64); 0: no limit of its own
  bool operator==(const Limits&) const = default;
};

struct AccessLog {
  enum class To { off, standard_output, file };
  To to = To::off;
  std::string path;  // file: absolute
  bool operator==(const AccessLog&) const = default;
};

struct Shutdown {
  Duration delay{0};      // goes on accepting so long after TERM
  Duration timeout{25s};  // from TERM to the end of everything
  bool operator==(const Shutdown&) const = default;

  // How the timeout is shared out: the keeper and the exits that come last, before them the workers' grace, and all
  // that is left for clients.
  Duration for_exits() const { return std::min(Duration{1000}, timeout / 10); }
  Duration for_workers(Duration longest_grace) const { return std::min(longest_grace, timeout / 2); }
  Duration for_clients(Duration longest_grace) const { return timeout - for_exits() - for_workers(longest_grace); }
};

// What a first start without any ready worker means.
enum class Boot {
  wait,  // serve 503 and go on trying (a file's default)
  fail,  // exit 69 (`rota run -- COMMAND`)
};

struct Health {
  std::string path;  // empty: a connect is the check
  Duration interval{5s};
  Duration timeout{2s};
  std::uint32_t unhealthy_after = 3;
  std::uint32_t healthy_after = 1;
  Duration repair_after{60s};  // 0: never
  bool operator==(const Health&) const = default;
};

enum class Ready {
  automatic,  // the health path answers if there is one, else a connect
  http,       // the health path answers 2xx or 3xx
};

struct Restart {
  Duration delay{250};
  Duration max_delay{30s};
  Duration stable_after{60s};
  bool operator==(const Restart&) const = default;
};

struct Stop {
  Duration drain{30s};
  int signal = 15;  // a signal number
  Duration grace{10s};
  bool operator==(const Stop&) const = default;
};

struct Queue {
  std::uint32_t size = 100;  // requests that wait for an upstream, per app and proxy loop
  Duration timeout{10s};
  bool operator==(const Queue&) const = default;
};

struct Retry {
  std::uint32_t attempts = 1;      // further tries of a request that a worker may have read (GET, HEAD, OPTIONS only)
  std::uint32_t poison_after = 0;  // deaths in a row at which a request was in flight, until it is refused; 0: never
  bool operator==(const Retry&) const = default;
};

struct AppTimeouts {
  Duration response{60s};  // to the first byte of the response
  Duration idle{60s};      // between two bytes of it
  bool operator==(const AppTimeouts&) const = default;
};

// Which requests an app gets. Of several that match, the one that names a listener comes first, then the one with the
// longer host (an exact one before a wildcard), then the one with the longer path.
struct Route {
  std::string host;  // lower case, without port; "*.example.com": any name below it; empty: every host
  std::string path;  // a prefix of whole segments: "/api" is "/api" and "/api/x", not "/apix"; "/": every path
  std::vector<std::uint32_t> listeners;  // indexes into Config::listen; empty: all
  std::string text;                      // as written, for messages
  bool operator==(const Route&) const = default;
};

// What becomes of the lines that workers print.
struct AppLog {
  enum class Format { text, json, passthrough };  // passthrough: the bytes as they came
  Format format = Format::text;
  std::string file;        // absolute; empty: rota's stderr
  Bytes max_size{64_MiB};  // of the file, which is then renamed to FILE.1 and begun anew; 0: never
  std::uint32_t keep = 4;  // renamed files
  bool operator==(const AppLog&) const = default;
};

// An rlimit of workers, soft and hard alike.
struct ResourceLimit {
  int resource = 0;  // RLIMIT_*
  std::uint64_t value = 0;
  static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
  bool operator==(const ResourceLimit&) const = default;
};

// Where in the file something stands; line 0: not from a file.
struct Place {
  int line = 0;    // from 1
  int column = 0;  // from 1
  bool operator==(const Place&) const = default;
};

// An app has a command (rota spawns its workers) or servers (already running), never both.
struct App {
  std::string name;  // [a-z0-9][a-z0-9_-]{0,31}
  Place place;
  std::vector<std::string> command;  // may contain {socket} and {slot}
  std::string directory;             // absolute; the file's own directory by default
  std::vector<Route> routes;         // none: everything that no other app's routes match
  std::string user;                  // empty: who started rota
  std::string group;                 // empty: the user's own
  std::uint32_t umask = 0007;
  std::vector<ResourceLimit> limits;
  std::optional<int> oom_score_adj;
  std::vector<std::pair<std::string, std::string>> env;  // env_file's first, then env's own
  std::uint32_t workers = 0;                             // resolved: at least 1 when there is a command
  bool workers_auto = true;                              // it said `auto` or nothing
  Health health;
  Ready ready = Ready::automatic;
  Duration start_timeout{60s};
  Restart restart;
  Stop stop;
  Queue queue;
  Retry retry;
  AppTimeouts timeouts;
  AppLog log;
  std::vector<Address> servers;
  bool operator==(const App&) const = default;
};
inline constexpr std::uint32_t kWorkersMax = 1024;  // of all apps together

struct Config {
  std::string file;  // as given, for messages; empty without one
  std::vector<Listener> listen;
  std::uint32_t threads = 1;  // proxy loops
  std::string runtime_dir;    // absolute
  std::string user;           // of the proxy; empty: nobody when started as root
  Timeouts timeouts;
  Limits limits;
  AccessLog access_log;
  TrustedProxies trusted_proxies;
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
  Shutdown shutdown;
  Boot boot = Boot::wait;
  std::vector<App> apps;
  bool operator==(const Config&) const = default;
};
inline constexpr std::uint32_t kThreadsMax = 64;

}  // namespace rota::config
