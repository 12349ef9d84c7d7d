// Where clients connect: from configured addresses to the keeper's listening sockets, and what to say when one cannot
// be had. Knows the keeper's verbs; nothing of the proxy but what its state
// says of listeners.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rota/config/config.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/supervisor/keeper_link.h"
#include "rota/supervisor/lookup.h"
#include "rota/supervisor/start_failure.h"

namespace rota::supervisor {

struct Listener {
  std::string name;         // on the keeper's shelf
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
  virtual void on_listeners_ready() = 0;
  virtual void on_listeners_failed(const StartFailure& failure) = 0;

 protected:
  ~ListenersListener() = default;
};

class Listeners {
 public:
  Listeners(KeeperLink& keeper, ListenersListener& listener) : keeper_(keeper), listener_(listener) {}

  // What the keeper holds already, before start().
  void found(const ipc::Shelved& shelved);
  // bind_missing: false when the end has begun; what was closed for it stays closed.
  void start(std::vector<Listener> planned, std::uint32_t threads, bool bind_missing);
  void on_bound(const ipc::Bound& bound);
  void close_all();
  std::vector<ipc::ListenerState> states() const;
  std::string summary() const;  // "127.0.0.1:8080, [::1]:8080"

 private:
  struct Held {
    std::string name;
    std::uint16_t port;
  };
  void bind(const Listener& planned);
  void finish_one();

  KeeperLink& keeper_;
  ListenersListener& listener_;
  std::vector<Held> held_;
  std::vector<Listener> all_;
  std::size_t waiting_ = 0;
  std::uint32_t threads_ = 1;
  bool bind_missing_ = true;
  Failure failure_;
};

}  // namespace rota::supervisor
