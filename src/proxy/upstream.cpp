#include "rota/proxy/upstream.h"

#include <algorithm>
#include <cerrno>

#include "rota/base/log.h"

namespace rota::proxy {

// A byte without a request is no response (RFC 9112 9.2).
void Upstream::on_read(uv::Stream&, std::string_view) { distrust(); }

Upstream::Upstream(LoopContext& context, const ipc::UpstreamState& state)
    : context_(context),
      id_(state.id),
      slot_(state.slot),
      kind_(state.kind),
      address_(state.address),
      phase_(ipc::UpstreamPhase::waiting) {
  auto resolved =
      kind_ == ipc::UpstreamKind::unix_path ? sys::unix_address(address_) : sys::tcp_address(address_, state.port);
  // The supervisor sends only what it has checked; anything else makes every connect fail, and says so.
  if (resolved) {
    socket_address_ = *resolved;
    if (kind_ != ipc::UpstreamKind::unix_path) address_ = socket_address_.text();
  } else {
    log::error("upstream {}: {}", address_, resolved.error().text());
  }
  set_phase(state.phase);
}

Upstream::~Upstream() { ROTA_CHECK(in_flight_ == 0); }

void Upstream::set_phase(ipc::UpstreamPhase phase) {
  phase_ = phase;
  ejected_until_ = TimePoint{};
  failure_told_ = false;
  drained_told_ = false;  // a supervisor that has started anew must hear it again
  if (phase_ != ipc::UpstreamPhase::ready) close_pool();
  tell_if_drained();
}

void Upstream::forget() {
  forgotten_ = true;
  phase_ = ipc::UpstreamPhase::waiting;
  close_pool();
}

void Upstream::eject(int error) {
  ejected_until_ = context_.loop.now() + kEjection;
  close_pool();
  if (failure_told_) return;
  failure_told_ = true;
  context_.events.connect_failed(id_, error);
}

void Upstream::distrust() {
  TimePoint now = context_.loop.now();
  if (!distrusted(now))
    log::warning("upstream {} sent bytes that nobody had asked for: its connections are closed", address_);
  distrusted_until_ = now + kDistrust;
  close_pool();
}

bool Upstream::is_listening() const {
  int error = sys::connect_to(socket_address_).error;
  return error != ECONNREFUSED && error != ENOENT;
}

Upstream::Acquired Upstream::acquire(uv::StreamListener& user) {
  if (!idle_.empty()) {
    std::unique_ptr<UpstreamConnection> connection = std::move(idle_.back().connection);
    idle_.pop_back();
    connection->stream_.set_listener(user);
    in_flight_++;
    return {std::move(connection), 0};
  }
  if (socket_address_.size == 0) return {nullptr, EINVAL};
  sys::Connect made = sys::connect_to(socket_address_);
  // Our own lack of descriptors says nothing of the worker.
  if (made.error == EMFILE || made.error == ENFILE || made.error == ENOBUFS || made.error == ENOMEM)
    return {nullptr, EAGAIN};
  if (made.error != 0 && made.error != EINPROGRESS) return {nullptr, made.error};
  auto connection = std::make_unique<UpstreamConnection>(*this);
  connection->connecting = made.error == EINPROGRESS;
  if (!connection->stream_.open(context_.loop, std::move(made.fd), user)) return {nullptr, EAGAIN};
  in_flight_++;
  return {std::move(connection), 0};
}

void Upstream::release(std::unique_ptr<UpstreamConnection> connection, bool keep_it, std::uint32_t keep_alive_timeout_s,
                       std::uint32_t keep_alive_max) {
  ROTA_CHECK(in_flight_ > 0);
  in_flight_--;
  connection->exchanges++;
  Duration idle_limit = context_.state->upstream_idle;
  // A worker that announces its own limit gets a second's margin: it counts from a moment we do not see.
  if (keep_alive_timeout_s > 0) idle_limit = std::chrono::seconds(std::min(keep_alive_timeout_s, 3600U) - 1);
  bool worn_out = keep_alive_max > 0 && connection->exchanges >= keep_alive_max;
  if (keep_it && phase_ == ipc::UpstreamPhase::ready && !distrusted(context_.loop.now()) && !worn_out &&
      idle_limit > Duration::zero() && idle_.size() < kIdleMax) {
    keep(std::move(connection), context_.loop.now() + idle_limit);
  }
  connection.reset();
  tell_if_drained();
}

void Upstream::keep(std::unique_ptr<UpstreamConnection> connection, TimePoint until) {
  connection->stream_.set_listener(*this);
  connection->stream_.start_reading();
  idle_.push_back({std::move(connection), until});
  // One deadline for all: the earliest there was when it was armed. Most often that is an older one's.
  if (!armed() || until < due()) context_.deadlines.arm_at(*this, until);
}

void Upstream::on_deadline() {
  const TimePoint now = context_.loop.now();
  std::erase_if(idle_, [now](const Idle& one) { return one.until <= now; });
  auto oldest =
      std::min_element(idle_.begin(), idle_.end(), [](const Idle& a, const Idle& b) { return a.until < b.until; });
  if (oldest != idle_.end()) context_.deadlines.arm_at(*this, oldest->until);
}

void Upstream::discard(uv::Stream& idle) {
  auto at =
      std::find_if(idle_.begin(), idle_.end(), [&](const Idle& one) { return &one.connection->stream_ == &idle; });
  ROTA_CHECK(at != idle_.end());
  idle_.erase(at);
}

void Upstream::close_pool() { idle_.clear(); }

void Upstream::tell_if_drained() {
  if (phase_ != ipc::UpstreamPhase::draining || in_flight_ > 0 || drained_told_) return;
  drained_told_ = true;
  context_.events.drained(id_);
}

}  // namespace rota::proxy
