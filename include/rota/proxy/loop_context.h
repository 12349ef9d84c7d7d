// What everything on one data loop shares: time, deadlines, the configuration in force, scratch memory, the access
// log's buffer. Outlives every session, exchange and upstream of its loop. Single-threaded but for the LogWriter behind
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"
#include "rota/http/serialize.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/access_log.h"
#include "rota/proxy/deadlines.h"
#include "rota/proxy/gather.h"
#include "rota/proxy/lost_requests.h"
#include "rota/proxy/origin.h"
#include "rota/proxy/spares.h"
#include "rota/proxy/suspects.h"
#include "rota/uv/loop.h"

namespace rota::proxy {

// What happens to upstreams and concerns the whole loop, or the supervisor.
class UpstreamEvents {
 public:
  // An upstream's backlog is full: let held exchanges try again in a few milliseconds.
  virtual void retry_soon() = 0;
  virtual void connect_failed(std::uint64_t upstream, int error) = 0;
  virtual void drained(std::uint64_t upstream) = 0;

 protected:
  ~UpstreamEvents() = default;
};

// What a worker's response head may take. Generous beside the client's limits: the worker is the user's own.
inline constexpr http::HeadLimits kResponseLimits{64 * 1024, 256, 0};

class Exchange;

class LoopContext {
 public:
  LoopContext(uv::Loop& loop, LogWriter& log_writer, Suspects& suspects, UpstreamEvents& events);
  ~LoopContext();

  uv::Loop& loop;
  UpstreamEvents& events;
  Suspects& suspects;  // shared by all loops
  Deadlines deadlines;
  LostRequests lost;
  // The state in force: shared by the loops that use it and the control thread that made it.
  std::shared_ptr<const ipc::ProxyState> state;

  // Scratch, used within one callback only.
  Gather to_client;
  Gather to_worker;
  http::RequestHead request_head;
  http::ResponseHead response_head;
  // Who has got a part of a head keeps the place where it ends.
  http::RequestHeadParser request_parser;
  http::ResponseHeadParser response_parser;
  Origin origin;

  void arm(DeadlineNode& node, Duration after) { deadlines.arm(node, after, loop.now()); }
  http::HeadLimits head_limits() const;
  bool draining() const { return state->phase == ipc::ProxyPhase::draining; }
  // IMF-fixdate of this second.
  std::string_view date();
  bool logs_access() const { return !state->access_log.empty(); }
  void log_access(const AccessRecord& record);
  void flush_access_log();  // each tick
  // The wall clock in milliseconds and a monotonic time in nanoseconds, for the access log.
  static std::int64_t wall_ms();
  static std::int64_t monotonic_ns();

  // Recycled with their memory.
  std::unique_ptr<Exchange> take_exchange();
  void give_back(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<http::ChunkedDecoder> take_decoder(std::uint64_t content_max = http::kContentLengthMax);
  void give_back(std::unique_ptr<http::ChunkedDecoder> decoder);

 private:
  static constexpr std::size_t kLinesMax = 48 * 1024;
  LogWriter& log_writer_;
  std::string lines_;
  std::int64_t date_second_ = -1;
  char date_[http::kDateLength];
  Spares<Exchange> exchanges_;
  Spares<http::ChunkedDecoder> decoders_;
};

}  // namespace rota::proxy
