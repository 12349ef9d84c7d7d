// Every message and every bulk of both protocols, with something in each field.
#pragma once

#include "rota/ipc/codec.h"
#include "rota/ipc/keeper_protocol.h"
#include "rota/ipc/proxy_protocol.h"

namespace rota::ipc::test {

inline SpawnSpec full_spec() {
  SpawnSpec spec;
  spec.program = Program::self;
  spec.argv = {"node", "server.js", ""};
  spec.env = {"PATH=/bin", "EMPTY="};
  spec.change_user = true;
  spec.uid = 65534;
  spec.gid = 65533;
  spec.groups = {1, 2, 3};
  spec.umask = 0027;
  spec.limits = {{7, 1024, ~0ULL}, {4, 0, 0}};
  spec.set_oom_score_adj = true;
  spec.oom_score_adj = -900;
  spec.no_new_privileges = true;
  spec.directory = "/srv";
  return spec;
}

inline ProxyState full_state() {
  ProxyState state;
  state.version = 12;
  state.phase = ProxyPhase::draining;
  state.threads = 4;
  state.listeners = {{"web", "[::]:8080", true}, {"", "", false}};
  state.access_log = "access";
  state.header = 10s;
  state.upstream_idle = 1500ms;
  state.head = 32_KiB;
  state.connections = 100000;
  state.trusted_proxies = {{{1, 2, 3}, 24}};
  state.trusts_unix_peers = true;
  AppState app;
  app.name = "web";
  app.routes = {{"example.com", "/api", {"web"}}, {"", "/", {}}};
  app.queue_size = 100;
  app.queue_timeout = 10s;
  app.poison_after = 3;
  app.upstreams = {{9, 0, UpstreamKind::unix_path, "web/0-9.sock", 0, UpstreamPhase::ready},
                   {10, 1, UpstreamKind::tcp6, "::1", 3000, UpstreamPhase::draining}};
  state.apps = {app, AppState{}};
  return state;
}

inline InFlight full_in_flight() {
  InFlight list;
  list.total = 3;
  list.unread = 1;
  list.requests = {{"GET", "/boom", false, "4b6f", 12ms, false},
                   {"POST", std::string(kPathMax, 'x'), true, "", 3s, true}};
  return list;
}

template <class M>
M with_id(std::uint64_t id) {
  M message;
  message.id = id;
  return message;
}

// Calls visit(message) for one of each type.
template <class Visit>
void for_each_message(Visit visit) {
  visit(Hello{kProtocolVersion, 3, 4711});
  visit(with_id<Spawn>(~0ULL));
  visit(Signal{17, 9, true});
  visit(with_id<AcknowledgeExit>(5));
  visit(Bind{"web", BindKind::unix_path, "::1", 8080, false, "/run/x.sock", 0660, 4});
  visit(Bound{"web", 98, "bind", 8080});
  visit(Shelve{"lock", true});
  visit(Unshelve{"lock"});
  visit(SaveState{});
  visit(ProxyRecipe{});
  visit(ProxyStateSaved{});
  visit(Notify{"READY=1\nSTATUS=fine"});
  visit(List{});
  visit(ShutDown{78});
  visit(KillProxy{3});
  visit(LogSettings{3, 1});
  visit(Ping{1});
  visit(Pong{2});
  visit(Spawned{5, 1234});
  visit(ExecFailed{5, "chdir", 2, "/srv/app"});
  visit(Exited{5, 1234, 0x8B});
  visit(Listed{5, 1234, true, 256});
  visit(ListEnd{});
  visit(Shelved{"web", true, true, 443});
  visit(SavedState{});
  visit(Signalled{15, 2});
  visit(ProxyStarted{1234, 2});
  visit(ProxyExited{1234, 9, 50});
  visit(ProxyFd{"web", true});
  visit(ProxyFdGone{"web"});
  visit(SupervisorChannel{});
  visit(InitialState{});
  visit(ProxyHello{1, 2});
  visit(StateChanged{12});
  visit(ProxyPing{1});
  visit(ProxyPong{1});
  visit(Applied{12});
  visit(ConnectFailed{9, 111});
  visit(Drained{9});
  visit(Quiet{});
  visit(WorkerDied{9});
  visit(InFlightTold{9});
}

}  // namespace rota::ipc::test
