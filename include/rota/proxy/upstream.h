// A worker or server as one loop sees it: its phase, what is in flight, and the pool of connections to it (LIFO, no
// lock). An App outlives its Upstreams, an Upstream outlives its UpstreamConnections.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/http/response_head.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/deadlines.h"
#include "rota/proxy/loop_context.h"
#include "rota/sys/socket.h"
#include "rota/uv/stream.h"

namespace rota::proxy {

class Upstream;

// One connection to a worker: lent to an exchange, which listens to it, or idle in its upstream's pool and watched
// there.
class UpstreamConnection {
 public:
  explicit UpstreamConnection(Upstream& upstream) : upstream_(upstream) {}

  Upstream& upstream() { return upstream_; }
  uv::Stream& stream() { return stream_; }
  // A TCP connect has not been answered yet: nobody has said so, and the kernel has taken nothing.
  bool is_connecting() const { return connecting && stream_.accepted() == 0; }
  bool connecting = false;
  std::uint32_t exchanges = 0;  // that it has served

 private:
  friend class Upstream;
  Upstream& upstream_;
  uv::Stream stream_;
};

class Upstream final : public uv::StreamListener, public DeadlineNode {
 public:
  Upstream(LoopContext& context, const ipc::UpstreamState& state);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  std::uint64_t id() const { return id_; }
  std::uint32_t slot() const { return slot_; }
  ipc::UpstreamKind kind() const { return kind_; }
  const std::string& address() const { return address_; }
  ipc::UpstreamPhase phase() const { return phase_; }
  std::uint32_t in_flight() const { return in_flight_; }

  // A new phase from the supervisor; takes back an ejection. Draining closes the pool.
  void set_phase(ipc::UpstreamPhase phase);
  // Gone from the state: closes the pool; to be deleted once nothing is in flight.
  void forget();
  bool is_forgotten() const { return forgotten_; }
  bool finished() const { return forgotten_ && in_flight_ == 0; }

  // Out of rotation in this loop until kEjection has passed or the supervisor says something new.
  void eject(int error);
  bool ejected(TimePoint now) const { return now < ejected_until_; }

  // It has sent bytes while no request was under way. For kDistrust its connections are not kept, and new ones are
  // listened to before they are given a request.
  void distrust();
  bool distrusted(TimePoint now) const { return now < distrusted_until_; }

  // Asks the kernel, by a connect that is dropped at once. A full backlog is somebody.
  bool is_listening() const;

  // A connection for one exchange, from the pool or new; in_flight counts it. error: EAGAIN means busy (a full backlog,
  // or no descriptor left), anything else that nobody listens there.
  struct Acquired {
    std::unique_ptr<UpstreamConnection> connection;
    int error = 0;
  };
  Acquired acquire(uv::StreamListener& user);
  // Ends the exchange's use of it. `keep_it`: request and response are both wholly done and no byte is left over.
  // keep_alive_timeout_s and keep_alive_max are the worker's announcement, 0 for none.
  void release(std::unique_ptr<UpstreamConnection> connection, bool keep_it, std::uint32_t keep_alive_timeout_s,
               std::uint32_t keep_alive_max);

  static constexpr Duration kEjection{1000};
  static constexpr Duration kDistrust{10'000};
  static constexpr std::size_t kIdleMax = 256;

 private:
  // An idle connection, and when it is too old to be used again.
  struct Idle {
    std::unique_ptr<UpstreamConnection> connection;
    TimePoint until;
  };

  // Of idle connections: any byte or end on one closes it.
  void on_read(uv::Stream& stream, std::string_view bytes) override;
  void on_end(uv::Stream& stream) override { discard(stream); }
  void on_error(uv::Stream& stream, int) override { discard(stream); }
  void on_writable(uv::Stream&) override {}
  void on_deadline() override;

  void keep(std::unique_ptr<UpstreamConnection> connection, TimePoint until);
  void discard(uv::Stream& idle);
  void close_pool();
  void tell_if_drained();

  LoopContext& context_;
  std::uint64_t id_;
  std::uint32_t slot_;
  ipc::UpstreamKind kind_;
  std::string address_;  // path, or the numeric address with its port as text
  sys::SocketAddress socket_address_;
  ipc::UpstreamPhase phase_;
  bool forgotten_ = false;
  bool drained_told_ = false;
  bool failure_told_ = false;  // connect_failed, since the last set_phase
  std::uint32_t in_flight_ = 0;
  TimePoint ejected_until_{};
  TimePoint distrusted_until_{};
  std::vector<Idle> idle_;  // the last is used next
};

}  // namespace rota::proxy
