#include "rota/supervisor/server_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "rota/base/log.h"

namespace rota::supervisor {

namespace {

using Kind = config::Address::Kind;

bool is_numeric(const config::Address& address) { return sys::tcp_address(address.host, address.port).has_value(); }
bool is_name(const config::Address& address) { return address.kind == Kind::tcp && !is_numeric(address); }

}  // namespace

ServerSet::ServerSet(const Surface& surface, std::string app, const SavedApp* earlier, ServerSetListener& listener)
    : surface_(surface), app_(std::move(app)), listener_(listener) {
  if (earlier == nullptr) return;
  known_ids_ = earlier->servers;
  known_addresses_ = earlier->names;
}

void ServerSet::configure(std::shared_ptr<const config::App> config) {
  config_ = std::move(config);
  follow_names();
  for (auto& server : servers_) server->configure(*config_);
  update();
}

void ServerSet::start() {
  started_ = true;
  for (auto& name : names_) name->start();
}

void ServerSet::follow_names() {
  std::vector<std::unique_ptr<FollowedName>> before = std::move(names_);
  names_.clear();
  for (const config::Address& address : config_->servers) {
    if (!is_name(address)) continue;
    auto is_it = [&](const auto& name) { return name && name->host() == address.host; };
    if (std::any_of(names_.begin(), names_.end(), is_it)) continue;
    auto old = std::find_if(before.begin(), before.end(), is_it);
    if (old != before.end()) {
      names_.push_back(std::move(*old));
      continue;
    }
    std::vector<std::string> known;
    for (const SavedName& saved : known_addresses_) {
      if (saved.host == address.host) known = saved.addresses;
    }
    names_.push_back(std::make_unique<FollowedName>(surface_.loop, "app " + app_, address.host, std::move(known),
                                                    surface_.name_pace, surface_.ask,
                                                    static_cast<NameListener&>(*this)));
    if (started_) names_.back()->start();
  }
}

// Each address once, whatever number of names stand for it.
std::vector<ServerSet::Target> ServerSet::targets() const {
  std::vector<Target> targets;
  auto add = [&](const config::Address& address, std::string label) {
    bool known = std::any_of(targets.begin(), targets.end(), [&](const Target& t) { return t.address == address; });
    if (!known) targets.push_back({address, std::move(label)});
  };
  for (const config::Address& configured : config_->servers) {
    if (!is_name(configured)) {
      add(configured, fmt::format("{} {}", app_, configured.text()));
      continue;
    }
    for (const auto& name : names_) {
      if (name->host() != configured.host) continue;
      for (const std::string& host : name->addresses()) {
        config::Address address = configured;
        address.host = host;
        add(address, fmt::format("{} {} ({})", app_, configured.text(), host));
      }
    }
  }
  return targets;
}

void ServerSet::update() {
  std::vector<Target> wanted = targets();
  for (auto& server : servers_) {
    bool stays =
        std::any_of(wanted.begin(), wanted.end(), [&](const Target& t) { return t.address == server->target(); });
    if (stays) {
      if (server->leaving() && !server->gone()) server->stay();
    } else {
      server->leave();
    }
  }
  for (Target& target : wanted) {
    bool there = std::any_of(servers_.begin(), servers_.end(),
                             [&](const auto& s) { return !s->gone() && s->target() == target.address; });
    if (there) continue;
    std::string text = target.address.text();
    std::uint64_t id = 0;
    for (const SavedServer& saved : known_ids_) {
      if (saved.address == text) id = saved.id;
    }
    std::erase_if(known_ids_, [&](const SavedServer& saved) { return saved.address == text; });
    servers_.push_back(std::make_unique<Server>(surface_, *config_, target.address, std::move(target.label),
                                                id != 0 ? id : surface_.next_id++, free_number(),
                                                static_cast<ServerListener&>(*this)));
  }
}

std::uint32_t ServerSet::free_number() const {
  std::uint32_t number = 0;
  while (std::any_of(servers_.begin(), servers_.end(), [&](const auto& s) { return s->number() == number; })) number++;
  return number;
}

void ServerSet::tidy() {
  std::erase_if(servers_, [](const auto& server) { return server->gone(); });
}

void ServerSet::recall() {
  for (auto& server : servers_) {
    if (!server->leaving()) server->on_recalled();
  }
}

Server* ServerSet::find(std::uint64_t id) {
  for (auto& server : servers_) {
    if (server->id() == id) return server.get();
  }
  return nullptr;
}

void ServerSet::on_connect_failed(Server& server, int error) {
  server.on_connect_failed(error);
  for (auto& name : names_) {
    const auto& addresses = name->addresses();
    if (std::find(addresses.begin(), addresses.end(), server.target().host) != addresses.end()) name->doubt();
  }
}

Lives ServerSet::lives() const {
  Lives lives;
  for (const auto& server : servers_) {
    if (!server->leaving()) lives.push_back(&server->life());
  }
  return lives;
}

bool ServerSet::all_asked() const {
  return std::all_of(names_.begin(), names_.end(),
                     [](const auto& name) { return !name->addresses().empty() || name->failures() > 0; });
}

bool ServerSet::hopeless() const {
  return size() == 0 &&
         std::all_of(names_.begin(), names_.end(), [](const auto& name) { return name->failures() >= kBootAttempts; });
}

std::vector<std::string> ServerSet::unresolved() const {
  std::vector<std::string> hosts;
  for (const auto& name : names_) {
    if (name->addresses().empty()) hosts.push_back(name->host());
  }
  return hosts;
}

void ServerSet::add_to(std::vector<ipc::UpstreamState>& upstreams) const {
  for (const auto& server : servers_) {
    if (!server->gone()) upstreams.push_back(server->upstream());
  }
}

void ServerSet::save(SavedApp& saved) const {
  for (const auto& server : servers_) {
    if (!server->leaving()) saved.servers.push_back({server->target().text(), server->id()});
  }
  for (const auto& name : names_) {
    if (!name->addresses().empty()) saved.names.push_back({name->host(), name->addresses()});
  }
}

void ServerSet::on_server_changed(Server&, bool publish_again) { listener_.on_servers_changed(publish_again); }

bool ServerSet::may_eject(const Server& server) {
  Lives all = lives();
  auto at = std::find(all.begin(), all.end(), &server.life());
  return at != all.end() && supervisor::may_eject(all, static_cast<std::size_t>(at - all.begin()));
}

void ServerSet::on_name(FollowedName&) {
  update();
  listener_.on_servers_changed(false);
}

}  // namespace rota::supervisor
