// What the keeper and its two roles say to each other, over one SOCK_SEQPACKET pair each (the role's end is
// kChannelFd). A message is at most kMessageMax bytes; bulk goes in a sealed memfd beside it. Views in a received
// message die with the next receive. An unknown or malformed message is a fault of ours: the keeper kills the role, a
// role aborts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/units.h"

// A struct's fields() is one line, as in a table.
// clang-format off

namespace rota::ipc {

inline constexpr std::uint32_t kProtocolVersion = 2;
inline constexpr int kChannelFd = 3;                     // in every role
inline constexpr std::size_t kMessageMax = 4096;
inline constexpr std::size_t kFdsMax = 64;               // in one message
inline constexpr std::size_t kBulkMax = 16 * 1024 * 1024;
inline constexpr std::size_t kShelfNameMax = 120;

// argv[0] of each process of ours; main() picks the role by it.
inline constexpr const char* kKeeperName = "rota: keeper";
inline constexpr const char* kSupervisorName = "rota: supervisor";
inline constexpr const char* kProxyName = "rota: proxy";
inline constexpr const char* kTrampolineName = "rota: spawn";

enum class KeeperMessage : std::uint16_t {
  // either way, first on every channel
  hello = 1,
  // supervisor -> keeper
  spawn, signal, acknowledge_exit, bind, shelve, unshelve, save_state, proxy_recipe, proxy_state, notify, list, shutdown, pong,
  kill_proxy,
  // keeper -> supervisor
  ping, spawned, exec_failed, exited, bound, listed, list_end, shelved, saved_state, signalled, proxy_started, proxy_exited,
  // keeper -> proxy
  proxy_fd, proxy_fd_gone, supervisor_channel, initial_state,
  // supervisor -> keeper
  log_settings,
};

// Both ends say it first. epoch: how many times the keeper has started this role, from 1.
struct Hello {
  static constexpr auto kType = KeeperMessage::hello;
  std::uint32_t version = kProtocolVersion;
  std::uint64_t epoch = 0;
  std::uint32_t keeper_pid = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.version); a(s.epoch); a(s.keeper_pid); }
};

// Start a worker. id: the supervisor's own, 64 bit, never reused, not 0. One fd: a memfd with a SpawnSpec.
// Answer: spawned, then perhaps exec_failed, in the end exited. When fork itself fails: exec_failed and no other.
struct Spawn {
  static constexpr auto kType = KeeperMessage::spawn;
  std::uint64_t id = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); }
};
// Send a signal to a worker (its process group when `group`). Unknown or gone ids are ignored: the exit record is on its way.
struct Signal {
  static constexpr auto kType = KeeperMessage::signal;
  std::uint64_t id = 0;
  std::int32_t number = 0;
  bool group = false;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.number); a(s.group); }
};
// The supervisor has dealt with this exit: the keeper forgets the process and closes its output pipes.
struct AcknowledgeExit {
  static constexpr auto kType = KeeperMessage::acknowledge_exit;
  std::uint64_t id = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); }
};

enum class BindKind : std::uint8_t { tcp4, tcp6, unix_path, count_ };
// Make listening sockets and keep them on the shelf under `name`; the proxy is given them. Binds plainly first (so that a
// foreign listener is noticed), then as a SO_REUSEPORT group of `sockets`. A Unix listener is one socket; a stale file is removed.
// A listener that is there already under this name is kept as it is and answered with its port.
struct Bind {
  static constexpr auto kType = KeeperMessage::bind;
  std::string_view name;
  BindKind kind = BindKind::tcp4;
  std::string_view host;            // numeric; tcp only
  std::uint16_t port = 0;           // 0: any
  bool v6only = true;               // tcp6; false: dual stack
  std::string_view path;            // unix_path
  std::uint32_t mode = 0;           // unix_path: permission bits of the file
  std::uint32_t sockets = 1;        // tcp: size of the group
  template <class A, class S> static void fields(A& a, S& s) {
    a(s.name); a(s.kind); a(s.host); a(s.port); a(s.v6only); a(s.path); a(s.mode); a(s.sockets);
  }
};
// error 0: done, and `port` is the real one. Otherwise an errno and the step ("socket", "bind", "listen") that failed.
struct Bound {
  static constexpr auto kType = KeeperMessage::bound;
  std::string_view name;
  std::int32_t error = 0;
  std::string_view step;
  std::uint16_t port = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); a(s.error); a(s.step); a(s.port); }
};

// Keep these fds (1..kFdsMax) under `name`, replacing what is there. for_proxy: each proxy is given them too.
struct Shelve {
  static constexpr auto kType = KeeperMessage::shelve;
  std::string_view name;
  bool for_proxy = false;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); a(s.for_proxy); }
};
// Close what is under `name` (a listener included; the proxy is told with proxy_fd_gone).
struct Unshelve {
  static constexpr auto kType = KeeperMessage::unshelve;
  std::string_view name;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); }
};
// Replace the supervisor's saved state. One fd: a sealed memfd whose meaning is the supervisor's alone.
struct SaveState {
  static constexpr auto kType = KeeperMessage::save_state;
  template <class A, class S> static void fields(A&, S&) {}
};
// How to start the proxy, from now on (started at once when none runs). One fd: a memfd with a SpawnSpec whose program is self.
struct ProxyRecipe {
  static constexpr auto kType = KeeperMessage::proxy_recipe;
  template <class A, class S> static void fields(A&, S&) {}
};
// The last proxy state, for a proxy that starts while no supervisor lives. One fd: a memfd with a ProxyState.
struct ProxyStateSaved {
  static constexpr auto kType = KeeperMessage::proxy_state;
  template <class A, class S> static void fields(A&, S&) {}
};
// One datagram for systemd (sd_notify(3)); dropped without NOTIFY_SOCKET.
struct Notify {
  static constexpr auto kType = KeeperMessage::notify;
  std::string_view text;
  template <class A, class S> static void fields(A& a, S& s) { a(s.text); }
};
// Tell everything you hold: listed for each process, shelved for each shelf entry, saved_state when there is one, list_end.
struct List {
  static constexpr auto kType = KeeperMessage::list;
  template <class A, class S> static void fields(A&, S&) {}
};
// End everything now (TERM to the proxy, then KILL to what is left) and exit with this code.
struct ShutDown {
  static constexpr auto kType = KeeperMessage::shutdown;
  std::int32_t exit_code = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.exit_code); }
};

// The proxy with this epoch has been silent for kSilenceMax: KILL it (its exit follows and the next one starts as after any
// crash). Ignored when that proxy is gone.
struct KillProxy {
  static constexpr auto kType = KeeperMessage::kill_proxy;
  std::uint64_t epoch = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.epoch); }
};

// How the keeper's own log lines look from now on: one log is in one format. A later supervisor says it again.
struct LogSettings {
  static constexpr auto kType = KeeperMessage::log_settings;
  std::uint8_t level = 1;   // of log::Level
  std::uint8_t format = 0;  // of log::Format
  template <class A, class S> static void fields(A& a, S& s) { a(s.level); a(s.format); }
};

// The keeper asks every kPingInterval; a supervisor silent for kSilenceMax is killed and started again.
inline constexpr Duration kPingInterval{2s};
inline constexpr Duration kSilenceMax{10s};
struct Ping {
  static constexpr auto kType = KeeperMessage::ping;
  std::uint64_t number = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.number); }
};
struct Pong {
  static constexpr auto kType = KeeperMessage::pong;
  std::uint64_t number = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.number); }
};

// The process exists. Two fds: the read ends of its stdout and stderr (the keeper keeps duplicates).
struct Spawned {
  static constexpr auto kType = KeeperMessage::spawned;
  std::uint64_t id = 0;
  std::int32_t pid = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.pid); }
};
// The trampoline (or fork) failed at `step`; detail names the thing ("/srv/app", "node"). exited follows unless pid was never told.
struct ExecFailed {
  static constexpr auto kType = KeeperMessage::exec_failed;
  std::uint64_t id = 0;
  std::string_view step;
  std::int32_t error = 0;
  std::string_view detail;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.step); a(s.error); a(s.detail); }
};
// status as wait(2) gives it. Repeated (also in listed) until acknowledged.
struct Exited {
  static constexpr auto kType = KeeperMessage::exited;
  std::uint64_t id = 0;
  std::int32_t pid = 0;
  std::int32_t status = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.pid); a(s.status); }
};
// One process the keeper knows of. Two fds as with spawned.
struct Listed {
  static constexpr auto kType = KeeperMessage::listed;
  std::uint64_t id = 0;
  std::int32_t pid = 0;
  bool exited = false;
  std::int32_t status = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.pid); a(s.exited); a(s.status); }
};
struct ListEnd {
  static constexpr auto kType = KeeperMessage::list_end;
  template <class A, class S> static void fields(A&, S&) {}
};
// One shelf entry, with duplicates of its fds.
struct Shelved {
  static constexpr auto kType = KeeperMessage::shelved;
  std::string_view name;
  bool for_proxy = false;
  bool listener = false;
  std::uint16_t port = 0;  // of a TCP listener
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); a(s.for_proxy); a(s.listener); a(s.port); }
};
// One fd: the memfd last given with save_state.
struct SavedState {
  static constexpr auto kType = KeeperMessage::saved_state;
  template <class A, class S> static void fields(A&, S&) {}
};
// The keeper received this signal (TERM, INT, QUIT, HUP, USR1, USR2) and leaves its meaning to the supervisor.
// count: how many TERM or INT so far. Those pending are told again to a new supervisor.
struct Signalled {
  static constexpr auto kType = KeeperMessage::signalled;
  std::int32_t number = 0;
  std::uint32_t count = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.number); a(s.count); }
};
// A proxy runs (just started, or found running by a new supervisor). One fd: the supervisor's end of a fresh pair with it.
struct ProxyStarted {
  static constexpr auto kType = KeeperMessage::proxy_started;
  std::int32_t pid = 0;
  std::uint64_t epoch = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.pid); a(s.epoch); }
};
// The keeper starts the next one by itself, at once and then throttled.
struct ProxyExited {
  static constexpr auto kType = KeeperMessage::proxy_exited;
  std::int32_t pid = 0;
  std::int32_t status = 0;
  std::uint32_t delay_ms = 0;  // until the next start
  template <class A, class S> static void fields(A& a, S& s) { a(s.pid); a(s.status); a(s.delay_ms); }
};

// To the proxy: fds it may use, under their shelf name; replaces what it had under it.
struct ProxyFd {
  static constexpr auto kType = KeeperMessage::proxy_fd;
  std::string_view name;
  bool listener = false;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); a(s.listener); }
};
struct ProxyFdGone {
  static constexpr auto kType = KeeperMessage::proxy_fd_gone;
  std::string_view name;
  template <class A, class S> static void fields(A& a, S& s) { a(s.name); }
};
// One fd: the proxy's end of a fresh pair with the supervisor; replaces the one before.
struct SupervisorChannel {
  static constexpr auto kType = KeeperMessage::supervisor_channel;
  template <class A, class S> static void fields(A&, S&) {}
};
// One fd: the last ProxyState, sent before supervisor_channel when the keeper has one.
struct InitialState {
  static constexpr auto kType = KeeperMessage::initial_state;
  template <class A, class S> static void fields(A&, S&) {}
};

// Bulk ---------------------------------------------------------------------------------------------------------------

enum class Program : std::uint8_t {
  command,  // argv[0], searched on the PATH of `env`
  self,     // the keeper's own binary, with argv as given: a role
  count_,
};
struct ResourceLimit {
  std::int32_t resource = 0;  // RLIMIT_*
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  template <class A, class S> static void fields(A& a, S& s) { a(s.resource); a(s.soft); a(s.hard); }
};
// Everything the trampoline sets before it executes the program, in the order it does so.
struct SpawnSpec {
  Program program = Program::command;
  std::vector<std::string> argv;
  std::vector<std::string> env;        // "NAME=value", complete: nothing is inherited
  bool change_user = false;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;   // supplementary
  std::uint32_t umask = 0007;
  std::vector<ResourceLimit> limits;
  bool set_oom_score_adj = false;
  std::int32_t oom_score_adj = 0;
  bool no_new_privileges = false;      // and every capability dropped
  std::string directory;
  template <class A, class S> static void fields(A& a, S& s) {
    a(s.program); a(s.argv); a(s.env); a(s.change_user); a(s.uid); a(s.gid); a(s.groups); a(s.umask); a(s.limits);
    a(s.set_oom_score_adj); a(s.oom_score_adj); a(s.no_new_privileges); a(s.directory);
  }
};

}  // namespace rota::ipc

// clang-format on
