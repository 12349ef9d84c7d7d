#include "rota/supervisor/listeners.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "rota/base/log.h"

namespace rota::supervisor {

namespace {

constexpr std::uint32_t kUnixListenerMode = 0666;  // as reachable as a TCP port; its directory may say otherwise
constexpr std::uint16_t kPrivilegedPorts = 1024;

bool is_numeric_v6(const std::string& host) { return host.find(':') != std::string::npos; }

// From the address alone, so that it means the same socket after a reload; ports left to the kernel are numbered.
std::string shelf_name(const Listener& one, const std::vector<Listener>& before) {
  std::string name = "listen/" + text_of(one);
  name.resize(std::min(name.size(), ipc::kShelfNameMax));
  if (one.port != 0 || one.kind == ipc::BindKind::unix_path) return name;
  auto same = std::count_if(before.begin(), before.end(),
                            [&](const Listener& other) { return other.name.substr(0, other.name.rfind('/')) == name; });
  return fmt::format("{}/{}", name, same);
}

// One socket cannot both want a header and take connections without one.
StartFailure explain_contradiction(const Listener& one, const Listener& other) {
  return {ExitCode::configuration,
          fmt::format("cannot listen on {} and on {}: they are one address ({}), with proxy_protocol and without; name "
                      "it once, or the same with both",
                      one.address.text(), other.address.text(), text_of(one))};
}

bool may_be_absent(int error) { return error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == EPROTONOSUPPORT; }

}  // namespace

PlannedListeners plan_listeners(const std::vector<config::Listener>& wanted, const ResolvedNames& names) {
  PlannedListeners plan;
  std::uint32_t index = 0;
  auto add = [&](const config::Address& address, ipc::BindKind kind, std::string host, bool v6only, bool optional) {
    Listener one;
    one.address = address;
    one.kind = kind;
    one.host = std::move(host);
    one.port = address.port;
    one.v6only = v6only;
    one.optional = optional;
    one.proxy_protocol = wanted[index].proxy_protocol;
    one.configured = {index};
    // Two names for one address ("127.0.0.1:80, localhost:80"): one socket serves both. Port 0 is a new one each time.
    auto known = std::find_if(plan.listeners.begin(), plan.listeners.end(), [&](const Listener& other) {
      return other.kind == one.kind && other.host == one.host && other.port == one.port && one.port != 0;
    });
    if (known != plan.listeners.end()) {
      if (known->proxy_protocol != one.proxy_protocol && !plan.failure)
        plan.failure = explain_contradiction(*known, one);
      return known->configured.push_back(index);
    }
    one.name = shelf_name(one, plan.listeners);
    plan.listeners.push_back(std::move(one));
  };
  for (; index < wanted.size(); index++) {
    const config::Address& address = wanted[index].address;
    if (address.kind == config::Address::Kind::unix_path) {
      add(address, ipc::BindKind::unix_path, {}, true, false);
      continue;
    }
    if (address.host.empty()) {
      add(address, ipc::BindKind::tcp6, "::", false, false);  // where there is no IPv6: see on_bound
      continue;
    }
    Resolved resolved = names.at(address.host);
    if (resolved.hosts.empty()) {
      plan.failure =
          StartFailure{ExitCode::cannot_create,
                       fmt::format("cannot listen on {}: the name {} has no address ({}); check the name, or write "
                                   "the address in numbers",
                                   address.text(), address.host, resolved.error)};
      return plan;
    }
    if (address.port == 0) resolved.hosts.resize(1);  // "any port" is one port
    for (const std::string& host : resolved.hosts) {
      add(address, is_numeric_v6(host) ? ipc::BindKind::tcp6 : ipc::BindKind::tcp4, host, true,
          resolved.hosts.size() > 1);
    }
  }
  return plan;
}

std::string text_of(const Listener& listener) {
  config::Address address = listener.address;
  address.port = listener.port;
  if (address.kind == config::Address::Kind::tcp && !address.host.empty()) address.host = listener.host;
  return address.text();
}

StartFailure explain_bind(const Listener& listener, int error, const std::string& step) {
  std::string where = text_of(listener);
  bool tcp = listener.kind != ipc::BindKind::unix_path;
  switch (error) {
    case EADDRINUSE:
      return {
          ExitCode::cannot_create,
          fmt::format(
              "cannot listen on {}: it is in use by another program; stop that one ({}), or choose another address "
              "with --listen or listen",
              where,
              tcp ? fmt::format("ss -ltnp 'sport = :{}' shows it", listener.port) : fmt::format("ss -lxp shows it"))};
    case EACCES:
    case EPERM:
      if (tcp && listener.port < kPrivilegedPorts) {
        return {ExitCode::not_permitted,
                fmt::format(
                    "cannot listen on {}: ports below {} need a privilege; use a port from {} on, or give it with "
                    "AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or setcap cap_net_bind_service=+ep "
                    "on the rota binary, or start as root",
                    where, kPrivilegedPorts, kPrivilegedPorts)};
      }
      return {
          ExitCode::not_permitted,
          fmt::format("cannot listen on {}: {}; {}", where, std::strerror(error),
                      tcp ? "a security policy forbids it to this user"
                          : "this user may not make files in that directory; choose another path or change its owner")};
    case EADDRNOTAVAIL:
      return {ExitCode::cannot_create,
              fmt::format("cannot listen on {}: this machine has no such address (ip address shows "
                          "those it has); use one of them, or only a port for all of them",
                          where)};
    case EAFNOSUPPORT:
      return {ExitCode::cannot_create,
              fmt::format("cannot listen on {}: this system has no {}; use another address", where,
                          listener.kind == ipc::BindKind::tcp6 ? "IPv6" : "such protocol")};
    case ENOENT:
      return {ExitCode::cannot_create,
              fmt::format("cannot listen on {}: its directory does not exist; make it, or choose another path", where)};
    default:
      return {ExitCode::cannot_create, fmt::format("cannot listen on {}: {}: {}", where, step, std::strerror(error))};
  }
}

void Listeners::found(const ipc::Shelved& shelved) { held_[std::string(shelved.name)] = shelved.port; }

void Listeners::prepare(std::vector<Listener> planned, std::uint32_t threads, bool bind_missing) {
  plan_ = Plan{std::move(planned), threads, bind_missing, 0, {}, {}};
  plan_->waiting = 1;  // until all have been asked for
  for (Listener& one : plan_->listeners) {
    if (auto held = held_.find(one.name); held != held_.end()) {
      one.bound = true;
      if (held->second != 0) one.port = held->second;
    } else if (bind_missing) {
      plan_->waiting++;
      bind(one);
    }
  }
  if (--plan_->waiting == 0) finish();
}

void Listeners::bind(const Listener& planned) {
  ipc::Bind message;
  message.name = planned.name;
  message.kind = planned.kind;
  message.host = planned.host;
  message.port = planned.port;
  message.v6only = planned.v6only;
  message.path = planned.address.path;
  message.mode = kUnixListenerMode;
  message.sockets = planned.kind == ipc::BindKind::unix_path ? 1 : plan_->threads;
  keeper_.bind(message);
}

void Listeners::on_bound(const ipc::Bound& bound) {
  std::string name(bound.name);
  if (bound.error == 0) held_[name] = bound.port;
  if (!plan_) {  // given up meanwhile
    if (bound.error == 0) unshelve(name);
    return;
  }
  auto one =
      std::find_if(plan_->listeners.begin(), plan_->listeners.end(), [&](const Listener& l) { return l.name == name; });
  if (one == plan_->listeners.end() || plan_->waiting == 0) return;
  if (bound.error == 0) {
    one->bound = true;
    if (bound.port != 0) one->port = bound.port;
    plan_->fresh.insert(name);
  } else if (one->address.host.empty() && one->kind == ipc::BindKind::tcp6 && may_be_absent(bound.error)) {
    one->kind = ipc::BindKind::tcp4;  // a kernel without IPv6: all addresses are the IPv4 ones
    one->host = "0.0.0.0";
    bind(*one);
    return;
  } else if (!(one->optional && may_be_absent(bound.error)) && !plan_->failure) {
    plan_->failure = explain_bind(*one, bound.error, std::string(bound.step));
  }
  if (--plan_->waiting == 0) finish();
}

void Listeners::finish() {
  const auto& all = plan_->listeners;
  for (const Listener& one : all) {
    bool served =
        std::any_of(all.begin(), all.end(), [&](const Listener& l) { return l.bound && l.address == one.address; });
    if (!served && plan_->bind_missing && !plan_->failure) plan_->failure = explain_bind(one, EADDRNOTAVAIL, "bind");
  }
  if (plan_->failure) {
    StartFailure failure = *plan_->failure;
    abandon();
    listener_.on_listeners_failed(failure);
    return;
  }
  listener_.on_listeners_ready();
}

void Listeners::abandon() {
  if (!plan_) return;
  for (const std::string& name : plan_->fresh) unshelve(name);
  plan_.reset();
}

void Listeners::commit(bool nobody_told) {
  Plan plan = std::move(*plan_);
  plan_.reset();
  std::set<std::string> wanted;
  for (const Listener& one : plan.listeners) wanted.insert(one.name);
  std::vector<std::string> gone;
  for (const auto& [name, port] : held_) {
    if (!wanted.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) unshelve(name);
  for (const Listener& one : all_) {
    if (one.bound && !wanted.contains(one.name)) log::info("no longer listening on {}", text_of(one));
  }
  all_ = std::move(plan.listeners);
  for (const Listener& one : all_) {
    if (!one.bound) continue;
    bool is_news = nobody_told || plan.fresh.contains(one.name);
    log::at(is_news ? log::Level::info : log::Level::debug, "listening on {}", text_of(one));
  }
}

void Listeners::close_all() {
  abandon();
  for (Listener& one : all_) {
    if (one.bound) unshelve(one.name);
    one.bound = false;
  }
}

void Listeners::unshelve(const std::string& name) {
  std::string copy = name;  // it may be the key that goes
  held_.erase(copy);
  keeper_.unshelve(copy);
}

std::vector<ipc::ListenerState> Listeners::states() const {
  std::vector<ipc::ListenerState> states;
  for (const Listener& one : all_) {
    if (one.bound) states.push_back({one.name, text_of(one), one.proxy_protocol});
  }
  return states;
}

// Closed ones too: a route to one listener must never become a route to all.
std::vector<std::string> Listeners::names_of(std::uint32_t configured) const {
  std::vector<std::string> names;
  for (const Listener& one : all_) {
    if (std::find(one.configured.begin(), one.configured.end(), configured) != one.configured.end()) {
      names.push_back(one.name);
    }
  }
  return names;
}

std::string Listeners::summary() const {
  std::string text;
  for (const Listener& one : all_) {
    if (!one.bound) continue;
    if (!text.empty()) text += ", ";
    text += text_of(one);
  }
  return text;
}

}  // namespace rota::supervisor
