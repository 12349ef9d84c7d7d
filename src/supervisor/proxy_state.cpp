// From the configuration in force and the lives of workers to what the proxy is told: everything, each time.
#include <algorithm>

#include "role.h"

namespace rota::supervisor {

namespace {

void add_limits(const config::Config& config, ipc::ProxyState& state) {
  state.header = config.timeouts.header;
  state.body = config.timeouts.body;
  state.idle = config.timeouts.idle;
  state.connect = config.timeouts.connect;
  state.write = config.timeouts.write;
  state.tunnel = config.timeouts.tunnel;
  state.upstream_idle = config.timeouts.upstream_idle;
  state.head = config.limits.head;
  state.target = config.limits.target;
  state.body_max = config.limits.body;
  state.fields_max = config.limits.fields;
  state.connections = config.limits.connections;
  state.connections_per_address = config.limits.connections_per_address;
}

std::vector<ipc::RouteState> routes_of(const config::App& app, const Listeners& listeners) {
  std::vector<ipc::RouteState> routes;
  for (const config::Route& route : app.routes) {
    ipc::RouteState state{route.host, route.path, {}};
    for (std::uint32_t index : route.listeners) {
      for (std::string& name : listeners.names_of(index)) state.listeners.push_back(std::move(name));
    }
    routes.push_back(std::move(state));
  }
  return routes;
}

}  // namespace

ipc::ProxyState Role::proxy_state() const {
  ipc::ProxyState state;
  state.phase = draining_ ? ipc::ProxyPhase::draining : ipc::ProxyPhase::serving;
  state.threads = config_.threads;
  state.listeners = listeners_.states();
  if (config_.access_log.to != config::AccessLog::To::off) state.access_log = kAccessLogName;
  state.log_level = static_cast<std::uint8_t>(config_.log_level);
  state.log_format = static_cast<std::uint8_t>(config_.log_format);
  add_limits(config_, state);
  for (const config::Network& one : config_.trusted_proxies.networks) {
    state.trusted_proxies.push_back({one.address, one.prefix});
  }
  state.trusts_unix_peers = config_.trusted_proxies.unix_peers;
  for (const auto& app : apps_) {
    state.apps.push_back(app->state());
    // An app that leaves still answers what it has, and gets nothing more: no socket has this name.
    auto& routes = state.apps.back().routes;
    routes = app->removed() ? std::vector<ipc::RouteState>{{"", "/", {"none"}}} : routes_of(app->config(), listeners_);
  }
  return state;
}

}  // namespace rota::supervisor
