// The proxy's half of the two-sided harness: a real loop, context, app and sessions between sockets whose other ends
// the harness holds, in one thread and in a time of its own. It does what a script orders and knows nothing of HTTP.
//
// The loop and the log's thread are made once for a process; everything else anew for each script.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "peer.h"
#include "rota/proxy/app.h"
#include "rota/proxy/exchange.h"
#include "rota/proxy/loop_context.h"
#include "rota/proxy/session.h"
#include "rota/proxy/suspects.h"
#include "script.h"

namespace rota::fuzz {

// A request as the session routed it; its number (from 1) is told to the worker as the port of X-Forwarded-Port.
struct RoutedRequest {
  std::size_t client = 0;
  std::string method;
  std::string target;
  bool refused = false;
};

struct Client : Peer {
  using Peer::Peer;
  std::vector<unsigned> requests;  // numbers of routed requests, in order
};

struct WorkerConnection : Peer {
  WorkerConnection(UniqueFd of, bool over_tcp, std::size_t of_slot) : Peer(std::move(of), over_tcp), slot(of_slot) {}
  std::size_t slot;
};

inline constexpr std::size_t kFdsMax = 128;

class World final : public proxy::SessionOwner, public proxy::UpstreamEvents {
 public:
  explicit World(Script& script);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void play();
  // Nobody does anything any more, and time passes; or everybody closes. Either way nothing may be left.
  void finish();

  std::deque<Client> clients;
  std::deque<WorkerConnection> workers;
  std::vector<RoutedRequest> requests;
  static constexpr std::size_t kSlots = 2;
  static constexpr std::uint32_t kRetries = 1;
  // Nobody closed, stopped reading or died, nothing changed and no time passed before all had been said: whatever was
  // answered must have arrived.
  bool calm = false;

 private:
  static constexpr std::size_t kClientsMax = 4;
  static constexpr std::size_t kWorkersMax = 40;
  struct Ground;
  static Ground& ground();

  Routed route(const http::RequestHead& head, const proxy::ClientInfo& client) override;
  bool announced(proxy::ClientInfo&, const proxy::ProxyHeader&) override { return true; }
  void bad_proxy_header(const proxy::ClientInfo&, const char*) override {}
  void session_ended(proxy::Session& session) override;
  void retry_soon() override { retry_wanted_ = true; }
  void connect_failed(std::uint64_t, int) override {}
  void drained(std::uint64_t) override {}

  void obey(const Order& order);
  void say(const Order& order, Text& text, Peer* peer);
  void connect_client();
  void accept_workers(std::size_t slot);
  void next(std::size_t& which, std::size_t count);
  Client* client() { return clients.empty() ? nullptr : &clients[client_]; }
  WorkerConnection* worker() { return workers.empty() ? nullptr : &workers[worker_]; }
  void listen(std::size_t slot, bool on);
  void die();
  ipc::ProxyState wanted(std::uint32_t kind) const;
  void apply(std::uint32_t kind);
  void pass(Duration time);
  void settle();
  bool pump();
  bool pump_peer(Peer& peer, short events, bool reads);

  Script& script_;
  Ground& ground_;
  bool clients_over_tcp_ = false;
  bool workers_over_tcp_ = false;
  TimePoint now_;
  unsigned step_ = 1;
  std::bitset<kFdsMax> descriptors_before_;

  proxy::Suspects suspects_;
  proxy::LoopContext context_;
  std::vector<std::unique_ptr<proxy::App>> apps_;
  proxy::App* app_ = nullptr;  // the state's; else none
  IntrusiveList<proxy::Session, proxy::SessionLink> sessions_;
  std::size_t session_count_ = 0;
  std::array<std::uint64_t, kSlots> ids_{};  // 0: not in the state
  std::uint64_t last_id_ = 0;
  std::uint32_t kind_ = 0;
  bool draining_ = false;

  std::size_t client_ = 0;
  std::size_t worker_ = 0;
  bool client_reads_ = true;
  bool workers_read_ = true;
  bool accepting_ = true;
  std::array<bool, kSlots> listening_{true, true};
  bool retry_wanted_ = false;
  bool loop_ready_ = false;
  const std::string listener_name_ = "fuzz";
};

}  // namespace rota::fuzz
