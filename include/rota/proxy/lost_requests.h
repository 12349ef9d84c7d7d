// Requests whose worker ended their connection before it had answered them: remembered for a moment by each loop, until
// it is known whether that worker has died. Knows no connection and no exchange.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/suspects.h"

namespace rota::proxy {

// `head`: as the worker got it. Neither the query nor any field but X-Request-ID is taken.
ipc::RequestInFlight describe_request(std::string_view head, Duration age, bool answered);

// Of two loops together.
void merge(ipc::InFlight& into, ipc::InFlight&& more);
// The oldest first; beyond kInFlightMax those in the middle are left out: one that hangs a worker is among the oldest,
// one that crashes it mostly among the youngest.
void cut(ipc::InFlight& list);

// What counts a lost request as a suspect if its worker has died. Nothing of it is set when nobody wants to know, or
// when its response had begun: what lasts long is in flight at every death.
struct Suspicion {
  std::uint64_t fingerprint = 0;
  std::uint32_t limit = 0;  // retry.poison_after
  std::string_view app;
};

class LostRequests {
 public:
  static constexpr Duration kMemory{5000};           // a supervisor may have to be started before it asks
  static constexpr Duration kSweepEvery{1000};       // what is older is let go then: a death may lose thousands at once
  static constexpr std::size_t kUpstreamsMax = 256;  // beyond that the one that lost none for longest is forgotten
  static constexpr std::size_t kRequestsMax = 4096;  // of all upstreams together; the rest is counted

  void add(std::uint64_t upstream, ipc::RequestInFlight request, TimePoint now, const Suspicion& suspicion = {});
  void add_unread(std::uint64_t upstream, TimePoint now);  // the worker had certainly not read it
  // What was lost there within kMemory. May be asked again: whoever asked first may have died with the answer.
  ipc::InFlight of(std::uint64_t upstream, TimePoint now) const;
  // A worker has answered this request: what it was lost to before does not count.
  void forgive(std::uint64_t fingerprint);
  // This upstream's worker has died. May be told again. The log says which requests are refused for it.
  void blame(std::uint64_t upstream, Suspects& suspects, TimePoint now);

 private:
  struct Lost {
    ipc::RequestInFlight request;
    TimePoint at{};
    bool unread = false;            // and nothing else is known of it
    bool blamed = false;            // so were all before it
    std::uint64_t fingerprint = 0;  // 0: no suspect
    std::uint32_t limit = 0;
    std::string app;
  };
  struct Entry {
    std::uint64_t upstream = 0;
    TimePoint last{};
    std::uint32_t untold = 0;  // beyond kRequestsMax, in a row without a gap of kMemory
    std::vector<Lost> requests;
  };
  void forget_old(TimePoint now);
  void remember(std::uint64_t upstream, Lost lost);

  std::vector<Entry> entries_;
  TimePoint next_sweep_{};
};

}  // namespace rota::proxy
