#include "rota/proxy/exchange.h"

#include <cerrno>

#include "rota/base/check.h"
#include "rota/http/serialize.h"

namespace rota::proxy {

namespace {

// What a worker's response head may take. Generous beside the client's limits: the worker is the user's own.
constexpr http::HeadLimits kResponseLimits{64 * 1024, 256, 0};
constexpr std::size_t kKeptMemory = 16 * 1024;
constexpr std::size_t kKeptNote = 1024;

}  // namespace

Exchange::Exchange(LoopContext& context) : context_(context), response_parser_(kResponseLimits) {}

void Exchange::trim() {
  if (replay_.capacity() > kKeptMemory) std::string().swap(replay_);
  if (response_input_.capacity() > kKeptMemory) std::string().swap(response_input_);
  for (std::string* note : {&notes_.host, &notes_.target, &notes_.user_agent, &notes_.referer}) {
    if (note->capacity() > kKeptNote) std::string().swap(*note);
  }
}

void Exchange::start(ExchangeClient& client, App& app, const http::RequestHead& head,
                     const http::Forwarding& forwarding) {
  ROTA_CHECK(state_ == State::idle && connection_ == nullptr && context_.to_worker.empty());
  client_ = &client;
  app_ = &app;
  app.exchange_begins();
  method_ = head.method;
  upload_ = Upload::reading;
  chunked_upload_ = head.framing.kind == http::BodyKind::chunked;
  last_of_connection_ = http::is_last_of_connection(head);
  websocket_ = head.websocket;
  if (websocket_) websocket_accept_ = http::websocket_accept(head.websocket_key);
  replay_.clear();
  http::append_request_head(replay_, head, forwarding);
  head_bytes_ = replay_.size();
  replayable_ = true;
  has_body_ = false;
  upload_paused_ = false;
  bytes_received_ = bytes_sent_ = 0;
  retries_ = retries_possibly_read_ = 0;
  avoid_upstream_ = 0;
  never_again_ = false;
  fingerprint_ = 0;
  reason_ = "";
  interim_ = 0;
  status_ = 0;
  slot_ = -1;
  upstream_.clear();
  queue_ns_ = connect_ns_ = 0;
  first_byte_ns_ = -1;
  wall_ms_ = 0;
  started_at_ = context_.loop.now();
  if (context_.logs_access()) {
    wall_ms_ = LoopContext::wall_ms();
    started_ns_ = LoopContext::monotonic_ns();
  }
}

// --- the request
// ---------------------------------------------------------------------------------------------------------

void Exchange::upload(std::string_view data) {
  bytes_received_ += data.size();
  has_body_ = true;
  if (context_.to_worker.nearly_full()) send_upload();
  if (chunked_upload_) {
    context_.to_worker.add_chunk(data);
  } else {
    context_.to_worker.add(data);
  }
}

void Exchange::flush_upload() {
  if (!context_.to_worker.empty()) send_upload();
}

void Exchange::upload_complete(const std::vector<http::Field>& trailers) {
  upload_ = Upload::complete;
  if (chunked_upload_) {
    has_body_ = true;
    Gather& gather = context_.to_worker;
    if (gather.nearly_full()) send_upload();
    if (trailers.empty()) {
      gather.add(http::kLastChunk);
    } else {
      gather.begin_text();
      http::append_last_chunk(gather.text(), trailers);
      gather.end_text();
    }
  }
  if (!context_.to_worker.empty()) {
    send_upload();
  } else if (state_ == State::awaiting_response) {
    await_response();
  }
}

void Exchange::send_upload() {
  Gather& gather = context_.to_worker;
  if (connection_ == nullptr || state_ == State::listening) {
    gather.append_to(replay_);
    gather.clear();
    if (replay_.size() - head_bytes_ >= kReplayMax && upload_ == Upload::reading && !upload_paused_) {
      upload_paused_ = true;
      client_->pause_upload();
    }
    return;
  }
  one_write_ = false;
  if (replayable_) {
    if (replay_.size() - head_bytes_ + gather.size() <= kReplayMax) {
      gather.append_to(replay_);
    } else {
      keep_only_the_head();
    }
  }
  uv::Stream& stream = connection_->stream();
  // A worker that closed its end may have answered before it did: reading goes on and finds the answer, or the end.
  if (!deaf_) deaf_ = stream.write(gather.parts()) != 0;
  gather.clear();
  if (stream.accepted() > accepted_before_) connection_->connecting = false;
  if (!deaf_ && stream.congested() && upload_ == Upload::reading && !upload_paused_) {
    upload_paused_ = true;
    client_->pause_upload();
  }
  if (state_ == State::awaiting_response) await_response();
}

void Exchange::begin() {
  give_up_holding_ = context_.loop.now() + app_->settings().queue_timeout;
  if (is_refused()) return fail(Outcome::poisoned);
  // Who waits already has the first claim.
  if (app_->has_held() || !attempt()) hold();
}

void Exchange::hold() {
  state_ = State::holding;
  if (context_.loop.now() >= give_up_holding_) return fail(Outcome::queue_timeout);
  if (context_.draining() && !app_->has_ready()) return fail(Outcome::shutting_down);
  if (!app_->hold(*this)) return fail(Outcome::queue_full);
  context_.deadlines.arm_at(*this, give_up_holding_);
}

bool Exchange::try_upstream() { return attempt(); }

bool Exchange::attempt() {
  if (is_refused()) {  // since it was held, or tried before
    fail(Outcome::poisoned);
    return true;
  }
  std::int64_t before = context_.logs_access() ? LoopContext::monotonic_ns() : 0;
  // Each turn of this loop ejects an upstream or uses up a pooled connection, so that it ends.
  while (true) {
    App::Picked picked = app_->pick(*this, avoid_upstream_, never_again_);
    if (picked.connection == nullptr) {
      if (picked.busy) context_.events.retry_soon();
      return false;
    }
    connection_ = std::move(picked.connection);
    if (connection_->exchanges == 0 && connection_->upstream().distrusted(context_.loop.now())) {
      state_ = State::listening;
      accepted_before_ = connection_->stream().accepted();
      one_write_ = false;
      context_.arm(*this, kListening);
      break;
    }
    if (send_request()) break;
  }
  if (context_.logs_access()) note_attempt(before);
  return true;
}

void Exchange::note_attempt(std::int64_t before) {
  std::int64_t now = LoopContext::monotonic_ns();
  attempt_ns_ = now;
  connect_ns_ += now - before;
  queue_ns_ = before - started_ns_;
  slot_ = connection_->upstream().slot();
  upstream_ = connection_->upstream().address();
}

bool Exchange::send_request() {
  uv::Stream& stream = connection_->stream();
  stream.limit_reads(kReadFirst);
  accepted_before_ = stream.accepted();
  loss_noted_ = false;
  int error = stream.write(replay_);
  bool accepted = stream.accepted() > accepted_before_;
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
  one_write_ = upload_ == Upload::complete && replay_.size() <= kOneSegmentMax &&
               stream.accepted() - accepted_before_ == replay_.size();
  if (replay_.size() - head_bytes_ > kReplayMax) keep_only_the_head();
  state_ = State::awaiting_response;
  response_parser_.reset();
  response_input_.clear();
  if (upload_paused_ && !stream.congested()) {
    upload_paused_ = false;
    client_->resume_upload();
  }
  await_response();
  return true;
}

// Whose turn it is decides whose deadline runs: while the client owes body bytes, the session's own.
void Exchange::await_response() {
  if (connection_->connecting) {
    context_.arm(*this, context_.state->connect);
  } else if (upload_ == Upload::reading && !upload_paused_) {
    disarm();
  } else {
    context_.arm(*this, app_->settings().response_timeout);
  }
}

void Exchange::on_writable(uv::Stream& stream) {
  if (connection_->connecting) {
    connection_->connecting = false;
    if (context_.logs_access()) connect_ns_ += LoopContext::monotonic_ns() - attempt_ns_;
  }
  if (upload_paused_ && !stream.congested()) {
    upload_paused_ = false;
    client_->resume_upload();
  }
  if (state_ == State::awaiting_response) await_response();
}

// --- attempts that failed
// ------------------------------------------------------------------------------------------------

void Exchange::attempt_failed(bool eof, int error) {
  if (!response_input_.empty() || interim_ > 0) {
    note_loss();
    return fail(Outcome::upstream_closed);
  }
  bool connecting = connection_->connecting;
  AttemptFacts facts;
  facts.unix_socket = connection_->upstream().kind() == ipc::UpstreamKind::unix_path;
  facts.eof = eof;
  facts.error = error;
  facts.connecting = connecting;
  facts.bytes_accepted = connection_->stream().accepted() - accepted_before_;
  facts.one_write = one_write_;
  facts.has_body = has_body_;
  facts.reused = connection_->exchanges > 0;
  facts.listener_gone = has_body_ && one_write_ && !facts.reused && !connection_->upstream().is_listening();
  facts.left_unread = connection_->stream().untaken();
  RetryFacts retry;
  retry.delivery = delivery_of(facts);
  retry.method = method_;
  retry.retries_done = retries_possibly_read_;
  retry.retries_allowed = app_->settings().retry_attempts;
  retry.replayable = replayable_;
  const bool may_be_unread = doubts(facts, retry);
  if (may_be_unread || waits_for_the_death(retry)) {
    if (!may_be_unread) note_loss();
    failed_by_eof_ = eof;
    failed_error_ = error;
    state_ = State::doubting;
    context_.arm(*this, kDoubt);
    return;
  }
  if (connecting) connection_->upstream().eject(error);
  if (retry.delivery == Delivery::possibly) {
    note_loss();
  } else if (facts.bytes_accepted > 0) {
    context_.lost.add_unread(connection_->upstream().id(), context_.loop.now());
  }
  avoid_upstream_ = connection_->upstream().id();
  drop_connection(false);
  if (!may_retry(retry)) return fail(Outcome::upstream_closed);
  try_again(retry.delivery, must_go_elsewhere(retry.delivery, facts));
}

// What describe() needs stays.
void Exchange::keep_only_the_head() {
  replayable_ = false;
  replay_.resize(head_bytes_);
}

bool Exchange::is_on(std::uint64_t upstream) const {
  if (connection_ == nullptr || connection_->connecting || connection_->upstream().id() != upstream) return false;
  if (loss_noted_) return false;  // and told so already
  return state_ != State::idle && state_ != State::holding && state_ != State::listening;
}

ipc::RequestInFlight Exchange::describe() const {
  auto age = std::chrono::duration_cast<Duration>(context_.loop.now() - started_at_);
  return describe_request(std::string_view(replay_).substr(0, head_bytes_), age, status_ != 0 || interim_ > 0);
}

void Exchange::try_again(Delivery delivery, bool elsewhere) {
  retries_++;
  if (delivery == Delivery::possibly) retries_possibly_read_++;
  never_again_ = never_again_ || elsewhere;
  disarm();
  state_ = State::idle;
  if (never_again_ && !app_->has_other(avoid_upstream_)) {
    state_ = State::doubting;
    return context_.arm(*this, kDoubt);
  }
  // A worker that takes every connection and reads none must not keep this loop busy: the next try waits a moment.
  if (retries_ > kRetriesAtOnce) {
    context_.events.retry_soon();
    return hold();
  }
  if (context_.loop.now() >= give_up_holding_ || !attempt()) hold();
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
  if (!app_->has_other(avoid_upstream_) && app_->is_listening(avoid_upstream_)) return fail(Outcome::upstream_closed);
  state_ = State::idle;
  if (context_.loop.now() >= give_up_holding_ || app_->has_held() || !attempt()) hold();
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
      if (!connection_->connecting) return fail(Outcome::upstream_timeout);
      connection_->upstream().eject(ETIMEDOUT);
      return fail(Outcome::connect_timeout);
    case State::relaying: return finish(Outcome::upstream_stalled, status_, false);
  }
}

}  // namespace rota::proxy
