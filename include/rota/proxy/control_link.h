// The proxy's main thread: what the keeper and the supervisor say, turned into commands for the data loops, and what
// the loops say, turned into messages for the supervisor.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rota/ipc/channel.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/data_loop.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::proxy {

inline constexpr std::size_t kDeathsOpenMax = 256;  // asked about at a time; beyond that there is no answer

class ControlLink final : public uv::FdListener, public uv::WakeupListener, public LoopEvents {
 public:
  ControlLink(uv::Loop& loop, UniqueFd keeper, UniqueFd signals);
  ~ControlLink();

  void post(LoopEvent event) override;

 private:
  struct ShelfEntry {
    bool listener = false;
    std::vector<UniqueFd> fds;
  };

  void on_readable(uv::FdWatcher& watcher) override;
  void on_wakeup(uv::Wakeup& wakeup) override;

  void read_keeper();
  void read_supervisor();
  void keeper_said(ipc::Packet& packet);
  void supervisor_said(ipc::Packet& packet);
  void take_fds(ipc::Packet& packet);
  void forget_fds(std::string_view name);
  void take_supervisor(ipc::Packet& packet);
  void take_state(ipc::Packet& packet, std::uint64_t version);
  void start_loops();
  void hand_out_listener(const std::string& name);
  void use_access_log();
  void handle(LoopEvent& event);
  void answer_ping(std::uint64_t number);
  void ask_in_flight(std::uint64_t upstream);
  void add_in_flight(std::size_t loop, std::uint64_t upstream, ipc::InFlight&& list);
  void tell_in_flight(std::uint64_t upstream, ipc::InFlight list);
  // Messages to a supervisor that is gone or stuck are dropped: the next one gets the facts anew.
  template <class M>
  void tell(const M& message);

  uv::Loop& loop_;
  ipc::Channel keeper_;
  ipc::Channel supervisor_;
  UniqueFd signals_;
  std::uint64_t epoch_ = 0;
  std::map<std::string, ShelfEntry, std::less<>> shelf_;
  std::shared_ptr<const ipc::ProxyState> state_;

  LogWriter log_writer_;
  ClientGate gate_;
  Suspects suspects_;
  std::vector<std::unique_ptr<DataLoop>> loops_;
  Mailbox<LoopEvent> events_;
  // What every loop must have said before the supervisor is told.
  std::set<std::size_t> applied_, quiet_, ponged_;
  std::uint64_t ping_ = 0;
  bool ping_open_ = false;  // not every loop has answered it yet
  std::map<std::uint64_t, std::set<std::size_t>> drained_;
  struct InFlightSoFar {
    std::set<std::size_t> told;
    ipc::InFlight list;
  };
  std::map<std::uint64_t, InFlightSoFar> in_flight_;  // by upstream whose worker has died; at most kDeathsOpenMax
  std::uint64_t dropped_lines_ = 0;

  uv::Wakeup wakeup_;
  uv::FdWatcher keeper_watcher_;
  uv::FdWatcher signal_watcher_;
  std::unique_ptr<uv::FdWatcher> supervisor_watcher_;
};

}  // namespace rota::proxy
