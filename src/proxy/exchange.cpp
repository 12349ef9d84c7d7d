#include "rota/proxy/exchange.h"

#include <algorithm>
#include <cerrno>

#include "rota/base/check.h"
#include "rota/http/serialize.h"

namespace rota::proxy {

namespace {

// What a worker's response head may take. Generous beside the client's limits: the worker is the user's own.
constexpr http::HeadLimits kResponseLimits{64 * 1024, 256, 0};
constexpr std::size_t kKeptMemory = 16 * 1024;
constexpr std::size_t kKeptNote = 1024;

double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

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
  method_ = head.method;
  upload_ = Upload::reading;
  chunked_upload_ = head.framing.kind == http::BodyKind::chunked;
  replay_.clear();
  http::append_request_head(replay_, head, forwarding);
  head_bytes_ = replay_.size();
  replayable_ = true;
  has_body_ = false;
  upload_paused_ = false;
  bytes_received_ = bytes_sent_ = 0;
  retries_ = retries_possibly_read_ = 0;
  avoid_upstream_ = 0;
  interim_ = 0;
  status_ = 0;
  slot_ = -1;
  upstream_.clear();
  queue_ns_ = connect_ns_ = 0;
  first_byte_ns_ = -1;
  wall_ms_ = 0;
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

void Exchange::upload_complete() {
  upload_ = Upload::complete;
  if (chunked_upload_) {
    has_body_ = true;
    context_.to_worker.add(http::kLastChunk);
  }
  if (!context_.to_worker.empty()) {
    send_upload();
  } else if (state_ == State::awaiting_response) {
    await_response();
  }
}

void Exchange::send_upload() {
  Gather& gather = context_.to_worker;
  if (connection_ == nullptr) {
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
      replayable_ = false;
      replay_.clear();
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
  std::int64_t before = context_.logs_access() ? LoopContext::monotonic_ns() : 0;
  // Each turn of this loop ejects an upstream or uses up a pooled connection, so that it ends.
  while (true) {
    App::Picked picked = app_->pick(*this, avoid_upstream_);
    if (picked.connection == nullptr) {
      if (picked.busy) context_.events.retry_soon();
      return false;
    }
    connection_ = std::move(picked.connection);
    if (send_request()) break;
  }
  if (context_.logs_access()) {
    std::int64_t now = LoopContext::monotonic_ns();
    attempt_ns_ = now;
    connect_ns_ += now - before;
    queue_ns_ = before - started_ns_;
    slot_ = connection_->upstream().slot();
    upstream_ = connection_->upstream().address();
  }
  return true;
}

bool Exchange::send_request() {
  uv::Stream& stream = connection_->stream();
  stream.limit_reads(kReadFirst);
  accepted_before_ = stream.accepted();
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
  if (replay_.size() - head_bytes_ > kReplayMax) {
    replayable_ = false;
    replay_.clear();
  }
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

// --- the response
// --------------------------------------------------------------------------------------------------------

void Exchange::on_read(uv::Stream&, std::string_view bytes) {
  if (context_.logs_access() && first_byte_ns_ < 0) first_byte_ns_ = LoopContext::monotonic_ns() - started_ns_;
  connection_->connecting = false;
  if (state_ == State::awaiting_response) return take_heads(bytes);
  relay(bytes);
}

// Interim heads and the final one, then what of the body came with it.
void Exchange::take_heads(std::string_view bytes) {
  std::string_view rest = bytes;
  if (!response_input_.empty()) {
    response_input_.append(bytes);
    rest = response_input_;
  }
  while (state_ == State::awaiting_response) {
    http::Progress progress = response_parser_.parse(rest, method_, context_.response_head);
    if (progress == http::Progress::rejected) return fail(Outcome::upstream_invalid);
    if (progress == http::Progress::incomplete) {
      // assign() copes with a source inside its own string.
      response_input_.assign(rest.data(), rest.size());
      if (!client_->flush()) return finish(Outcome::client_closed, 0, false);
      return;  // the deadline of the response goes on
    }
    rest.remove_prefix(response_parser_.consumed());
    if (!take_head()) return;
  }
  relay(rest);
}

bool Exchange::take_head() {
  const http::ResponseHead& head = context_.response_head;
  if (head.status < 200) {
    // rota forwards no Upgrade, so that a worker has nothing to switch to (RFC 9110 7.8).
    if (head.status == 101 || ++interim_ > kInterimMax) {
      fail(Outcome::upstream_invalid);
      return false;
    }
    client_->response_head(head);
    response_parser_.reset();
    return true;
  }
  state_ = State::relaying;
  status_ = head.status;
  replayable_ = false;
  replay_.clear();
  body_kind_ = head.framing.kind;
  body_left_ = head.framing.length;
  if (body_kind_ == http::BodyKind::chunked) decoder_.reset();
  worker_keeps_alive_ = head.keep_alive;
  keep_alive_timeout_s_ = head.keep_alive_timeout_s;
  keep_alive_max_ = head.keep_alive_max;
  client_->response_head(head);
  return true;
}

// False: the body broke its framing. At the end body_kind_ is none.
bool Exchange::take_body(std::string_view& bytes) {
  switch (body_kind_) {
    case http::BodyKind::none: return true;
    case http::BodyKind::length: {
      std::string_view part = bytes.substr(0, body_left_);
      client_->response_body(part);
      bytes_sent_ += part.size();
      body_left_ -= part.size();
      bytes.remove_prefix(part.size());
      if (body_left_ == 0) body_kind_ = http::BodyKind::none;
      return true;
    }
    case http::BodyKind::until_close:
      client_->response_body(bytes);
      bytes_sent_ += bytes.size();
      bytes = {};
      return true;
    case http::BodyKind::chunked:
      while (true) {
        switch (decoder_.next(bytes)) {
          case http::ChunkedDecoder::Event::data:
            client_->response_body(decoder_.data());
            bytes_sent_ += decoder_.data().size();
            break;
          case http::ChunkedDecoder::Event::more: return true;
          case http::ChunkedDecoder::Event::done: body_kind_ = http::BodyKind::none; return true;
          case http::ChunkedDecoder::Event::error: return false;
        }
      }
  }
  return true;
}

void Exchange::relay(std::string_view bytes) {
  const std::size_t came = bytes.size();
  if (!take_body(bytes)) {
    // What came before the fault was good: it goes out, and the missing end says that the rest did not.
    static_cast<void>(client_->flush());
    return finish(Outcome::upstream_truncated, status_, false);
  }
  if (body_kind_ == http::BodyKind::none) return complete(!bytes.empty());
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  pace_worker(came);
}

void Exchange::pace_worker(std::size_t came) {
  uv::Stream& worker = connection_->stream();
  if (client_->congested()) {
    // The client's own write deadline runs now.
    disarm();
    worker.stop_reading();
    worker.limit_reads(kReadMin);
    return;
  }
  if (came >= kReadMin) worker.limit_reads(std::max(client_->room(), kReadMin));
  context_.arm(*this, app_->settings().idle_timeout);
}

void Exchange::complete(bool surplus) {
  client_->response_end();
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  // Pooled only when both messages are wholly done and not a byte is left over.
  drop_connection(worker_keeps_alive_ && !surplus && upload_ == Upload::complete && !deaf_ &&
                  connection_->stream().queued() == 0);
  finish(Outcome::ok, status_, true);
}

void Exchange::client_writable() {
  if (state_ != State::relaying || connection_ == nullptr || client_->congested()) return;
  if (connection_->stream().reading()) return;
  connection_->stream().start_reading();
  context_.arm(*this, app_->settings().idle_timeout);
}

// --- ends
// ----------------------------------------------------------------------------------------------------------------

void Exchange::on_end(uv::Stream&) {
  if (state_ != State::relaying) return attempt_failed(true, 0);
  if (body_kind_ == http::BodyKind::until_close) {
    worker_keeps_alive_ = false;
    return complete(false);
  }
  finish(Outcome::upstream_truncated, status_, false);
}

void Exchange::on_error(uv::Stream&, int error) {
  if (state_ != State::relaying) return attempt_failed(false, error);
  finish(Outcome::upstream_truncated, status_, false);
}

// A worker may refuse a request before it has read all of it, and close: its answer is read, and the rest of the upload
// goes nowhere.
void Exchange::on_write_error(uv::Stream& stream, int error) {
  if (connection_->connecting) return on_error(stream, error);
  deaf_ = true;
  if (upload_paused_) {
    upload_paused_ = false;
    client_->resume_upload();
  }
}

void Exchange::attempt_failed(bool eof, int error) {
  if (!response_input_.empty() || interim_ > 0) return fail(Outcome::upstream_closed);
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
  RetryFacts retry;
  retry.delivery = delivery_of(facts);
  retry.method = method_;
  retry.retries_done = retries_possibly_read_;
  retry.retries_allowed = app_->settings().retry_attempts;
  retry.replayable = replayable_;
  if (doubts(facts, retry)) {
    state_ = State::doubting;
    context_.arm(*this, kDoubt);
    return;
  }
  if (connecting) connection_->upstream().eject(error);
  avoid_upstream_ = connection_->upstream().id();
  drop_connection(false);
  if (!may_retry(retry)) return fail(Outcome::upstream_closed);
  retries_++;
  if (retry.delivery == Delivery::possibly) retries_possibly_read_++;
  disarm();
  state_ = State::idle;
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

void Exchange::on_deadline() {
  switch (state_) {
    case State::idle: return;
    case State::holding: return fail(Outcome::queue_timeout);
    case State::awaiting_response:
      return fail(connection_->connecting ? Outcome::connect_timeout : Outcome::upstream_timeout);
    case State::doubting: return attempt_failed(false, ECONNRESET);
    case State::relaying: return finish(Outcome::upstream_stalled, status_, false);
  }
}

void Exchange::abort(Outcome outcome, int status, std::string_view text) {
  if (status == 0 || state_ == State::relaying) return finish(outcome, status_, false);
  bytes_sent_ = client_->own_response(status, outcome, text);
  finish(outcome, status, true);
}

void Exchange::fail(Outcome outcome) {
  const OutcomeInfo& info = info_of(outcome);
  bytes_sent_ = client_->own_response(info.status, outcome, info.text);
  finish(outcome, info.status, true);
}

void Exchange::drop_connection(bool keep) {
  if (connection_ == nullptr) return;
  Upstream& upstream = connection_->upstream();
  upstream.release(std::move(connection_), keep, keep_alive_timeout_s_, keep_alive_max_);
}

void Exchange::finish(Outcome outcome, int status, bool whole) {
  disarm();
  // Pieces of a body that broke its framing in the same read: they must not become part of another request.
  context_.to_worker.clear();
  app_->stop_holding(*this);
  drop_connection(false);
  state_ = State::idle;
  // What began before there was a log has noted nothing: the notes are an earlier request's.
  if (context_.logs_access() && wall_ms_ != 0) log(outcome, status);
  App& app = *app_;
  // This object may serve another request from here on.
  client_->exchange_finished(whole);
  app.upstream_freed();
}

void Exchange::log(Outcome outcome, int status) {
  AccessRecord record;
  record.time_ms = wall_ms_;
  record.client = notes_.client;
  record.request_id = notes_.request_id;
  record.method = notes_.method;
  record.host = notes_.host;
  record.target = notes_.target;
  record.status = status;
  record.bytes_sent = bytes_sent_;
  record.bytes_received = bytes_received_;
  record.app = app_->name();
  record.slot = slot_;
  record.upstream = upstream_;
  std::int64_t total = LoopContext::monotonic_ns() - started_ns_;
  record.total_ms = milliseconds(total);
  record.queue_ms = milliseconds(slot_ < 0 ? total : queue_ns_);
  record.connect_ms = milliseconds(connect_ns_);
  record.first_byte_ms = first_byte_ns_ < 0 ? -1 : milliseconds(first_byte_ns_);
  record.retries = retries_;
  record.outcome = info_of(outcome).word;
  record.user_agent = notes_.user_agent;
  record.referer = notes_.referer;
  context_.log_access(record);
}

}  // namespace rota::proxy
