#include "rota/proxy/exchange.h"

#include <cerrno>

#include "rota/base/check.h"
#include "rota/http/serialize.h"
#include "rota/proxy/request_brief.h"

namespace rota::proxy {

namespace {

constexpr std::size_t kKeptMemory = 16 * 1024;

}  // namespace

Exchange::Exchange(LoopContext& context) : context_(context) {}

void Exchange::trim() {
  if (request_.capacity() > kKeptMemory) request_.release();
  if (record_ != nullptr) record_->trim();
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
  websocket_.reset();
  if (head.websocket) {
    websocket_ = std::make_unique<WebSocket>(*this);
    websocket_->accept = http::websocket_accept(head.websocket_key);
  }
  if (replay_ == nullptr) replay_ = std::make_unique<Replay>();
  Gather& gather = context_.to_worker;
  gather.begin_text();
  http::append_request_head(gather.text(), head, forwarding);
  request_.assign(gather.text());
  gather.clear();
  *replay_ = {};
  replay_->head_size = request_.size();
  replayable_ = true;
  brief_ = false;
  has_body_ = false;
  upload_paused_ = false;
  retries_ = 0;
  fingerprint_ = 0;
  started_at_ = context_.loop.now();
  interim_ = 0;
  status_ = 0;
  keep_alive_timeout_s_ = keep_alive_max_ = 0;
  if (!context_.logs_access()) {
    record_.reset();
  } else {
    if (record_ == nullptr) record_ = std::make_unique<ExchangeRecord>();
    record_->begin();
  }
}

// --- the request
// ---------------------------------------------------------------------------------------------------------

void Exchange::upload(std::string_view data) {
  if (record_ != nullptr) record_->bytes_received += data.size();
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
    hold_for_replay();
    gather.clear();
    if (request_.size() - replay_->head_size >= kReplayMax && upload_ == Upload::reading && !upload_paused_) {
      upload_paused_ = true;
      client_->pause_upload();
    }
    return;
  }
  one_write_ = false;
  if (replayable_ && request_.size() - replay_->head_size + gather.size() <= kReplayMax) {
    hold_for_replay();
  } else {
    forget_replay();
  }
  uv::Stream& stream = connection_->stream();
  // A worker that closed its end may have answered before it did: reading goes on and finds the answer, or the end.
  if (!deaf_) deaf_ = stream.write(gather.parts()) != 0;
  gather.clear();
  if (!may_be_retried()) forget_replay();
  if (!deaf_ && stream.congested() && upload_ == Upload::reading && !upload_paused_) {
    upload_paused_ = true;
    client_->pause_upload();
  }
  if (state_ == State::awaiting_response) await_response();
}

void Exchange::hold_for_replay() {
  for (const iovec& part : context_.to_worker.parts()) {
    request_.append({static_cast<const char*>(part.iov_base), part.iov_len});
  }
}

// A body that drips would keep what was held for long.
void Exchange::forget_replay() {
  if (!replayable_) return;
  replayable_ = false;
  request_.truncate(replay_->head_size);
  if (upload_ == Upload::reading) keep_only_what_tells();
}

void Exchange::keep_only_what_tells() {
  if (brief_) return;
  if (is_guarded()) static_cast<void>(fingerprint());  // it is made of the head
  request_ = brief_of(describe(), method_, context_.origin.ids());
  brief_ = true;
  replay_.reset();
}

ipc::RequestInFlight Exchange::describe() const {
  const auto age = std::chrono::duration_cast<Duration>(context_.loop.now() - started_at_);
  const bool answered = status_ != 0 || interim_ > 0;
  const std::string_view request = request_.view();
  if (!brief_) return describe_request(request.substr(0, replay_->head_size), age, answered);
  ipc::RequestInFlight told = read_brief(request, context_.origin.ids());
  told.age = std::max(age, Duration::zero());
  told.answered = answered;
  return told;
}

bool Exchange::is_on(std::uint64_t upstream) const {
  if (connection_ == nullptr || connection_->is_connecting() || connection_->upstream().id() != upstream) return false;
  if (loss_noted_) return false;  // and told so already
  return state_ != State::idle && state_ != State::holding && state_ != State::listening;
}

// Whose turn it is decides whose deadline runs: while the client owes body bytes, the session's own.
void Exchange::await_response() {
  connection_->connecting = connection_->is_connecting();
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
    if (record_ != nullptr) record_->connected();
  }
  if (upload_paused_ && !stream.congested()) {
    upload_paused_ = false;
    client_->resume_upload();
  }
  if (state_ == State::awaiting_response) await_response();
}

}  // namespace rota::proxy
