#include "rota/supervisor/server.h"

#include <fmt/format.h>

#include <cerrno>

#include "rota/base/check.h"
#include "rota/base/log.h"

namespace rota::supervisor {

Server::Server(const Surface& surface, const config::App& app, const config::Address& address, const std::string& host,
               std::uint64_t id, std::uint32_t number, ServerListener& listener)
    : surface_(surface),
      listener_(listener),
      policy_(policy_of(app)),
      checked_always_(!app.health.path.empty()),
      id_(id),
      label_(fmt::format("{} {}", app.name, address.text())),
      checker_(surface.loop, rules_of(app), surface.random, *this) {
  upstream_.id = id_;
  upstream_.slot = number;
  bool is_unix = address.kind == config::Address::Kind::unix_path;
  upstream_.address = is_unix ? address.path : host;
  upstream_.port = address.port;
  upstream_.kind = is_unix                               ? ipc::UpstreamKind::unix_path
                   : host.find(':') != std::string::npos ? ipc::UpstreamKind::tcp6
                                                         : ipc::UpstreamKind::tcp4;
  auto target = is_unix ? sys::unix_address(address.path) : sys::tcp_address(host, address.port);
  ROTA_CHECK(target);  // config checks paths, look_up makes numbers
  checker_.aim(*target);
  life_.state = Ready{};
  if (checked_always_) checker_.set(Checks::health);
}

ipc::UpstreamState Server::upstream() const {
  ipc::UpstreamState state = upstream_;
  state.phase = phase_of(life_).value_or(ipc::UpstreamPhase::waiting);
  return state;
}

void Server::on_connect_failed(int error) {
  // Our own checks may have more rights than the proxy, and would call this server healthy for ever.
  if (error == EACCES && !told_denied_) {
    told_denied_ = true;
    log::warning(
        "{} takes no requests: the proxy's user may not connect to it (Permission denied); let that user write to the "
        "socket and enter its directory, or name another user for the proxy with user:",
        label_);
  }
  proxy_doubts_ = true;
  checker_.set(Checks::health);
  checker_.check_soon();
}

void Server::on_check(const CheckResult& result) {
  std::visit([this](const auto& event) { apply(event); }, result);
}

// Only checks are told, so that the life goes between READY and UNHEALTHY alone.
void Server::apply(const Event& event) {
  Surroundings around;
  around.may_eject = listener_.may_eject(*this);
  auto phase_before = phase_of(life_);
  Actions actions = step(life_, policy_, around, event, surface_.loop.now());
  for (const Note& note : actions.notes) log::at(note.level, "{} {}", label_, note.text);
  bool ready = phase_of(life_) == ipc::UpstreamPhase::ready;
  bool recovered = proxy_doubts_ && ready && std::holds_alternative<CheckPassed>(event);
  if (recovered) proxy_doubts_ = false;
  checker_.set(checked_always_ || !ready || proxy_doubts_ ? Checks::health : Checks::none);
  if (phase_before != phase_of(life_) || recovered) listener_.on_server_changed(*this, recovered);
}

}  // namespace rota::supervisor
