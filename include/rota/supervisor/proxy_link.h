// The supervisor's end of the channel to the proxy: the newest state out, what the proxy has seen in. There may be no
// proxy for a while; the state then goes to the next one. Unlike the keeper the proxy is allowed to be stuck: nothing
// waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "rota/base/unique_fd.h"
#include "rota/ipc/channel.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::supervisor {

class ProxyLinkListener {
 public:
  virtual void on_proxy_applied(std::uint64_t version) = 0;
  virtual void on_proxy_connect_failed(std::uint64_t upstream, int error) = 0;
  virtual void on_proxy_drained(std::uint64_t upstream) = 0;
  virtual void on_proxy_quiet() = 0;
  virtual void on_proxy_in_flight(std::uint64_t upstream, ipc::InFlight list) = 0;
  // It is of no use any more and should be killed; told once per proxy. A closed channel is mostly the first sign of
  // its end; but a proxy that lives on without one would never hear of a worker again, and a pair comes only with a
  // proxy.
  enum class Loss : std::uint8_t { closed, silent, broken };
  virtual void on_proxy_lost(std::uint64_t epoch, Loss loss) = 0;

 protected:
  ~ProxyLinkListener() = default;
};

class ProxyLink final : uv::FdListener, uv::TimerListener {
 public:
  ProxyLink(uv::Loop& loop, ProxyLinkListener& listener);

  // A proxy runs; whatever came before it is forgotten. own_epoch: the supervisor's.
  void connect(UniqueFd channel, std::uint64_t proxy_epoch, std::uint64_t own_epoch);
  void disconnect();
  bool connected() const { return static_cast<bool>(channel_); }

  // The sealed memfd of a state; sent now or as soon as there is somebody to take it.
  void publish(UniqueFd bulk, std::uint64_t version);
  // Does every loop of the proxy act on this state, or on a later one? Without a proxy nothing acts on an older one.
  bool applied(std::uint64_t version) const { return !connected() || applied_ >= version; }
  // What was in flight on a worker that has died? Before a state without it is published. False: nobody can be asked.
  bool ask_in_flight(std::uint64_t upstream);

 private:
  void on_readable(uv::FdWatcher& watcher) override;
  void on_timer(uv::Timer& timer) override;
  bool dispatch(ipc::Packet& packet);  // false: it broke the protocol
  bool take_in_flight(ipc::Packet& packet);
  void send_state();
  void tell_loss(ProxyLinkListener::Loss loss);

  uv::Loop& loop_;
  ProxyLinkListener& listener_;
  uv::Timer timer_;  // pings, and states that found no room
  ipc::Channel channel_;
  std::unique_ptr<uv::FdWatcher> watcher_;  // gone before the channel is closed
  std::uint64_t epoch_ = 0;
  std::uint64_t pings_ = 0;
  std::uint64_t answered_ = 0;  // the last ping that was
  bool loss_told_ = false;
  UniqueFd state_;  // the newest
  std::uint64_t version_ = 0;
  bool state_sent_ = false;    // to this proxy
  std::uint64_t applied_ = 0;  // by this proxy
};

}  // namespace rota::supervisor
