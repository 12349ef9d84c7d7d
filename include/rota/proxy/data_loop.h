// One thread, one libuv loop, and everything on it: listeners, sessions, apps, deadlines. Loops share nothing but the
// immutable state and the log writer; they are told by commands and tell by events, through mailboxes.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "rota/base/intrusive_list.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/app.h"
#include "rota/proxy/listener.h"
#include "rota/proxy/loop_context.h"
#include "rota/proxy/mailbox.h"
#include "rota/proxy/routing.h"
#include "rota/proxy/session.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::proxy {

// Control thread -> loop.
struct ApplyState {
  ApplyState(std::shared_ptr<const ipc::ProxyState> of, std::size_t connections)
      : state(std::move(of)), routing(std::make_shared<const RoutingTable>(*state)), connections_max(connections) {}
  std::shared_ptr<const ipc::ProxyState> state;
  std::shared_ptr<const RoutingTable> routing;  // of that state; shared by the loops
  std::size_t connections_max;                  // of each loop
};
struct TakeListeners {  // replaces those of this name; none: gone
  std::string name;
  std::vector<UniqueFd> fds;
};
struct LoopPing {
  std::uint64_t number;
};
struct AskInFlight {  // this upstream's worker has died
  std::uint64_t upstream;
};
struct StopLoop {};
using LoopCommand = std::variant<ApplyState, TakeListeners, LoopPing, AskInFlight, StopLoop>;

// Loop -> control thread.
struct LoopApplied {
  std::uint64_t version;
};
struct LoopConnectFailed {
  std::uint64_t upstream;
  int error;
};
struct LoopDrained {
  std::uint64_t version;  // of the state the loop had: what is true of an older one may be false of the next
  std::uint64_t upstream;
};
struct LoopQuiet {
  std::uint64_t version;
};
struct LoopPong {
  std::uint64_t number;
};
struct LoopInFlight {
  std::uint64_t upstream;
  ipc::InFlight list;
};
struct LoopEvent {
  std::size_t loop;
  std::variant<LoopApplied, LoopConnectFailed, LoopDrained, LoopQuiet, LoopPong, LoopInFlight> what;
};

class LoopEvents {
 public:
  virtual void post(LoopEvent event) = 0;  // any thread

 protected:
  ~LoopEvents() = default;
};

class DataLoop final : public uv::WakeupListener,
                       public uv::TimerListener,
                       public uv::Deferred,
                       public SessionOwner,
                       public ListenerOwner,
                       public UpstreamEvents {
 public:
  DataLoop(std::size_t index, LogWriter& log_writer, ClientGate& gate, Suspects& suspects, LoopEvents& events);
  ~DataLoop();  // after stop()
  DataLoop(const DataLoop&) = delete;
  DataLoop& operator=(const DataLoop&) = delete;

  void start();                     // the thread
  void command(LoopCommand order);  // any thread
  void stop();                      // ends every session and joins the thread

 private:
  static constexpr Duration kRetrySoon{5};
  static constexpr Duration kDescriptorPause{100};
  // A rota behind a rota is nothing odd; so many are a loop.
  static constexpr unsigned kOwnViasMax = 8;

  void on_wakeup(uv::Wakeup& wakeup) override;
  void on_timer(uv::Timer& timer) override;
  void run_deferred() override;
  Routed route(const http::RequestHead& head, const ClientInfo& client) override;
  bool announced(ClientInfo& client, const ProxyHeader& header) override;
  void bad_proxy_header(const ClientInfo& client, const char* why) override;
  void session_ended(Session& session) override;
  void accepted(Listener& by, UniqueFd fd, ClientInfo client) override;
  bool has_room() const override;
  void out_of_descriptors() override;
  void retry_soon() override;
  void connect_failed(std::uint64_t upstream, int error) override;
  void drained(std::uint64_t upstream) override;

  void obey(ApplyState& order);
  void obey(TakeListeners& order);
  void obey(LoopPing& order);
  void obey(AskInFlight& order);
  void obey(StopLoop& order);
  void apply_apps(const ipc::ProxyState& state);
  void limit_connections(std::size_t most);
  bool admit(ClientInfo& client);  // false: its address has too many connections
  bool may_announce(const Listener& by, const ClientInfo& client);
  void tell_if_quiet();
  void update_listeners();
  void forget_listener_names();
  void release_held();
  void sweep();

  std::size_t index_;
  std::size_t connections_max_ = 0;  // until the first state
  ClientGate& gate_;
  LoopEvents& events_;
  Mailbox<LoopCommand> commands_;

  uv::Loop loop_;
  LoopContext context_;
  std::vector<std::unique_ptr<App>> apps_;
  std::shared_ptr<const RoutingTable> routing_;
  std::vector<App*> routed_;              // the state's apps, by their place there
  std::string routing_scratch_;           // used within one look-up only
  std::set<std::string> listener_names_;  // of listeners and of sessions, which outlive them
  std::vector<std::unique_ptr<Listener>> listeners_;
  IntrusiveList<Session, SessionLink> sessions_;  // owned; freed by retirement
  std::size_t session_count_ = 0;
  bool accepting_ = false;  // the listeners are watched
  bool full_ = false;       // connections_max_ was reached: not watched until there is room
  bool quiet_told_ = false;
  std::vector<LoopCommand> orders_;  // obeyed at the end of this turn

  uv::Wakeup wakeup_;
  uv::Timer tick_;
  uv::Timer retry_timer_;
  uv::Timer descriptor_timer_;
  std::thread thread_;
};

}  // namespace rota::proxy
