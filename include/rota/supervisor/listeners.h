// Where clients connect: from configured addresses to the keeper's listening sockets, and what to say when one cannot
// be had. Knows the keeper's verbs; nothing of the proxy but what its state
// says of listeners.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rota/config/config.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/supervisor/keeper_link.h"
#include "rota/supervisor/lookup.h"
#include "rota/supervisor/start_failure.h"

namespace rota::supervisor {

struct Listener {
  std::string name;         // on the keeper's shelf; the same for the same address in every plan
  config::Address address;  // as configured
  ipc::BindKind kind = ipc::BindKind::tcp4;
  std::string host;  // numeric
  std::uint16_t port = 0;
  bool v6only = true;
  bool optional = false;  // one of several addresses of a name, or of both families: another one may do
  bool bound = false;
  bool proxy_protocol = false;
  std::vector<std::uint32_t> configured;  // indexes into Config::listen: two names may stand for one address
};

struct PlannedListeners {
  std::vector<Listener> listeners;
  Failure failure;
};
// names: every host of these addresses.
PlannedListeners plan_listeners(const std::vector<config::Listener>& wanted, const ResolvedNames& names);
StartFailure explain_bind(const Listener& listener, int error, const std::string& step);
std::string text_of(const Listener& listener);  // "127.0.0.1:8080" with the real port

class ListenersListener {
 public:
  // The plan can be had: commit() puts it in force.
  virtual void on_listeners_ready() = 0;
  // It cannot; what was bound for it is closed again.
  virtual void on_listeners_failed(const StartFailure& failure) = 0;

 protected:
  ~ListenersListener() = default;
};

// First everything new is bound, then all of it is put in force, or nothing: a socket that stays is never touched.
class Listeners {
 public:
  Listeners(KeeperLink& keeper, ListenersListener& listener) : keeper_(keeper), listener_(listener) {}

  // What the keeper holds already, before the first prepare().
  void found(const ipc::Shelved& shelved);
  // bind_missing: false when the end has begun; what was closed for it stays closed.
  void prepare(std::vector<Listener> planned, std::uint32_t threads, bool bind_missing);
  // nobody_told: that what was found on the shelf is listened on.
  void commit(bool nobody_told = false);
  void abandon();  // what was bound for the plan is closed again
  void on_bound(const ipc::Bound& bound);
  void close_all();  // what is being prepared, too

  std::vector<ipc::ListenerState> states() const;
  // The shelf names of a configured listener, by its index in Config::listen.
  std::vector<std::string> names_of(std::uint32_t configured) const;
  std::string summary() const;  // "127.0.0.1:8080, [::1]:8080"

 private:
  struct Plan {
    std::vector<Listener> listeners;
    std::uint32_t threads = 1;
    bool bind_missing = true;
    std::size_t waiting = 0;      // for answers of the keeper
    std::set<std::string> fresh;  // bound for this plan
    Failure failure;
  };
  void bind(const Listener& planned);
  void finish();
  void unshelve(const std::string& name);

  KeeperLink& keeper_;
  ListenersListener& listener_;
  std::map<std::string, std::uint16_t> held_;  // on the keeper's shelf, with their ports
  std::vector<Listener> all_;                  // in force
  std::optional<Plan> plan_;                   // not in force yet
};

}  // namespace rota::supervisor
