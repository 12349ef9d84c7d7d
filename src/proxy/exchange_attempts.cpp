// On which upstream, when, and what becomes of an attempt that fails.
#include <cerrno>

#include "rota/proxy/exchange.h"

namespace rota::proxy {

void Exchange::begin() {
  replay_->give_up_holding = context_.loop.now() + app_->settings().queue_timeout;
  if (refuse_poisoned()) return;
  // Who waits already has the first claim.
  if (app_->has_held() || !attempt()) hold();
}

void Exchange::hold() {
  state_ = State::holding;
  if (context_.loop.now() >= replay_->give_up_holding) return fail(Outcome::queue_timeout);
  if (context_.draining() && !app_->has_ready()) return fail(Outcome::shutting_down);
  if (!app_->hold(*this)) return fail(Outcome::queue_full);
  context_.deadlines.arm_at(*this, replay_->give_up_holding);
}

bool Exchange::try_upstream() { return attempt(); }

bool Exchange::attempt() {
  if (refuse_poisoned()) return true;  // it was none when it was held, or tried before
  const std::int64_t before = record_ != nullptr ? LoopContext::monotonic_ns() : 0;
  // Each turn of this loop ejects an upstream or uses up a pooled connection, so that it ends.
  while (true) {
    App::Picked picked = app_->pick(*this, replay_->avoid_upstream, replay_->never_again);
    if (picked.connection == nullptr) {
      if (picked.busy) context_.events.retry_soon();
      return false;
    }
    connection_ = std::move(picked.connection);
    if (connection_->exchanges == 0 && connection_->upstream().distrusted(context_.loop.now())) {
      state_ = State::listening;
      replay_->accepted_before = connection_->stream().accepted();
      one_write_ = false;
      context_.arm(*this, kListening);
      break;
    }
    if (send_request()) break;
  }
  if (record_ != nullptr) {
    const Upstream& upstream = connection_->upstream();
    record_->attempt(upstream.address(), upstream.slot(), LoopContext::monotonic_ns() - before);
  }
  return true;
}

bool Exchange::send_request() {
  uv::Stream& stream = connection_->stream();
  stream.limit_reads(kReadFirst);
  replay_->accepted_before = stream.accepted();
  loss_noted_ = false;
  int error = stream.write(request_.view());
  bool accepted = stream.accepted() != replay_->accepted_before;
  // On loopback a TCP connect is done before the first write.
  if (accepted) connection_->connecting = false;
  deaf_ = error != 0;
  if (error != 0 && !accepted) {
    // Nothing was accepted. A pooled connection that its worker has just closed is no news; a fresh one means a dead
    // listener.
    if (connection_->exchanges == 0) connection_->upstream().eject(error);
    drop_connection(false);
    return false;
  }
  one_write_ = upload_ == Upload::complete && request_.size() <= kOneSegmentMax &&
               stream.accepted() - replay_->accepted_before == request_.size();
  if (request_.size() - replay_->head_size > kReplayMax || !may_be_retried()) forget_replay();
  state_ = State::awaiting_response;
  if (upload_paused_ && !stream.congested()) {
    upload_paused_ = false;
    client_->resume_upload();
  }
  await_response();
  return true;
}

// --- attempts that failed
// ------------------------------------------------------------------------------------------------

void Exchange::attempt_failed(bool eof, int error) {
  if (partial_head_ != nullptr || interim_ > 0) {
    note_loss();
    return fail(Outcome::upstream_closed);
  }
  bool connecting = connection_->is_connecting();
  AttemptFacts facts;
  facts.unix_socket = connection_->upstream().kind() == ipc::UpstreamKind::unix_path;
  facts.eof = eof;
  facts.error = error;
  facts.connecting = connecting;
  facts.bytes_accepted = replay_ != nullptr ? connection_->stream().accepted() - replay_->accepted_before : 1;
  facts.one_write = one_write_;
  facts.has_body = has_body_;
  facts.reused = connection_->exchanges > 0;
  facts.listener_gone = has_body_ && one_write_ && !facts.reused && !connection_->upstream().is_listening();
  facts.left_unread = connection_->stream().untaken();
  RetryFacts retry;
  retry.delivery = delivery_of(facts);
  retry.method = method_;
  retry.retries_done = replay_ != nullptr ? replay_->possibly_read : 0;
  retry.retries_allowed = app_->settings().retry_attempts;
  retry.replayable = replayable_;
  const bool may_be_unread = doubts(facts, retry);
  if (may_be_unread || waits_for_the_death(retry)) {
    if (!may_be_unread) note_loss();
    failed_by_eof_ = eof;
    failed_error_ = static_cast<std::uint16_t>(error);
    state_ = State::doubting;
    context_.arm(*this, kDoubt);
    return;
  }
  if (connecting) connection_->upstream().eject(error);
  const std::uint64_t upstream = connection_->upstream().id();
  if (retry.delivery == Delivery::possibly) {
    note_loss();
  } else if (facts.bytes_accepted > 0 && !connecting) {
    context_.lost.add_unread(upstream, context_.loop.now());
  }
  drop_connection(false);
  if (!may_retry(retry)) return fail(Outcome::upstream_closed);
  replay_->avoid_upstream = upstream;
  try_again(retry.delivery, must_go_elsewhere(retry.delivery, facts));
}

void Exchange::try_again(Delivery delivery, bool elsewhere) {
  if (retries_ < UINT16_MAX) retries_++;
  if (delivery == Delivery::possibly) replay_->possibly_read++;
  replay_->never_again = replay_->never_again || elsewhere;
  disarm();
  state_ = State::idle;
  if (replay_->never_again && !app_->has_other(replay_->avoid_upstream)) {
    state_ = State::doubting;
    return context_.arm(*this, kDoubt);
  }
  // A worker that takes every connection and reads none must not keep this loop busy: the next try waits a moment.
  if (retries_ > kRetriesAtOnce) {
    context_.events.retry_soon();
    return hold();
  }
  if (context_.loop.now() >= replay_->give_up_holding || !attempt()) hold();
}

// Would the listener's end, should it come in a moment, make this request safe to send again?
bool Exchange::doubts(const AttemptFacts& facts, const RetryFacts& retry) const {
  if (state_ == State::doubting || facts.listener_gone || may_retry(retry)) return false;
  AttemptFacts after = facts;
  after.listener_gone = true;
  RetryFacts then = retry;
  then.delivery = delivery_of(after);
  return may_retry(then);
}

// An upstream that lives on has decided not to answer; the successor of one that has died may.
void Exchange::resolve_doubt() {
  if (!app_->has_other(replay_->avoid_upstream) && app_->is_listening(replay_->avoid_upstream))
    return fail(Outcome::upstream_closed);
  state_ = State::idle;
  if (context_.loop.now() >= replay_->give_up_holding || app_->has_held() || !attempt()) hold();
}

void Exchange::on_deadline() {
  switch (state_) {
    case State::idle:
    case State::tunnelling: return;
    case State::holding: return fail(Outcome::queue_timeout);
    case State::doubting:
      if (connection_ != nullptr) return attempt_failed(failed_by_eof_, failed_error_);
      return resolve_doubt();
    case State::listening:
      state_ = State::idle;
      if (!send_request() && !attempt()) hold();
      return;
    case State::awaiting_response:
      // A server that has taken a part is connected: its own time begins.
      if (connection_->connecting && !connection_->is_connecting()) return await_response();
      if (!connection_->connecting) return fail(Outcome::upstream_timeout);
      connection_->upstream().eject(ETIMEDOUT);
      return fail(Outcome::connect_timeout);
    case State::relaying: return finish(Outcome::upstream_stalled, status_, false);
  }
}

// Were this attempt to fail now: could there be another one, in any case?
bool Exchange::may_be_retried() const {
  if (!replayable_) return false;
  AttemptFacts best;
  best.unix_socket = connection_->upstream().kind() == ipc::UpstreamKind::unix_path;
  best.error = best.unix_socket ? ECONNRESET : ECONNREFUSED;
  best.connecting = connection_->is_connecting();
  best.bytes_accepted = connection_->stream().accepted() - replay_->accepted_before;
  best.one_write = one_write_;
  RetryFacts retry;
  retry.delivery = delivery_of(best);
  retry.method = method_;
  retry.retries_done = replay_->possibly_read;
  retry.retries_allowed = app_->settings().retry_attempts;
  retry.replayable = true;
  return may_retry(retry);
}

}  // namespace rota::proxy
