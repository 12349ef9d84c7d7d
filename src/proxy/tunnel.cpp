#include "rota/proxy/tunnel.h"

namespace rota::proxy {

Tunnel::Tunnel(LoopContext& context, uv::Stream& client, uv::Stream& worker, TunnelOwner& owner)
    : context_(context),
      owner_(&owner),
      client_(client, Outcome::client_closed),
      worker_(worker, Outcome::upstream_truncated) {}

void Tunnel::begin(std::string_view from_client, bool client_ended, std::string_view from_worker) {
  client_.stream.set_listener(*this);
  worker_.stream.limit_reads(uv::Stream::kReadMax);
  worker_.stream.set_listener(*this);
  context_.arm(*this, context_.state->tunnel);
  watch_client();  // its 101 may be queued
  if (!client_ended) client_.stream.start_reading();
  worker_.stream.start_reading();
  if (!from_client.empty()) pass_on(client_, from_client);
  if (!from_worker.empty()) pass_on(worker_, from_worker);
  if (client_ended) end_of(client_);
}

void Tunnel::stop() {
  owner_ = nullptr;
  disarm();
  write_deadline_.disarm();
}

void Tunnel::on_read(uv::Stream& stream, std::string_view bytes) { pass_on(side(stream), bytes); }

void Tunnel::pass_on(Side& from, std::string_view bytes) {
  Side& to = other(from);
  from.received += bytes.size();
  context_.arm(*this, context_.state->tunnel);
  // What a side that is gone cannot take is dropped; it may have said something before it went.
  if (!to.deaf && to.stream.write(bytes) != 0) to.deaf = true;
  if (to.stream.congested()) from.stream.stop_reading();
  if (&to == &client_) watch_client();
}

void Tunnel::on_end(uv::Stream& stream) { end_of(side(stream)); }

void Tunnel::on_error(uv::Stream& stream, int) {
  Side& failed = side(stream);
  failed.deaf = true;
  if (outcome_ == Outcome::ok && !failed.ended) outcome_ = failed.failure;
  end_of(failed);
}

void Tunnel::on_write_error(uv::Stream& stream, int) {
  Side& failed = side(stream);
  failed.deaf = true;
  other(failed).stream.start_reading();
  finish_if_done();
}

// Its end is passed on behind its last byte; what the other still has to say is waited for.
void Tunnel::end_of(Side& from) {
  from.ended = true;
  Side& to = other(from);
  if (!to.deaf) to.stream.shut_down_writing();
  finish_if_done();
}

void Tunnel::on_writable(uv::Stream& stream) {
  Side& relieved = side(stream);
  Side& from = other(relieved);
  if (&relieved == &client_) watch_client();
  if (!from.ended && !relieved.stream.congested()) from.stream.start_reading();
  finish_if_done();
}

void Tunnel::finish_if_done() {
  const auto has_all = [](const Side& to) { return to.deaf || to.stream.queued() == 0; };
  // A side that is gone for good needs no answer, but the other must get what it had sent.
  const bool both_ended = client_.ended && worker_.ended;
  const bool one_gone = (client_.ended && client_.deaf) || (worker_.ended && worker_.deaf);
  if ((both_ended || one_gone) && has_all(client_) && has_all(worker_)) finish(outcome_);
}

// As for any response: who has taken next to nothing since is cut off, a slow reader is not.
void Tunnel::watch_client() {
  if (client_.deaf || client_.stream.queued() == 0) return write_deadline_.disarm();
  if (write_deadline_.armed()) return;
  progress_at_arm_ = client_.stream.progress();
  context_.arm(write_deadline_, context_.state->write);
}

void Tunnel::client_stalled() {
  if (client_.stream.progress() - progress_at_arm_ >= kWriteProgressMin) return watch_client();
  finish(Outcome::client_write_timeout);
}

void Tunnel::on_deadline() { finish(Outcome::tunnel_timeout); }

void Tunnel::finish(Outcome outcome) {
  if (owner_ == nullptr) return;
  TunnelOwner& owner = *owner_;
  stop();
  owner.tunnel_ended(outcome);
}

}  // namespace rota::proxy
