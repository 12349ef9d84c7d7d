// The worker's answer: its heads, its body, the switch to a tunnel, and how an exchange ends.
#include <algorithm>

#include "rota/base/check.h"
#include "rota/http/serialize.h"
#include "rota/proxy/exchange.h"

namespace rota::proxy {

void Exchange::on_read(uv::Stream&, std::string_view bytes) {
  if (record_ != nullptr) record_->first_byte();
  connection_->connecting = false;
  if (state_ == State::awaiting_response) return take_heads(bytes);
  if (state_ == State::listening) {
    connection_->upstream().distrust();
    return fail(Outcome::upstream_invalid, "bytes that nobody had asked for");
  }
  relay(bytes);
}

// Interim heads and the final one, then what of the body came with it.
void Exchange::take_heads(std::string_view bytes) {
  std::unique_ptr<PartialHead> begun = std::move(partial_head_);
  http::ResponseHeadParser& parser = context_.response_parser;
  parser.resume(begun != nullptr ? begun->scan : http::HeadScan());
  std::string_view rest = bytes;
  if (begun != nullptr) {
    begun->bytes.append(bytes);
    rest = begun->bytes.view();
  }
  while (state_ == State::awaiting_response) {
    const http::Progress progress = parser.parse(rest, method_, context_.response_head);
    if (progress == http::Progress::rejected) return fail(Outcome::upstream_invalid, parser.rejection().why);
    if (progress == http::Progress::incomplete) {
      if (rest.empty()) return;
      if (begun == nullptr) begun = std::make_unique<PartialHead>();
      begun->scan = parser.scan_state();
      if (begun->bytes.empty()) {
        begun->bytes.append(rest);
      } else {
        begun->bytes.remove_prefix(begun->bytes.size() - rest.size());
      }
      partial_head_ = std::move(begun);
      return;  // the deadline of the response goes on
    }
    rest.remove_prefix(parser.consumed());
    if (context_.response_head.status == 101) return switch_protocols(rest);
    if (!take_head()) return;
    parser.reset();
  }
  relay(rest);
}

// The third step of three: the handshake went to the worker, its 101 answers just that, and only now do bytes go either
// way. What the client had sent behind its request has waited for this, or becomes its next request.
void Exchange::switch_protocols(std::string_view rest) {
  const http::ResponseHead& head = context_.response_head;
  const char* why =
      websocket_ != nullptr ? http::why_no_websocket(head, websocket_->accept) : "a switch that was not asked for";
  if (why == nullptr && upload_ != Upload::complete) why = "a switch before the request was complete";
  if (why != nullptr) return fail(Outcome::upstream_invalid, why);
  status_ = static_cast<std::uint16_t>(head.status);
  note_answer();
  forget_replay();
  disarm();
  client_->response_head(head);
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  state_ = State::tunnelling;
  std::string held;
  bool ended = false;
  uv::Stream& client = client_->become_tunnel(held, ended);
  websocket_->tunnel = std::make_unique<Tunnel>(context_, client, connection_->stream(), *websocket_);
  websocket_->tunnel->begin(held, ended, rest);
}

void Exchange::WebSocket::tunnel_ended(Outcome outcome) {
  if (tunnel->worker_ended()) exchange.note_loss();  // if it has died; else nobody will ask
  exchange.finish(outcome, exchange.status_, false);
}

bool Exchange::take_head() {
  const http::ResponseHead& head = context_.response_head;
  if (head.status < 200) {
    if (++interim_ > kInterimMax) {
      fail(Outcome::upstream_invalid, "more interim responses than anybody needs");
      return false;
    }
    client_->response_head(head);
    if (client_->flush()) return true;
    finish(Outcome::client_closed, 0, false);
    return false;
  }
  state_ = State::relaying;
  status_ = static_cast<std::uint16_t>(head.status);
  note_answer();
  forget_replay();
  body_kind_ = head.framing.kind;
  body_left_ = head.framing.length;
  if (body_kind_ == http::BodyKind::chunked) decoder_ = context_.take_decoder();
  worker_keeps_alive_ = head.keep_alive && !last_of_connection_;
  close_announced_ = head.close_announced;
  drops_trailers_ = head.nominates_trailers;
  keep_alive_timeout_s_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(head.keep_alive_timeout_s, UINT16_MAX));
  keep_alive_max_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(head.keep_alive_max, UINT16_MAX));
  client_->response_head(head);
  return true;
}

// False: the body broke its framing. At the end body_kind_ is none.
bool Exchange::take_body(std::string_view& bytes) {
  switch (body_kind_) {
    case http::BodyKind::none: return true;
    case http::BodyKind::length: {
      std::string_view part = bytes.substr(0, body_left_);
      pass_on(part);
      body_left_ -= part.size();
      bytes.remove_prefix(part.size());
      if (body_left_ == 0) body_kind_ = http::BodyKind::none;
      return true;
    }
    case http::BodyKind::until_close:
      pass_on(bytes);
      bytes = {};
      return true;
    case http::BodyKind::chunked:
      while (true) {
        switch (decoder_->next(bytes)) {
          case http::ChunkedDecoder::Event::data: pass_on(decoder_->data()); break;
          case http::ChunkedDecoder::Event::more: return true;
          case http::ChunkedDecoder::Event::done: body_kind_ = http::BodyKind::none; return true;
          case http::ChunkedDecoder::Event::error: return false;
        }
      }
  }
  return true;
}

void Exchange::pass_on(std::string_view body) {
  client_->response_body(body);
  if (record_ != nullptr) record_->bytes_sent += body.size();
}

void Exchange::note_sent(std::size_t bytes) {
  if (record_ != nullptr) record_->bytes_sent = bytes;
}

void Exchange::relay(std::string_view bytes) {
  const std::size_t came = bytes.size();
  if (!take_body(bytes)) return body_broken();
  if (body_kind_ == http::BodyKind::none) return complete(!bytes.empty());
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  pace_worker(came);
}

// A response is read in pieces that the client's buffers have room for, so that nothing of it waits here.
void Exchange::pace_worker(std::size_t came) {
  if (client_->congested()) return wait_for_client();
  if (came >= kReadMin) {
    const std::size_t room = client_->room();
    if (room < kReadMin) {
      client_->await_room();
      return wait_for_client();
    }
    connection_->stream().limit_reads(room);
  }
  context_.arm(*this, app_->settings().idle_timeout);
}

// The client's own deadline runs now. It may take long: what only a fast one makes good use of is given back.
void Exchange::wait_for_client() {
  disarm();
  uv::Stream& worker = connection_->stream();
  worker.stop_reading();
  worker.limit_reads(kReadMin);
  keep_only_what_tells();
}

void Exchange::body_broken() {
  const char* why = decoder_->rejection().why;
  // Broken from its first piece on, and nothing of it sent: an error that can still be told as one.
  if (client_->take_back()) {
    note_sent(0);
    return fail(Outcome::upstream_invalid, why);
  }
  // What came before the fault was good: it goes out, and the missing end says that the rest did not.
  static_cast<void>(client_->flush());
  finish(Outcome::upstream_truncated, status_, false, why);
}

void Exchange::complete(bool surplus) {
  static const std::vector<http::Field> kNoTrailers;
  const bool trailers = decoder_ != nullptr && !drops_trailers_;
  client_->response_end(trailers ? decoder_->trailers() : kNoTrailers);
  if (!client_->flush()) return finish(Outcome::client_closed, status_, false);
  // Pooled only when both messages are wholly done and not a byte is left over. Who answers before it has taken all of
  // a body may take the rest for a request.
  const uv::Stream& worker = connection_->stream();
  drop_connection(worker_keeps_alive_ && !surplus && upload_ == Upload::complete && !deaf_ && worker.queued() == 0 &&
                  !(has_body_ && worker.untaken()));
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
  const char* reason = "";
  if (body_kind_ == http::BodyKind::until_close) {
    // On a Unix socket a worker that dies ends its connection as one that is done. So the end counts when it was
    // announced.
    if (close_announced_ || connection_->upstream().kind() != ipc::UpstreamKind::unix_path) return complete(false);
    reason = "an end that neither a length, nor chunks, nor Connection: close had announced";
  }
  note_loss();
  finish(Outcome::upstream_truncated, status_, false, reason);
}

void Exchange::on_error(uv::Stream&, int error) {
  if (state_ != State::relaying) return attempt_failed(false, error);
  note_loss();
  finish(Outcome::upstream_truncated, status_, false);
}

// A worker may refuse a request before it has read all of it, and close: its answer is read, and the rest of the upload
// goes nowhere.
void Exchange::on_write_error(uv::Stream& stream, int error) {
  if (connection_->is_connecting()) return on_error(stream, error);
  deaf_ = true;
  if (upload_paused_) {
    upload_paused_ = false;
    client_->resume_upload();
  }
}

void Exchange::abort(Outcome outcome, int status, std::string_view text) {
  if (status == 0 || state_ == State::relaying || state_ == State::tunnelling) return finish(outcome, status_, false);
  note_sent(client_->own_response(status, outcome, text));
  finish(outcome, status, true);
}

void Exchange::fail(Outcome outcome, const char* reason) {
  const OutcomeInfo& info = info_of(outcome);
  note_sent(client_->own_response(info.status, outcome, info.text));
  finish(outcome, info.status, true, reason);
}

void Exchange::drop_connection(bool keep) {
  if (connection_ == nullptr) return;
  Upstream& upstream = connection_->upstream();
  upstream.release(std::move(connection_), keep, keep_alive_timeout_s_, keep_alive_max_);
}

void Exchange::finish(Outcome outcome, int status, bool whole, const char* reason) {
  disarm();
  if (websocket_ != nullptr && websocket_->tunnel != nullptr) {
    Tunnel& tunnel = *websocket_->tunnel;
    if (record_ != nullptr) record_->bytes_received += tunnel.from_client();
    note_sent(tunnel.from_worker());
    tunnel.stop();
    context_.loop.retire(std::move(websocket_->tunnel));
  }
  partial_head_.reset();
  if (decoder_ != nullptr) context_.give_back(std::move(decoder_));
  // Pieces of a body that broke its framing in the same read: they must not become part of another request.
  context_.to_worker.clear();
  app_->stop_holding(*this);
  end_trial();
  drop_connection(false);
  state_ = State::idle;
  if (record_ != nullptr && context_.logs_access()) log(outcome, status, reason);
  App& app = *app_;
  app.exchange_ended();
  // This object may serve another request from here on.
  client_->exchange_finished(whole);
  app.upstream_freed();
}

void Exchange::log(Outcome outcome, int status, const char* reason) {
  AccessRecord record;
  record_->tell(record);
  record.status = status;
  record.app = app_->name();
  record.retries = retries_;
  record.outcome = info_of(outcome).word;
  record.reason = reason;
  context_.log_access(record);
}

}  // namespace rota::proxy
