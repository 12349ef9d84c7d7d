// Reading, order and ends. What is written to the client is next door, in session_response.cpp.
#include "rota/proxy/session.h"

#include <algorithm>

#include "noted_fields.h"
#include "rota/base/check.h"
#include "rota/proxy/error_page.h"

namespace rota::proxy {

Session::Session(LoopContext& context, SessionOwner& owner, ClientInfo client)
    : context_(context), owner_(owner), client_(std::move(client)) {}

Session::~Session() { ROTA_CHECK(exchange_ == nullptr); }

bool Session::open(UniqueFd fd) {
  if (!stream_.open(context_.loop, std::move(fd), *this)) return false;
  await_bytes(context_.draining() ? kIdleGrace : context_.state->header);
  return true;
}

void Session::expect_proxy_header() {
  state_ = State::reading_proxy_header;
  proxy_header_ = std::make_unique<ProxyHeaderReader>();
}

// --- reading
// -------------------------------------------------------------------------------------------------------------

void Session::on_read(uv::Stream&, std::string_view bytes) {
  switch (state_) {
    case State::reading_proxy_header: return take_proxy_header(bytes);
    case State::idle:
      if (next_request_waits()) return read_ahead(bytes);
      return take(bytes);
    case State::reading_head: return take(bytes);
    case State::in_exchange:
    case State::responding: {
      bytes.remove_prefix(feed_body(bytes));
      if (exchange_ != nullptr && !bytes.empty()) read_ahead(bytes);
      return;
    }
    case State::lingering:
      if (bytes.size() > left_) return end();
      left_ -= bytes.size();
      return;
    case State::tunnelling:
    case State::ended: return;
  }
}

// Who cannot say this much is no client: there is nobody to be answered.
void Session::take_proxy_header(std::string_view bytes) {
  http::Progress progress = proxy_header_->read(bytes);
  if (progress == http::Progress::incomplete) return;
  std::unique_ptr<ProxyHeaderReader> reader = std::move(proxy_header_);
  if (progress == http::Progress::rejected) {
    owner_.bad_proxy_header(client_, reader->why());
    return end();
  }
  if (!owner_.announced(client_, reader->header())) return end();
  state_ = State::idle;
  if (!bytes.empty()) take(bytes);
}

void Session::read_ahead(std::string_view bytes) {
  hold(bytes);
  // The worker's answer must come first; until then the client's further requests wait in its own kernel buffer.
  if (unread_->bytes.size() >= kPipelinedMax) stream_.stop_reading();
}

void Session::hold(std::string_view bytes) {
  if (unread_ == nullptr) unread_ = std::make_unique<Unread>(*this);
  unread_->bytes.append(bytes);
}

// One head at most: a pipelined successor waits for its predecessor's end.
void Session::take(std::string_view bytes) {
  if (unread_ != nullptr) {
    hold(bytes);
    return take_unread();
  }
  const std::size_t used = take_head({}, bytes);
  if (state_ == State::lingering || state_ == State::ended || used == bytes.size()) return;
  hold(bytes.substr(used));
  after_head(used);
}

void Session::take_unread() {
  // take_head() reads spans of its bytes: nothing may touch them meanwhile.
  std::unique_ptr<Unread> unread = std::move(unread_);
  taking_unread_ = true;
  const std::size_t used = take_head(unread->scan, unread->bytes.view());
  taking_unread_ = false;
  if (state_ == State::lingering || state_ == State::ended) return;
  if (used == unread->bytes.size()) {
    if (state_ == State::idle && peer_closed_) linger();
    return;
  }
  unread->bytes.remove_prefix(used);
  unread_ = std::move(unread);
  after_head(used);
}

// What is held now is the beginning of a head, or what came behind the one that was `used`.
void Session::after_head(std::size_t used) {
  unread_->scan = used == 0 ? context_.request_parser.scan_state() : http::HeadScan();
  if (exchange_ != nullptr && unread_->bytes.size() >= kPipelinedMax) stream_.stop_reading();
  if (state_ == State::idle && used > 0) become_idle();
}

bool Session::next_request_waits() { return stream_.waits() || (unread_ != nullptr && unread_->linked()); }

// The next pipelined request, once the client has taken the answers before it.
void Session::take_next() {
  if (state_ == State::idle && stream_.is_open() && !stream_.waits()) take_unread();
}

std::size_t Session::take_head(const http::HeadScan& scan, std::string_view bytes) {
  http::RequestHeadParser& parser = context_.request_parser;
  parser.resume(scan);
  parser.set_limits(context_.head_limits());
  http::RequestHead& head = context_.request_head;
  switch (parser.parse(bytes, head)) {
    case http::Progress::incomplete:
      if (peer_closed_) {
        linger();  // the rest cannot come any more
        return bytes.size();
      }
      stream_.start_reading();
      if (state_ == State::idle && !parser.untouched()) {
        // From the first byte on the whole head has one deadline, however its bytes drip.
        state_ = State::reading_head;
        await_bytes(context_.state->header);
      }
      return 0;
    case http::Progress::rejected:
      keep_alive_ = false;
      method_ = http::Method::other;
      refuse(parser.rejection().status, Outcome::bad_request, parser.rejection().why, nullptr);
      return bytes.size();
    case http::Progress::complete: break;
  }
  const std::size_t head_size = parser.consumed();
  disarm();
  return head_size + start_exchange(bytes.substr(head_size));
}

std::size_t Session::start_exchange(std::string_view body) {
  http::RequestHead& head = context_.request_head;
  state_ = State::in_exchange;
  method_ = head.method;
  client_minor_ = static_cast<std::uint8_t>(head.version_minor);
  keep_alive_ = head.keep_alive && !context_.draining();
  body_kind_ = head.framing.kind;
  left_ = head.framing.length;
  framing_ = http::ClientFraming::none;
  head_sent_ = false;
  passes_trailers_ = !head.nominates_trailers;
  wants_trailers_ = head.te_trailers;
  NotedFields noted = noted_fields(head);
  wants_json_ = wants_json(noted.accept);
  std::uint64_t body_max = context_.state->body_max.count;
  if (body_max > 0 && body_kind_ == http::BodyKind::length && left_ > body_max) {
    refuse(413, Outcome::body_too_large, info_of(Outcome::body_too_large).text, &head);
    return body.size();
  }
  SessionOwner::Routed routed = owner_.route(head, client_);
  if (routed.app == nullptr) {
    // The body belongs to this request and is never read as the next one: it ends the connection.
    bool whole = body_complete();
    refuse(routed.status, routed.outcome, routed.text, &head);
    return whole ? 0 : body.size();
  }
  exchange_ = context_.take_exchange();
  const http::Forwarding& forwarding = context_.origin.judge(head, client_, *context_.state);
  exchange_->start(*this, *routed.app, head, forwarding);
  if (ExchangeRecord* record = exchange_->record()) {
    record->note({context_.origin.shown(), forwarding.request_id, head.method_text, head.host, head.target,
                  noted.user_agent, noted.referer});
  }
  if (body_kind_ == http::BodyKind::chunked)
    decoder_ = context_.take_decoder(body_max > 0 ? body_max : http::kContentLengthMax);
  if (body_complete()) {
    exchange_->upload_complete();
    exchange_->begin();
    return 0;
  }
  arm_body();
  std::size_t used = feed_body(body);
  // Reading has stopped when the client was too far ahead, or at its end.
  if (exchange_ != nullptr && !body_complete() && !upload_paused_) stream_.start_reading();
  if (exchange_ != nullptr && state_ == State::in_exchange) exchange_->begin();
  return used;
}

std::size_t Session::feed_body(std::string_view bytes) {
  if (body_complete() || bytes.empty()) return 0;
  std::string_view rest = bytes;
  if (awaited_ == Awaited::bytes) progress_ += static_cast<std::uint32_t>(rest.size());
  if (progress_ >= kBodyProgressMin && !upload_paused_ && state_ == State::in_exchange) arm_body();
  if (body_kind_ == http::BodyKind::length) {
    std::string_view part = rest.substr(0, left_);
    left_ -= part.size();
    rest.remove_prefix(part.size());
    if (left_ == 0) body_kind_ = http::BodyKind::none;
    exchange_->upload(part);
  } else {
    while (exchange_ != nullptr && !body_complete()) {
      http::ChunkedDecoder::Event event = decoder_->next(rest);
      if (event == http::ChunkedDecoder::Event::more) break;
      if (event == http::ChunkedDecoder::Event::done) {
        body_kind_ = http::BodyKind::none;
      } else if (event == http::ChunkedDecoder::Event::error) {
        const http::Rejection why = decoder_->rejection();
        if (why.status == 413) {
          exchange_->abort(Outcome::body_too_large, 413, info_of(Outcome::body_too_large).text);
        } else {
          exchange_->abort(Outcome::bad_request, why.status, why.why);
        }
      } else {
        exchange_->upload(decoder_->data());
      }
    }
  }
  // The exchange may have ended meanwhile: its answer was ours, or the client is gone.
  if (exchange_ == nullptr) return bytes.size();
  if (body_complete()) {
    watch_writing();
    if (decoder_ != nullptr && passes_trailers_) {
      exchange_->upload_complete(decoder_->trailers());
    } else {
      exchange_->upload_complete();
    }
  } else {
    exchange_->flush_upload();
  }
  return bytes.size() - rest.size();
}

void Session::on_end(uv::Stream&) {
  peer_closed_ = true;
  switch (state_) {
    case State::reading_proxy_header: return end();
    case State::idle:
      if (unread_ != nullptr && next_request_waits()) return;
      return linger();
    case State::reading_head: return linger();
    case State::in_exchange:
    case State::responding:
      // A FIN after a whole request is no abort: the client may have closed its sending side only.
      if (!body_complete()) {
        state_ = State::ended;
        exchange_->abort(Outcome::client_closed);
      }
      return;
    case State::lingering:
      if (stream_.queued() == 0) end();
      return;
    case State::tunnelling:
    case State::ended: return;
  }
}

void Session::on_error(uv::Stream&, int) {
  state_ = State::ended;
  if (exchange_ != nullptr) return exchange_->abort(Outcome::client_closed);
  end();
}

void Session::pause_upload() {
  upload_paused_ = true;
  stream_.stop_reading();
  watch_writing();
}

void Session::resume_upload() {
  upload_paused_ = false;
  if (exchange_ == nullptr || peer_closed_) return;
  stream_.start_reading();
  if (!body_complete() && state_ == State::in_exchange) arm_body();
}

void Session::arm_body() {
  await_bytes(context_.state->body);
  progress_ = 0;
}

void Session::await_bytes(Duration limit) {
  awaited_ = Awaited::bytes;
  context_.arm(*this, limit);
}

// What the client has sent behind the handshake goes through the tunnel; more of it has been left in the kernel.
uv::Stream& Session::become_tunnel(std::string& held, bool& ended) {
  state_ = State::tunnelling;
  disarm();
  if (unread_ != nullptr) held = unread_->bytes.view();
  unread_.reset();
  ended = peer_closed_;
  return stream_;
}

// --- between and after exchanges
// -----------------------------------------------------------------------------------------

void Session::exchange_finished(bool whole) {
  context_.give_back(std::move(exchange_));
  if (decoder_ != nullptr) context_.give_back(std::move(decoder_));
  upload_paused_ = false;
  if (state_ == State::ended || state_ == State::tunnelling) return end();
  if (whole) return after_response();
  // The response broke off. A length or the missing last chunk says so; a body that only the end delimits needs a
  // reset.
  keep_alive_ = false;
  if (framing_ == http::ClientFraming::until_close || framing_ == http::ClientFraming::none) {
    stream_.reset_on_close();
    return end();
  }
  linger();
}

void Session::after_response() {
  if (state_ == State::ended) return end();
  if (!keep_alive_ || !body_complete() || (peer_closed_ && unread_ == nullptr && !taking_unread_)) return linger();
  become_idle();
}

void Session::become_idle() {
  state_ = State::idle;
  if (unread_ != nullptr) context_.loop.defer(*unread_);
  if (unread_ != nullptr && unread_->bytes.size() >= kPipelinedMax) stream_.stop_reading();
  if (!stream_.waits()) resume_reading();
  arm_idle();
}

void Session::arm_idle() {
  if (stream_.waits()) return watch_writing();
  await_bytes(context_.draining() ? kIdleGrace : context_.state->idle);
}

void Session::drain() {
  if (state_ == State::idle) arm_idle();
}

void Session::cut() {
  const OutcomeInfo& info = info_of(Outcome::shutting_down);
  if (exchange_ != nullptr) exchange_->abort(Outcome::shutting_down, info.status, info.text);
  end();
}

// RFC 9112 9.6: our side is closed first; the peer reads what we said and closes; only then, or after a while, do we.
void Session::linger() {
  state_ = State::lingering;
  unread_.reset();
  left_ = kLingerBytesMax;
  stream_.shut_down_writing();
  if (peer_closed_ && stream_.queued() == 0) return end();
  if (!peer_closed_) stream_.start_reading();
  watch_writing();
  if (!stream_.waits()) await_bytes(kLinger);
}

void Session::on_deadline() {
  if (awaited_ == Awaited::room) return write_deadline();
  switch (state_) {
    case State::reading_proxy_header:
    case State::idle:
    case State::lingering: return end();
    case State::reading_head:
      keep_alive_ = false;
      method_ = http::Method::other;
      return refuse(408, Outcome::request_timeout, info_of(Outcome::request_timeout).text, nullptr);
    case State::in_exchange:
      return exchange_->abort(Outcome::request_timeout, 408, info_of(Outcome::request_timeout).text);
    case State::responding:
    case State::tunnelling:
    case State::ended: return;
  }
}

void Session::end() {
  state_ = State::ended;
  disarm();
  if (!stream_.is_open()) return;
  // Unsent bytes of a response that was not finished must not look like its end.
  if (stream_.queued() > 0) stream_.reset_on_close();
  stream_.close();
  owner_.session_ended(*this);
}

}  // namespace rota::proxy
