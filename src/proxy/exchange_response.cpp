// The worker's answer: its heads, its body, the switch to a tunnel, and how an exchange ends.
#include <algorithm>

#include "rota/base/check.h"
#include "rota/http/serialize.h"
#include "rota/proxy/exchange.h"

namespace rota::proxy {

namespace {

double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

}  // namespace

void Exchange::on_read(uv::Stream&, std::string_view bytes) {
  if (context_.logs_access() && first_byte_ns_ < 0) first_byte_ns_ = LoopContext::monotonic_ns() - started_ns_;
  connection_->connecting = false;
  if (state_ == State::awaiting_response) return take_heads(bytes);
  if (state_ == State::listening) {
    connection_->upstream().distrust();
    reason_ = "bytes that nobody had asked for";
    return fail(Outcome::upstream_invalid);
  }
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
    if (progress == http::Progress::rejected) {
      reason_ = response_parser_.rejection().why;
      return fail(Outcome::upstream_invalid);
    }
    if (progress == http::Progress::incomplete) {
      // assign() copes with a source inside its own string.
      response_input_.assign(rest.data(), rest.size());
      return;  // the deadline of the response goes on
    }
    rest.remove_prefix(response_parser_.consumed());
    if (context_.response_head.status == 101) return switch_protocols(rest);
    if (!take_head()) return;
  }
  relay(rest);
}

// The third step of three: the handshake went to the worker, its 101 answers just that, and only now do bytes go either
// way. What the client had sent behind its request has waited for this, or becomes its next request.
void Exchange::switch_protocols(std::string_view rest) {
  const http::ResponseHead& head = context_.response_head;
  const char* why = websocket_ ? http::why_no_websocket(head, websocket_accept_) : "a switch that was not asked for";
  if (why == nullptr && upload_ != Upload::complete) why = "a switch before the request was complete";
  if (why != nullptr) {
    reason_ = why;
    return fail(Outcome::upstream_invalid);
  }
  status_ = head.status;
  note_answer();
  keep_only_the_head();
  disarm();
  client_->response_head(head);
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  state_ = State::tunnelling;
  std::string held;
  bool ended = false;
  uv::Stream& client = client_->become_tunnel(held, ended);
  tunnel_ = std::make_unique<Tunnel>(context_, client, connection_->stream(), *this);
  tunnel_->begin(held, ended, rest);
}

void Exchange::tunnel_ended(Outcome outcome) {
  if (tunnel_->worker_ended()) note_loss();  // if it has died; else nobody will ask
  finish(outcome, status_, false);
}

bool Exchange::take_head() {
  const http::ResponseHead& head = context_.response_head;
  if (head.status < 200) {
    if (++interim_ > kInterimMax) {
      reason_ = "more interim responses than anybody needs";
      fail(Outcome::upstream_invalid);
      return false;
    }
    response_parser_.reset();
    client_->response_head(head);
    if (client_->flush()) return true;
    finish(Outcome::client_closed, 0, false);
    return false;
  }
  state_ = State::relaying;
  status_ = head.status;
  note_answer();
  keep_only_the_head();
  body_kind_ = head.framing.kind;
  body_left_ = head.framing.length;
  decoded_ = body_kind_ == http::BodyKind::chunked;
  if (decoded_) decoder_.reset();
  worker_keeps_alive_ = head.keep_alive && !last_of_connection_;
  close_announced_ = head.close_announced;
  drops_trailers_ = head.nominates_trailers;
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
  if (!take_body(bytes)) return body_broken();
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

void Exchange::body_broken() {
  reason_ = decoder_.rejection().why;
  // Broken from its first piece on, and nothing of it sent: an error that can still be told as one.
  if (client_->take_back()) {
    bytes_sent_ = 0;
    return fail(Outcome::upstream_invalid);
  }
  // What came before the fault was good: it goes out, and the missing end says that the rest did not.
  static_cast<void>(client_->flush());
  finish(Outcome::upstream_truncated, status_, false);
}

void Exchange::complete(bool surplus) {
  static const std::vector<http::Field> kNoTrailers;
  bool trailers = decoded_ && !drops_trailers_;
  client_->response_end(trailers ? decoder_.trailers() : kNoTrailers);
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
    // On a Unix socket a worker that dies ends its connection as one that is done. So the end counts when it was
    // announced.
    if (close_announced_ || connection_->upstream().kind() != ipc::UpstreamKind::unix_path) return complete(false);
    reason_ = "an end that neither a length, nor chunks, nor Connection: close had announced";
  }
  note_loss();
  finish(Outcome::upstream_truncated, status_, false);
}

void Exchange::on_error(uv::Stream&, int error) {
  if (state_ != State::relaying) return attempt_failed(false, error);
  note_loss();
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

void Exchange::abort(Outcome outcome, int status, std::string_view text) {
  if (status == 0 || state_ == State::relaying || state_ == State::tunnelling) return finish(outcome, status_, false);
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
  if (tunnel_ != nullptr) {
    bytes_received_ += tunnel_->from_client();
    bytes_sent_ = tunnel_->from_worker();
    tunnel_->stop();
    context_.loop.retire(std::move(tunnel_));
  }
  // Pieces of a body that broke its framing in the same read: they must not become part of another request.
  context_.to_worker.clear();
  app_->stop_holding(*this);
  end_trial();
  drop_connection(false);
  state_ = State::idle;
  // What began before there was a log has noted nothing: the notes are an earlier request's.
  if (context_.logs_access() && wall_ms_ != 0) log(outcome, status);
  App& app = *app_;
  app.exchange_ended();
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
  record.reason = reason_;
  record.user_agent = notes_.user_agent;
  record.referer = notes_.referer;
  context_.log_access(record);
}

}  // namespace rota::proxy
