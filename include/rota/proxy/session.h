// A client connection speaking HTTP/1.1: reads heads, feeds an exchange, writes its response, keeps order, ends in
// stages.
//
//   (reading_proxy_header →) idle → reading_head → in_exchange → responding → idle ...;  in_exchange → tunnelling;
//   any → lingering → (retired)
//
// One deadline, for what it waits for from the client: that it takes what there is for it; else a head, body bytes, the
// next request, the end. A body that is still owed comes first.
//
// There are as many as there are clients, however slow: what only some of them need is not a member but memory of its
// own, as long as it is needed (tests/unit/proxy/sizes_test.cpp counts).
//
// Owned by its DataLoop; retires itself through it. A LoopContext and a DataLoop outlive their Sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/base/held_bytes.h"
#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/proxy/client_info.h"
#include "rota/proxy/deadlines.h"
#include "rota/proxy/exchange.h"
#include "rota/proxy/proxy_header.h"
#include "rota/uv/loop.h"
#include "rota/uv/stream.h"

namespace rota::proxy {

class Session;

class SessionOwner {
 public:
  // The app this request belongs to; null: none, and the answer is this one.
  struct Routed {
    App* app = nullptr;
    Outcome outcome = Outcome::no_route;
    int status = 0;
    const char* text = "";
  };
  virtual Routed route(const http::RequestHead& head, const ClientInfo& client) = 0;
  // What the PROXY protocol header says of the client. False: it is not to be served.
  virtual bool announced(ClientInfo& client, const ProxyHeader& header) = 0;
  virtual void bad_proxy_header(const ClientInfo& client, const char* why) = 0;
  // Hand the session to the loop for deletion.
  virtual void session_ended(Session& session) = 0;

 protected:
  ~SessionOwner() = default;
};

struct SessionLink : ListLink {};

class Session final : public SessionLink,
                      public uv::StreamListener,
                      public uv::Retirable,
                      public DeadlineNode,
                      public ExchangeClient {
 public:
  Session(LoopContext& context, SessionOwner& owner, ClientInfo client);
  ~Session() override;

  // Begins to read. False: the descriptor was refused.
  bool open(UniqueFd fd);
  // Before any byte was read: a PROXY protocol header comes first, within the deadline of the first head.
  void expect_proxy_header();
  // The loop drains: the next response says Connection: close, an idle connection ends after kIdleGrace.
  void drain();
  // Ends everything now; an exchange in progress is logged as shutting_down, and answered so when it has no response
  // yet.
  void cut();
  const std::string* listener() const { return client_.listener; }  // its name
  const Exchange* exchange() const { return exchange_.get(); }      // null: no request is in progress

  static constexpr std::size_t kPipelinedMax = 16 * 1024;  // bytes read ahead of the exchange in progress
  static constexpr Duration kLinger{2000};                 // for the peer to read our last bytes and close
  static constexpr std::uint64_t kLingerBytesMax = 64 * 1024 * 1024;
  static constexpr Duration kIdleGrace{500};
  // Within timeouts.body so much of the body must come (or its end), within timeouts.write so much be taken: who drips
  // byte by byte would keep a worker for ever.
  static constexpr std::uint32_t kBodyProgressMin = 256;
  static constexpr std::uint32_t kWriteProgressMin = 256;

 private:
  // responding: the head of the final response is out; the request's body may still be coming.
  // tunnelling: the stream is a Tunnel's until the exchange has finished.
  enum class State : std::uint8_t {
    reading_proxy_header,
    idle,
    reading_head,
    in_exchange,
    responding,
    tunnelling,
    lingering,
    ended
  };

  void on_read(uv::Stream& stream, std::string_view bytes) override;
  void on_end(uv::Stream& stream) override;
  void on_error(uv::Stream& stream, int error) override;
  void on_writable(uv::Stream& stream) override;
  void on_deadline() override;

  void response_head(const http::ResponseHead& head) override;
  void response_body(std::string_view data) override;
  void response_end(const std::vector<http::Field>& trailers) override;
  bool take_back() override;
  bool flush() override;
  std::size_t own_response(int status, Outcome outcome, std::string_view text) override;
  bool congested() const override;
  std::size_t room() const override;
  void await_room() override;
  void pause_upload() override;
  void resume_upload() override;
  uv::Stream& become_tunnel(std::string& held, bool& ended) override;
  void exchange_finished(bool whole) override;

  void take_proxy_header(std::string_view bytes);
  void take(std::string_view bytes);
  void take_unread();
  void hold(std::string_view bytes);
  void after_head(std::size_t used);
  std::size_t take_head(const http::HeadScan& scan, std::string_view bytes);  // bytes used up
  std::size_t start_exchange(std::string_view body);                          // likewise
  std::size_t feed_body(std::string_view bytes);                              // likewise
  bool body_complete() const { return body_kind_ == http::BodyKind::none; }
  void read_ahead(std::string_view bytes);
  bool next_request_waits();  // a pipelined one, for its turn or for the client to take earlier answers
  void take_next();           // its turn
  // An answer without an exchange, then the end of the connection unless everything of the request was read.
  void refuse(int status, Outcome outcome, std::string_view text, const http::RequestHead* head);
  void log_refusal(int status, Outcome outcome, std::string_view why, std::size_t bytes_sent,
                   const http::RequestHead* head);
  void after_response();
  void become_idle();
  void arm_body();
  void arm_idle();
  void await_bytes(Duration limit);
  void watch_writing();  // sets the deadline right when nothing is awaited but that the client takes what there is
  void write_deadline();
  void stop_reading_ahead();
  void resume_reading();
  void linger();
  void end();

  LoopContext& context_;
  SessionOwner& owner_;
  ClientInfo client_;
  uv::Stream stream_;
  // What of the request to come has been read: a part of its head, or whole requests behind the one in progress.
  struct Unread final : uv::Deferred {
    explicit Unread(Session& of) : session(of) {}
    void run_deferred() override { session.take_next(); }  // which may destroy this
    Session& session;
    http::HeadScan scan;  // how far the first head in it has been read
    HeldBytes bytes;      // never empty between two callbacks
  };
  std::unique_ptr<ProxyHeaderReader> proxy_header_;  // while one is read
  std::unique_ptr<Unread> unread_;
  std::unique_ptr<Exchange> exchange_;             // the request in progress
  std::unique_ptr<http::ChunkedDecoder> decoder_;  // of its body
  std::uint64_t left_ = 0;                         // of its body; while lingering, of what is read and thrown away
  // Since the deadline was set: bytes of the body; or what the stream's progress was then.
  std::uint32_t progress_ = 0;

  State state_ = State::idle;
  enum class Awaited : std::uint8_t { bytes, room } awaited_ = Awaited::bytes;  // by the deadline
  bool peer_closed_ = false;                                                    // the peer has sent its FIN
  bool taking_unread_ = false;  // unread_ is out, and something may be left of it
  // the request in progress
  http::BodyKind body_kind_ = http::BodyKind::none;
  http::Method method_ = http::Method::other;
  std::uint8_t client_minor_ = 1;
  bool passes_trailers_ = false;  // the request's
  bool wants_trailers_ = false;   // the response's
  bool keep_alive_ = true;        // after this response
  bool wants_json_ = false;
  bool upload_paused_ = false;
  // its response
  http::ClientFraming framing_ = http::ClientFraming::none;
  bool head_sent_ = false;  // of the final response
};

}  // namespace rota::proxy
