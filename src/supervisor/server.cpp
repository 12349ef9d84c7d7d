#include "rota/supervisor/server.h"

#include <fmt/format.h>

#include <cerrno>

#include "rota/base/check.h"
#include "rota/base/log.h"

namespace rota::supervisor {

Server::Server(const Surface& surface, const config::App& app, const config::Address& target, std::string label,
               std::uint64_t id, std::uint32_t number, ServerListener& listener)
    : surface_(surface),
      listener_(listener),
      policy_(policy_of(app)),
      checked_always_(!app.health.path.empty()),
      target_(target),
      id_(id),
      label_(std::move(label)),
      checker_(surface.loop, rules_of(app), surface.random, *this),
      drain_timer_(surface.loop, *this) {
  upstream_.id = id_;
  upstream_.slot = number;
  bool is_unix = target.kind == config::Address::Kind::unix_path;
  upstream_.address = is_unix ? target.path : target.host;
  upstream_.port = target.port;
  upstream_.kind = is_unix                                      ? ipc::UpstreamKind::unix_path
                   : target.host.find(':') != std::string::npos ? ipc::UpstreamKind::tcp6
                                                                : ipc::UpstreamKind::tcp4;
  auto address = is_unix ? sys::unix_address(target.path) : sys::tcp_address(target.host, target.port);
  ROTA_CHECK(address);  // config checks paths, look_up makes numbers
  checker_.aim(*address);
  life_.state = Ready{{}, {}, false, !checked_always_};
  if (checked_always_) checker_.set(Checks::health);
}

void Server::configure(const config::App& app) {
  policy_ = policy_of(app);
  checked_always_ = !app.health.path.empty();
  checker_.change(rules_of(app));
  if (!leaving()) set_checks();
}

void Server::leave() {
  if (leaving()) return;
  log::info("{} leaves", label_);
  stay_ = Stay::leaving;
  checker_.set(Checks::none);
  drain_timer_.start(policy_.stop.drain);
}

void Server::stay() {
  if (!leaving()) return;
  log::info("{} stays", label_);
  stay_ = Stay::in;
  drain_timer_.stop();
  set_checks();
}

void Server::on_drained() {
  if (stay_ != Stay::leaving) return;
  drain_timer_.stop();
  stay_ = Stay::gone;
  listener_.on_server_changed(*this, false);
}

void Server::on_timer(uv::Timer&) { on_drained(); }

void Server::set_checks() {
  bool ready = phase_of(life_) == ipc::UpstreamPhase::ready;
  checker_.set(checked_always_ || !ready || proxy_doubts_ ? Checks::health : Checks::none);
}

ipc::UpstreamState Server::upstream() const {
  ipc::UpstreamState state = upstream_;
  state.phase = leaving() ? ipc::UpstreamPhase::draining : phase_of(life_).value_or(ipc::UpstreamPhase::waiting);
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
  if (leaving()) return;
  proxy_doubts_ = true;
  checker_.set(Checks::health);
  checker_.check_soon();
}

void Server::on_recalled() { apply(Recalled{}); }

void Server::on_check(const CheckResult& result) {
  std::visit([this](const auto& event) { apply(event); }, result);
}

// Only checks are told, so that the life goes between READY and UNHEALTHY alone.
void Server::apply(const Event& event) {
  Surroundings around;
  around.may_eject = listener_.may_eject(*this);
  auto phase_before = phase_of(life_);
  bool failing_before = failing_of(life_) != nullptr;
  Actions actions = step(life_, policy_, around, event, surface_.loop.now());
  for (const Note& note : actions.notes) log::at(note.level, "{} {}", label_, note.text);
  bool ready = phase_of(life_) == ipc::UpstreamPhase::ready;
  bool recovered = proxy_doubts_ && ready && std::holds_alternative<CheckPassed>(event);
  if (recovered) proxy_doubts_ = false;
  set_checks();
  if (proxy_doubts_ && std::holds_alternative<CheckFailed>(event) && is_undecided(life_, policy_)) {
    checker_.check_soon();
  }
  bool failing = failing_of(life_) != nullptr;
  bool other_health = failing != failing_before || (failing && std::holds_alternative<CheckFailed>(event));
  if (phase_before != phase_of(life_) || recovered || other_health) listener_.on_server_changed(*this, recovered);
}

}  // namespace rota::supervisor
