// What a session writes: a worker's response, framed for this client, and short answers of its own.
#include "noted_fields.h"
#include "rota/proxy/error_page.h"
#include "rota/proxy/session.h"

namespace rota::proxy {

void Session::response_head(const http::ResponseHead& head) {
  Gather& gather = context_.to_client;
  http::ResponseOptions options;
  options.client_minor = client_minor_;
  options.date = context_.date();
  options.via = http::kViaName;
  if (head.status < 200) {
    if (client_minor_ == 0) return;  // RFC 9110 15.2
    options.interim = true;
    options.to_websocket = head.status == 101;
  } else {
    bool bodiless = method_ == http::Method::head || head.status == 204 || head.status == 304;
    if (bodiless) {
      framing_ =
          head.has_content_length && head.status != 204 ? http::ClientFraming::length : http::ClientFraming::none;
      options.length = head.content_length;
    } else if (head.framing.kind == http::BodyKind::none || head.framing.kind == http::BodyKind::length) {
      framing_ = http::ClientFraming::length;
      options.length = head.framing.length;
    } else {
      framing_ = client_minor_ > 0 ? http::ClientFraming::chunked : http::ClientFraming::until_close;
    }
    // An answer before the request's end closes the connection: what is still coming cannot become the next request.
    keep_alive_ =
        keep_alive_ && body_complete() && framing_ != http::ClientFraming::until_close && !context_.draining();
    options.framing = framing_;
    options.keep_alive = keep_alive_;
    options.trailers = wants_trailers_ && framing_ == http::ClientFraming::chunked;
    // What is left of the request is no longer waited for: a client may rightly stop sending it now.
    state_ = State::responding;
    watch_writing();
  }
  gather.begin_text();
  http::append_response_head(gather.text(), head, options);
  gather.end_text();
}

void Session::response_body(std::string_view data) {
  Gather& gather = context_.to_client;
  if (gather.nearly_full()) static_cast<void>(flush());
  if (framing_ == http::ClientFraming::chunked) {
    gather.add_chunk(data);
  } else {
    gather.add(data);
  }
}

void Session::response_end(const std::vector<http::Field>& trailers) {
  if (framing_ != http::ClientFraming::chunked) return;
  Gather& gather = context_.to_client;
  if (gather.nearly_full()) static_cast<void>(flush());
  if (trailers.empty() || !wants_trailers_) return gather.add(http::kLastChunk);
  gather.begin_text();
  http::append_last_chunk(gather.text(), trailers);
  gather.end_text();
}

bool Session::take_back() {
  if (state_ != State::responding || head_sent_) return false;
  context_.to_client.clear();
  framing_ = http::ClientFraming::none;
  state_ = State::in_exchange;
  return true;
}

bool Session::flush() {
  Gather& gather = context_.to_client;
  if (state_ == State::ended) {
    gather.clear();
    return false;
  }
  if (gather.empty()) return true;
  head_sent_ = state_ == State::responding;
  int error = stream_.write(gather.parts());
  gather.clear();
  if (error != 0) {
    state_ = State::ended;
    return false;
  }
  watch_writing();
  return true;
}

bool Session::congested() const { return stream_.is_open() && stream_.waits(); }

std::size_t Session::room() const { return stream_.is_open() ? stream_.room() : uv::Stream::kReadMax; }

void Session::await_room() {
  stop_reading_ahead();
  stream_.await_room();
  watch_writing();
}

void Session::watch_writing() {
  if (state_ == State::in_exchange && !body_complete() && !upload_paused_) return;
  if (!stream_.waits()) return disarm();
  if (armed() && awaited_ == Awaited::room) return;
  stop_reading_ahead();
  awaited_ = Awaited::room;
  progress_ = stream_.progress();
  context_.arm(*this, context_.state->write);
}

// Who does not take his answers need not have further requests read: they can wait in the kernel, as the answers do.
void Session::stop_reading_ahead() {
  if (body_complete() && state_ != State::lingering) stream_.stop_reading();
}

void Session::resume_reading() {
  if (peer_closed_ || upload_paused_ || (unread_ != nullptr && unread_->bytes.size() >= kPipelinedMax)) return;
  stream_.start_reading();
}

// A slow reader is not a dead one: only who has taken next to nothing since then is cut off.
void Session::write_deadline() {
  if (stream_.progress() - progress_ >= kWriteProgressMin) return watch_writing();
  state_ = State::ended;
  if (exchange_ != nullptr) return exchange_->abort(Outcome::client_write_timeout);
  end();
}

std::size_t Session::own_response(int status, Outcome outcome, std::string_view text) {
  // Whatever of the request has not come yet is not waited for.
  keep_alive_ = keep_alive_ && body_complete() && !context_.draining();
  // 200: an OPTIONS request whose last hop we are (RFC 9110 9.3.7); it has no page.
  ErrorPage page;
  if (status != 200) page = make_error_page(status, text, info_of(outcome).word, wants_json_);
  http::OwnResponse response;
  response.status = status;
  response.content_type = page.content_type;
  response.body = page.body;
  std::string extra;
  if (const int after = info_of(outcome).retry_after_s; after > 0) {
    extra.append("Retry-After: ").append(std::to_string(after)).append("\r\n");
  }
  if (status == 405 || status == 200) {  // RFC 9110 15.5.6
    extra.append("Allow: ").append(http::kAllowedMethods).append("\r\n");
  }
  response.extra_fields = extra;
  response.date = context_.date();
  response.keep_alive = keep_alive_;
  response.head_only = method_ == http::Method::head;
  response.client_minor = client_minor_;
  Gather& gather = context_.to_client;
  gather.begin_text();
  http::append_own_response(gather.text(), response);
  gather.end_text();
  static_cast<void>(flush());
  return response.head_only ? 0 : page.body.size();
}

void Session::refuse(int status, Outcome outcome, std::string_view text, const http::RequestHead* head) {
  if (!body_complete()) keep_alive_ = false;
  std::size_t bytes_sent = own_response(status, outcome, text);
  if (context_.logs_access()) log_refusal(status, outcome, text, bytes_sent, head);
  after_response();
}

void Session::log_refusal(int status, Outcome outcome, std::string_view why, std::size_t bytes_sent,
                          const http::RequestHead* head) {
  AccessRecord record;
  record.time_ms = LoopContext::wall_ms();
  record.client = context_.origin.shown_of(head, client_, *context_.state);
  record.status = status;
  record.outcome = info_of(outcome).word;
  record.reason = why;
  record.bytes_sent = bytes_sent;
  if (head != nullptr) {
    record.method = head->method_text;
    record.host = head->host;
    record.target = head->target;
    NotedFields noted = noted_fields(*head);
    record.user_agent = noted.user_agent;
    record.referer = noted.referer;
  }
  context_.log_access(record);
}

void Session::on_writable(uv::Stream&) {
  switch (state_) {
    case State::in_exchange:
    case State::responding:
      watch_writing();
      if (!stream_.waits()) resume_reading();
      return exchange_->client_writable();
    case State::idle:
      if (stream_.waits()) return;
      resume_reading();
      if (unread_ != nullptr) context_.loop.defer(*unread_);
      return arm_idle();
    case State::lingering:
      if (stream_.waits()) return;
      if (peer_closed_) return end();
      return await_bytes(kLinger);
    case State::reading_proxy_header:
    case State::tunnelling:
    case State::reading_head:
    case State::ended: return;
  }
}

}  // namespace rota::proxy
