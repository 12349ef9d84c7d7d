// Two connections joined after a 101: bytes both ways with back-pressure, ends passed on one by one, until both sides
// have ended, one has failed, or nothing has moved for timeouts.tunnel. Knows nothing of HTTP or WebSocket, and puts no
// byte of its own into the stream.
//
// The owner outlives it, and so do the streams until tunnel_ended().
#pragma once

#include <cstdint>
#include <string_view>

#include "rota/proxy/deadlines.h"
#include "rota/proxy/loop_context.h"
#include "rota/proxy/outcome.h"
#include "rota/uv/loop.h"
#include "rota/uv/stream.h"

namespace rota::proxy {

class TunnelOwner {
 public:
  // The last call, once: what was queued has gone out, or cannot. The owner closes both streams and retires the tunnel.
  virtual void tunnel_ended(Outcome outcome) = 0;

 protected:
  ~TunnelOwner() = default;
};

class Tunnel final : public uv::StreamListener, public uv::Retirable, public DeadlineNode {
 public:
  static constexpr std::uint32_t kWriteProgressMin = 256;  // to be taken by the client within timeouts.write

  Tunnel(LoopContext& context, uv::Stream& client, uv::Stream& worker, TunnelOwner& owner);

  // Takes over both streams. With what either side had sent before the tunnel was open, and whether the client has
  // sent its FIN already.
  void begin(std::string_view from_client, bool client_ended, std::string_view from_worker);
  // No call to the owner after this.
  void stop();

  std::uint64_t from_client() const { return client_.received; }
  std::uint64_t from_worker() const { return worker_.received; }
  bool worker_ended() const { return worker_.ended; }

 private:
  struct Side {
    Side(uv::Stream& of, Outcome when_it_fails) : stream(of), failure(when_it_fails) {}
    uv::Stream& stream;
    Outcome failure;
    std::uint64_t received = 0;
    bool ended = false;  // it has sent its FIN, or failed
    bool deaf = false;   // it takes no more
  };

  void on_read(uv::Stream& stream, std::string_view bytes) override;
  void on_end(uv::Stream& stream) override;
  void on_error(uv::Stream& stream, int error) override;
  void on_write_error(uv::Stream& stream, int error) override;
  void on_writable(uv::Stream& stream) override;
  void on_deadline() override;
  void client_stalled();

  Side& side(uv::Stream& stream) { return &stream == &client_.stream ? client_ : worker_; }
  Side& other(Side& of) { return &of == &client_ ? worker_ : client_; }
  void pass_on(Side& from, std::string_view bytes);
  void end_of(Side& from);
  void watch_client();
  void finish_if_done();
  void finish(Outcome outcome);

  LoopContext& context_;
  TunnelOwner* owner_;  // null: stopped
  Side client_;
  Side worker_;
  Outcome outcome_ = Outcome::ok;

  // Armed while something is queued for the client.
  struct WriteDeadline final : DeadlineNode {
    explicit WriteDeadline(Tunnel& of) : tunnel(of) {}
    void on_deadline() override { tunnel.client_stalled(); }
    Tunnel& tunnel;
  } write_deadline_{*this};
  std::uint32_t progress_at_arm_ = 0;
};

}  // namespace rota::proxy
