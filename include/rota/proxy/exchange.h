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

#include "rota/base/held_bytes.h"
#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"
#include "rota/http/websocket.h"
#include "rota/proxy/app.h"
#include "rota/proxy/deadlines.h"
#include "rota/proxy/exchange_record.h"
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
  virtual void await_room() = 0;         // congested, until there is a good deal of it
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

class Exchange final : public uv::StreamListener, public uv::Retirable, public DeadlineNode, public Held {
 public:
  explicit Exchange(LoopContext& context);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // A dying process closes its descriptors in no order: its listener may outlive the connection by a moment.
  static constexpr Duration kDoubt{50};
  // Body bytes kept for another attempt.
  static constexpr std::size_t kReplayMax = 64 * 1024;
  static constexpr int kInterimMax = 16;
  // Less room than this at the client is none; after smaller pieces nobody asks how much there is.
  static constexpr std::size_t kReadMin = 4096;
  static constexpr std::size_t kReadFirst = 32 * 1024;  // what a fresh connection takes, on any network
  static constexpr std::uint32_t kRetriesAtOnce = 4;
  // How long an upstream that has sent bytes out of turn is listened to before it is given a request.
  static constexpr Duration kListening{25};

  // Takes the request's head; nothing is sent before begin(). The client and the app outlive the exchange.
  void start(ExchangeClient& client, App& app, const http::RequestHead& head, const http::Forwarding& forwarding);
  // For what the log line shall say of the request; null: there is no log.
  ExchangeRecord* record() { return record_.get(); }
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

  bool attempt();  // false: no upstream for now
  void hold();
  bool send_request();  // false: this connection is of no use, try another
  void send_upload();
  void hold_for_replay();       // what is about to be sent
  void forget_replay();         // there will be no further attempt
  void keep_only_what_tells();  // of the request; it may go on for long
  bool may_be_retried() const;
  void await_response();
  void attempt_failed(bool eof, int error);
  // The worker has ended the connection of a request that it may have read. Is it dead, and is this request to blame?
  void note_loss();
  bool is_guarded() const { return app_->settings().poison_after > 0; }
  void add_to_lost(std::uint64_t upstream, TimePoint now);
  bool waits_for_the_death(const RetryFacts& retry) const;
  bool may_have_died() const;
  std::uint64_t fingerprint();
  bool refuse_poisoned();  // true: it was
  void end_trial();
  void note_answer();
  bool doubts(const AttemptFacts& facts, const RetryFacts& retry) const;
  void try_again(Delivery delivery, bool elsewhere);
  void resolve_doubt();
  void take_heads(std::string_view bytes);
  bool take_head();  // false: the exchange is over
  void switch_protocols(std::string_view rest);
  bool take_body(std::string_view& bytes);
  void pass_on(std::string_view body);
  void note_sent(std::size_t bytes);  // of a body, all in all
  void relay(std::string_view bytes);
  void wait_for_client();
  void pace_worker(std::size_t came);
  void body_broken();
  void complete(bool surplus);
  void drop_connection(bool keep);
  // Own response when none has begun, else a cut. `reason`: what was wrong with the worker's answer; a literal.
  void fail(Outcome outcome, const char* reason = "");
  void finish(Outcome outcome, int status, bool whole, const char* reason = "");
  void log(Outcome outcome, int status, const char* reason);

  LoopContext& context_;
  ExchangeClient* client_ = nullptr;
  App* app_ = nullptr;

  // Regenerated head, and encoded body so far while another attempt is possible; when it may take long and none is: a
  // brief of it.
  HeldBytes request_;
  // What another attempt needs besides.
  struct Replay {
    std::size_t head_size = 0;  // of request_
    TimePoint give_up_holding{};
    std::uint64_t avoid_upstream = 0;
    std::uint32_t accepted_before = 0;  // the connection's count when the attempt began
    std::uint32_t possibly_read = 0;    // attempts that the worker may have read
    bool never_again = false;           // that upstream must not get this request again
  };
  std::unique_ptr<Replay> replay_;  // null when brief_
  std::unique_ptr<UpstreamConnection> connection_;
  TimePoint started_at_{};

  // The beginning of a head that did not come at once.
  struct PartialHead {
    http::HeadScan scan;  // how far it has been read
    HeldBytes bytes;
  };
  std::unique_ptr<PartialHead> partial_head_;
  std::unique_ptr<http::ChunkedDecoder> decoder_;  // of a chunked body
  std::uint64_t body_left_ = 0;                    // of one with a length
  std::uint64_t fingerprint_ = 0;                  // 0: not needed so far

  // Of a request that offers WebSocket.
  struct WebSocket final : TunnelOwner {
    explicit WebSocket(Exchange& of) : exchange(of) {}
    void tunnel_ended(Outcome outcome) override;
    Exchange& exchange;
    http::WebSocketAccept accept{};
    std::unique_ptr<Tunnel> tunnel;
  };
  std::unique_ptr<WebSocket> websocket_;

  std::unique_ptr<ExchangeRecord> record_;

  State state_ = State::idle;
  Upload upload_ = Upload::reading;
  http::Method method_ = http::Method::other;
  http::BodyKind body_kind_ = http::BodyKind::none;  // of the response
  // the request
  bool chunked_upload_ : 1 = false;
  bool has_body_ : 1 = false;
  bool upload_paused_ : 1 = false;
  bool brief_ : 1 = false;
  bool last_of_connection_ : 1 = false;
  bool on_trial_ : 1 = false;  // see Suspects
  // the attempt
  bool replayable_ : 1 = true;
  bool one_write_ : 1 = false;
  bool deaf_ : 1 = false;           // the worker takes no more of the request
  bool loss_noted_ : 1 = false;     // of it
  bool failed_by_eof_ : 1 = false;  // while it is doubted
  // the response
  bool worker_keeps_alive_ : 1 = false;
  bool close_announced_ : 1 = false;
  bool drops_trailers_ : 1 = false;
  std::uint8_t interim_ = 0;
  std::uint16_t status_ = 0;
  std::uint16_t keep_alive_timeout_s_ = 0;  // the worker's announcement, as far as it matters
  std::uint16_t keep_alive_max_ = 0;
  std::uint16_t retries_ = 0;       // attempts after the first, as far as one counts
  std::uint16_t failed_error_ = 0;  // beside failed_by_eof_
};

}  // namespace rota::proxy
