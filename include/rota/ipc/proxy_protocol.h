// What the supervisor and the proxy say to each other, over a SOCK_SEQPACKET pair the keeper made for them.
// The supervisor always sends the whole declarative state; the proxy applies the difference and answers with its
// version.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "rota/base/units.h"
#include "rota/ipc/keeper_protocol.h"

// A struct's fields() is one line, as in a table.
// clang-format off

namespace rota::ipc {

enum class ProxyMessage : std::uint16_t {
  hello = 0x100,  // either way, first: ProxyHello
  // supervisor -> proxy
  state, ping,
  // proxy -> supervisor
  applied, connect_failed, drained, quiet, pong,
  worker_died,  // supervisor -> proxy
  in_flight,    // proxy -> supervisor
};

struct ProxyHello {
  static constexpr auto kType = ProxyMessage::hello;
  std::uint32_t version = kProtocolVersion;
  std::uint64_t epoch = 0;  // the sender's own, from the keeper's hello
  template <class A, class S> static void fields(A& a, S& s) { a(s.version); a(s.epoch); }
};
// One fd: a sealed memfd with a ProxyState. Versions grow by any step; an older one is ignored.
struct StateChanged {
  static constexpr auto kType = ProxyMessage::state;
  std::uint64_t version = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.version); }
};
// Every loop of the proxy answers through pong; a proxy silent for kSilenceMax is killed.
struct ProxyPing {
  static constexpr auto kType = ProxyMessage::ping;
  std::uint64_t number = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.number); }
};
struct ProxyPong {
  static constexpr auto kType = ProxyMessage::pong;
  std::uint64_t number = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.number); }
};
// All loops use this version now.
struct Applied {
  static constexpr auto kType = ProxyMessage::applied;
  std::uint64_t version = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.version); }
};
// A connect to this upstream failed for good (refused, no such file): it is out of rotation in this proxy until a newer
// state says something of it. At most one per upstream and state version.
struct ConnectFailed {
  static constexpr auto kType = ProxyMessage::connect_failed;
  std::uint64_t upstream = 0;
  std::int32_t error = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.upstream); a(s.error); }
};
// A draining upstream has nothing in flight and no pooled connection in any loop.
struct Drained {
  static constexpr auto kType = ProxyMessage::drained;
  std::uint64_t upstream = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.upstream); }
};
// Phase draining: the last client connection is gone.
struct Quiet {
  static constexpr auto kType = ProxyMessage::quiet;
  template <class A, class S> static void fields(A&, S&) {}
};
// This worker has died and nobody had asked it to: what was in flight on it? Sent before the state that leaves it out;
// answered once, with in_flight.
struct WorkerDied {
  static constexpr auto kType = ProxyMessage::worker_died;
  std::uint64_t upstream = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.upstream); }
};
// One fd: a sealed memfd with an InFlight, of all loops together.
struct InFlightTold {
  static constexpr auto kType = ProxyMessage::in_flight;
  std::uint64_t upstream = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.upstream); }
};

// Bulk ---------------------------------------------------------------------------------------------------------------

enum class UpstreamPhase : std::uint8_t {
  waiting,   // known, takes nothing (starting, unhealthy)
  ready,     // in rotation
  draining,  // finishes what is in flight, then drained is sent
  count_,
};
enum class UpstreamKind : std::uint8_t { unix_path, tcp4, tcp6, count_ };

struct UpstreamState {
  std::uint64_t id = 0;        // of the worker's spawn, or of the server: never reused
  std::uint32_t slot = 0;
  UpstreamKind kind = UpstreamKind::unix_path;
  std::string address;         // unix_path: relative to the proxy's directory (the runtime directory) or absolute; tcp: numeric
  std::uint16_t port = 0;
  UpstreamPhase phase = UpstreamPhase::waiting;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.slot); a(s.kind); a(s.address); a(s.port); a(s.phase); }
};
// See config::Route.
struct RouteState {
  std::string host;                    // lower case; "*.example.com"; empty: every one
  std::string path;                    // "/api", "/"
  std::vector<std::string> listeners;  // shelf names; empty: all
  template <class A, class S> static void fields(A& a, S& s) { a(s.host); a(s.path); a(s.listeners); }
};
struct AppState {
  std::string name;
  std::vector<RouteState> routes;      // none: whatever no other app's routes match
  std::uint32_t queue_size = 0;
  Duration queue_timeout{};
  std::uint32_t retry_attempts = 0;
  std::uint32_t poison_after = 0;
  Duration response_timeout{};
  Duration idle_timeout{};
  std::vector<UpstreamState> upstreams;  // by slot: the order of the round
  template <class A, class S> static void fields(A& a, S& s) {
    a(s.name); a(s.routes); a(s.queue_size); a(s.queue_timeout); a(s.retry_attempts); a(s.poison_after); a(s.response_timeout); a(s.idle_timeout); a(s.upstreams);
  }
};
struct ListenerState {
  std::string name;  // on the keeper's shelf; the fds come from there, before or after this state
  std::string text;  // for the log
  bool proxy_protocol = false;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); a(s.text); a(s.proxy_protocol); }
};
// See config::Network.
struct NetworkState {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t prefix = 128;
  template <class A, class S> static void fields(A& a, S& s) { for (auto& byte : s.address) a(byte); a(s.prefix); }
};
enum class ProxyPhase : std::uint8_t {
  serving,
  draining,  // takes what is in the backlog, then no more; answers with Connection: close; says quiet at the end
  count_,
};
struct ProxyState {
  std::uint64_t version = 0;
  ProxyPhase phase = ProxyPhase::serving;
  std::uint32_t threads = 1;       // read at the proxy's start only
  std::vector<ListenerState> listeners;
  std::string access_log;          // shelf name, empty: off
  std::uint8_t log_level = 1;      // of log::Level
  std::uint8_t log_format = 0;     // of log::Format
  // timeouts
  Duration header{}, body{}, idle{}, connect{}, write{}, tunnel{}, upstream_idle{};
  // limits
  Bytes head{}, target{}, body_max{};
  std::uint32_t fields_max = 0;
  std::uint32_t connections = 0;
  std::uint32_t connections_per_address = 0;
  // whose word about the client is taken
  std::vector<NetworkState> trusted_proxies;
  bool trusts_unix_peers = false;
  std::vector<AppState> apps;
  template <class A, class S> static void fields(A& a, S& s) {
    a(s.version); a(s.phase); a(s.threads); a(s.listeners); a(s.access_log); a(s.log_level); a(s.log_format);
    a(s.header); a(s.body); a(s.idle); a(s.connect); a(s.write); a(s.tunnel); a(s.upstream_idle);
    a(s.head); a(s.target); a(s.body_max); a(s.fields_max); a(s.connections); a(s.connections_per_address);
    a(s.trusted_proxies); a(s.trusts_unix_peers); a(s.apps);
  }
};

// Of what was in flight, these are told; the rest is counted.
inline constexpr std::size_t kInFlightMax = 32;
inline constexpr std::size_t kMethodMax = 32;      // bytes; each is cut
inline constexpr std::size_t kPathMax = 200;
inline constexpr std::size_t kRequestIdMax = 128;
inline constexpr std::size_t kInFlightBytesMax = 64 * 1024;  // of the bulk
static_assert(kInFlightMax * (kMethodMax + kPathMax + kRequestIdMax + 64) + 64 <= kInFlightBytesMax);

// As the client sent it: to be escaped before it is shown.
struct RequestInFlight {
  std::string method;
  std::string path;        // without the query, which may hold secrets
  bool path_cut = false;
  std::string request_id;  // X-Request-ID, as the worker got it
  Duration age{};          // since its head had come
  bool answered = false;   // its response had begun
  template <class A, class S> static void fields(A& a, S& s) {
    a(s.method); a(s.path); a(s.path_cut); a(s.request_id); a(s.age); a(s.answered);
  }
  bool operator==(const RequestInFlight&) const = default;
};
struct InFlight {
  std::uint32_t total = 0;   // that the worker may have read
  std::uint32_t unread = 0;  // that it certainly had not; they are not among `requests`
  std::vector<RequestInFlight> requests;  // the oldest first
  template <class A, class S> static void fields(A& a, S& s) { a(s.total); a(s.unread); a(s.requests); }
  // Within the limits above: what one role may believe of the other.
  bool is_sound() const {
    if (requests.size() > kInFlightMax || requests.size() > total) return false;
    for (const RequestInFlight& one : requests) {
      if (one.method.size() > kMethodMax || one.path.size() > kPathMax || one.request_id.size() > kRequestIdMax) return false;
    }
    return true;
  }
  bool operator==(const InFlight&) const = default;
};

}  // namespace rota::ipc

// clang-format on
