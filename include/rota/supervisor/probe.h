// One check of one upstream, over a connection of its own: a connect, or a GET and the head of its answer.
// Knows sockets and response heads; what an outcome means is the checker's and the lifecycle's business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "rota/sys/socket.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"
#include "rota/uv/stream.h"

namespace rota::supervisor {

inline constexpr std::size_t kProbeHeadMax = 16 * 1024;

struct ProbeOutcome {
  enum class Kind : std::uint8_t {
    connected,  // and nothing more was asked
    answered,   // see status
    gone,       // refused, no such file
    busy,       // a Unix listener's backlog is full
    timeout,
    broken,  // closed without an answer, not HTTP, another error
  };
  Kind kind = Kind::broken;
  int status = 0;
  int error = 0;
};

class ProbeListener {
 public:
  // The probe may be destroyed inside.
  virtual void on_probe(const ProbeOutcome& outcome) = 0;

 protected:
  ~ProbeListener() = default;
};

class Probe final : uv::StreamListener, uv::TimerListener {
 public:
  // path empty: a connect is the whole check. An outcome that is known at once is returned and the listener not called.
  static std::optional<ProbeOutcome> start(uv::Loop& loop, const sys::SocketAddress& address, const std::string& path,
                                           Duration timeout, ProbeListener& listener, std::unique_ptr<Probe>& probe);
  Probe(uv::Loop& loop, bool connect_only, ProbeListener& listener);

 private:
  void on_read(uv::Stream& stream, std::string_view bytes) override;
  void on_end(uv::Stream& stream) override;
  void on_error(uv::Stream& stream, int error) override;
  void on_writable(uv::Stream&) override {}
  void on_timer(uv::Timer& timer) override;
  void finish(const ProbeOutcome& outcome);

  uv::Loop& loop_;
  bool connect_only_;
  ProbeListener& listener_;
  uv::Timer timer_;
  TimePoint give_up_at_{};
  std::string head_;
  uv::Stream stream_;
};

}  // namespace rota::supervisor
