// One request and its response: picks an upstream (or waits for one), writes the request, reads the response, and ends
// exactly once through finish(). Knows no client connection: the request's body comes in and the response goes out
// through its client, so that a client may have many exchanges at a time.
//
//   idle → holding ⇄ awaiting_response → relaying or tunnelling → idle
//                           ↓ doubting: the attempt has failed, and a moment will tell whether its worker has died
//
// The request's own side (upload) runs beside it: reading → complete.
// Owned by its client; recycled through the LoopContext. Logs one access line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"
#include "rota/http/websocket.h"
#include "rota/proxy/app.h"
#include "rota/proxy/deadlines.h"
#include "rota/proxy/outcome.h"
#include "rota/proxy/retry.h"
#include "rota/proxy/tunnel.h"
#include "rota/uv/stream.h"

namespace rota::proxy {

class Exchange;

// The client's side of an exchange. Calls come from within the exchange's own callbacks; none may destroy the exchange.
class ExchangeClient {
 public:
  // Parts of a response in order; spans die with the call to flush(). head.status may be 1xx, then another head
  // follows.
  virtual void response_head(const http::ResponseHead& head) = 0;
  virtual void response_body(std::string_view data) = 0;
  virtual void response_end(const std::vector<http::Field>& trailers) = 0;
  // Takes a response back of which nothing has been sent yet. False: too late.
  virtual bool take_back() = 0;
  // Writes what was given since the last flush in one go. False: the client is gone (the exchange ends as
  // client_closed).
  virtual bool flush() = 0;
  // A short answer of rota's own instead of a response.
  // `text`: a sentence without a full stop for the page. Written at once; returns the size of its body.
  virtual std::size_t own_response(int status, Outcome outcome, std::string_view text) = 0;
  virtual bool congested() const = 0;    // something waits that the client has not taken
  virtual std::size_t room() const = 0;  // about how much it would take at once
  // The worker takes no more for now, or takes it again.
  virtual void pause_upload() = 0;
  virtual void resume_upload() = 0;
  // After a 101: the client's stream, for the tunnel, until exchange_finished(). `held` gets what the client has sent
  // behind its request; `ended`: it has sent its FIN.
  virtual uv::Stream& become_tunnel(std::string& held, bool& ended) = 0;
  // The last call. whole: the response went out complete.
  virtual void exchange_finished(bool whole) = 0;

 protected:
  ~ExchangeClient() = default;
};

// What the exchange remembers of the request for its log line.
struct RequestNotes {
  std::string client;
  std::string request_id;
  std::string method;
  std::string host;
  std::string target;
  std::string user_agent;
  std::string referer;
};

class Exchange final : public uv::StreamListener,
                       public uv::Retirable,
                       public DeadlineNode,
                       public Held,
                       public TunnelOwner {
 public:
  explicit Exchange(LoopContext& context);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // A dying process closes its descriptors in no order: its listener may outlive the connection by a moment.
  static constexpr Duration kDoubt{50};
  // Body bytes kept for another attempt.
  static constexpr std::size_t kReplayMax = 64 * 1024;
  static constexpr int kInterimMax = 16;
  // A response is read in pieces that the client's buffers have room for, so that what a slow client leaves behind is
  // not much more than the least of them. After smaller ones nobody asks.
  static constexpr std::size_t kReadMin = 4096;
  static constexpr std::size_t kReadFirst = 32 * 1024;  // what a fresh connection takes, on any network
  static constexpr std::uint32_t kRetriesAtOnce = 4;
  // How long an upstream that has sent bytes out of turn is listened to before it is given a request.
  static constexpr Duration kListening{25};

  // Takes the request's head; nothing is sent before begin(). The client and the app outlive the exchange.
  void start(ExchangeClient& client, App& app, const http::RequestHead& head, const http::Forwarding& forwarding);
  RequestNotes& notes() { return notes_; }
  // Gives back memory beyond what the next request is likely to need.
  void trim();
  // Content of the request body, decoded; then its end. Before or after begin(). Pieces of one read leave together at
  // flush_upload() or upload_complete(), within the same callback.
  void upload(std::string_view data);
  void flush_upload();
  void upload_complete(const std::vector<http::Field>& trailers = {});
  void begin();

  void client_writable();
  // Its request is in flight on this upstream. unread: the kernel says that it had not been read.
  bool is_on(std::uint64_t upstream) const;
  bool is_unread() const { return state_ == State::doubting; }
  ipc::RequestInFlight describe() const;
  // The client broke off, broke a rule or was too slow: ends the exchange. With a status (and no response begun) it is
  // told so.
  void abort(Outcome outcome, int status = 0, std::string_view text = {});

 private:
  // doubting: see above. listening: connected to an upstream that is not trusted to wait for a request.
  enum class State : std::uint8_t { idle, holding, doubting, listening, awaiting_response, relaying, tunnelling };
  enum class Upload : std::uint8_t { reading, complete };

  void on_read(uv::Stream& stream, std::string_view bytes) override;
  void on_end(uv::Stream& stream) override;
  void on_error(uv::Stream& stream, int error) override;
  void on_write_error(uv::Stream& stream, int error) override;
  void on_writable(uv::Stream& stream) override;
  void on_deadline() override;
  bool try_upstream() override;
  void give_up() override { fail(Outcome::shutting_down); }
  void tunnel_ended(Outcome outcome) override;

  bool attempt();  // false: no upstream for now
  void hold();
  bool send_request();  // false: this connection is of no use, try another
  void send_upload();
  void await_response();
  void attempt_failed(bool eof, int error);
  void keep_only_the_head();  // there will be no other attempt
  // The worker has ended the connection of a request that it may have read. Is it dead, and is this request to blame?
  void note_loss();
  bool is_guarded() const { return app_->settings().poison_after > 0; }
  void add_to_lost(std::uint64_t upstream, TimePoint now);
  bool waits_for_the_death(const RetryFacts& retry) const;
  bool may_have_died() const;
  std::uint64_t fingerprint();
  bool is_refused();
  void end_trial();
  void note_answer();
  bool doubts(const AttemptFacts& facts, const RetryFacts& retry) const;
  void try_again(Delivery delivery, bool elsewhere);
  void resolve_doubt();
  void note_attempt(std::int64_t before);
  void take_heads(std::string_view bytes);
  bool take_head();  // false: the exchange is over
  void switch_protocols(std::string_view rest);
  bool take_body(std::string_view& bytes);
  void relay(std::string_view bytes);
  void pace_worker(std::size_t came);
  void body_broken();
  void complete(bool surplus);
  void drop_connection(bool keep);
  void fail(Outcome outcome);  // own response when none has begun, else a cut
  void finish(Outcome outcome, int status, bool whole);
  void log(Outcome outcome, int status);

  LoopContext& context_;
  ExchangeClient* client_ = nullptr;
  App* app_ = nullptr;

  State state_ = State::idle;
  Upload upload_ = Upload::reading;

  // the request
  http::Method method_ = http::Method::other;
  bool chunked_upload_ = false;
  bool websocket_ = false;
  http::WebSocketAccept websocket_accept_{};
  std::string replay_;          // regenerated head; and encoded body so far, while another attempt is possible
  std::size_t head_bytes_ = 0;  // of it
  bool replayable_ = true;
  bool has_body_ = false;
  bool upload_paused_ = false;
  std::uint64_t bytes_received_ = 0;

  // the attempt
  std::unique_ptr<UpstreamConnection> connection_;
  std::uint64_t accepted_before_ = 0;  // connection's count when the attempt began
  bool one_write_ = false;
  bool deaf_ = false;          // the worker takes no more of the request
  std::uint32_t retries_ = 0;  // attempts after the first
  std::uint32_t retries_possibly_read_ = 0;
  std::uint64_t avoid_upstream_ = 0;
  bool never_again_ = false;    // it must not get this request again
  bool loss_noted_ = false;     // of this attempt
  bool failed_by_eof_ = false;  // the attempt that is doubted
  int failed_error_ = 0;
  std::uint64_t fingerprint_ = 0;  // 0: not needed so far
  bool on_trial_ = false;          // see Suspects
  TimePoint give_up_holding_{};
  TimePoint started_at_{};

  // the response
  http::ResponseHeadParser response_parser_;
  http::ChunkedDecoder decoder_;
  std::string response_input_;  // an incomplete head
  http::BodyKind body_kind_ = http::BodyKind::none;
  std::uint64_t body_left_ = 0;
  bool worker_keeps_alive_ = false;
  bool last_of_connection_ = false;
  bool close_announced_ = false;
  bool drops_trailers_ = false;
  bool decoded_ = false;  // the body is chunked
  std::uint32_t keep_alive_timeout_s_ = 0;
  std::uint32_t keep_alive_max_ = 0;
  int interim_ = 0;
  int status_ = 0;
  const char* reason_ = "";  // what was wrong with the worker's answer; a literal
  std::unique_ptr<Tunnel> tunnel_;

  // statistics
  RequestNotes notes_;
  std::uint64_t bytes_sent_ = 0;
  std::int64_t wall_ms_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t attempt_ns_ = 0;  // start of the current wait for an upstream
  std::int64_t queue_ns_ = 0;
  std::int64_t connect_ns_ = 0;
  std::int64_t first_byte_ns_ = -1;
  std::int64_t slot_ = -1;
  std::string upstream_;
};

}  // namespace rota::proxy
