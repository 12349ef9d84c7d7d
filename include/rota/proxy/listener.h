// One listening socket on one loop: accepts in small batches, so that a burst of new clients does not starve the old
// ones.
#pragma once

#include <cstdint>
#include <string>

#include "rota/base/unique_fd.h"
#include "rota/proxy/session.h"
#include "rota/sys/socket.h"
#include "rota/uv/handles.h"

namespace rota::proxy {

class Listener;
class ListenerOwner {
 public:
  virtual void accepted(Listener& by, UniqueFd fd, ClientInfo client) = 0;
  virtual bool has_room() const = 0;      // another client may be taken
  virtual void out_of_descriptors() = 0;  // pause all listeners for a while

 protected:
  ~ListenerOwner() = default;
};

class Listener final : public uv::FdListener {
 public:
  static constexpr int kBatch = 16;

  // The name outlives every session of this listener.
  Listener(uv::Loop& loop, const std::string& name, UniqueFd fd, ListenerOwner& owner);

  const std::string& name() const { return name_; }
  // Every connection begins with a PROXY protocol header.
  bool proxy_protocol = false;
  void start() { watcher_.start(); }
  void stop() { watcher_.stop(); }
  // Everything that waits in the backlog, while there is room.
  void accept_all();

 private:
  void on_readable(uv::FdWatcher& watcher) override;
  bool accept_one();  // false: nothing more for now

  const std::string& name_;
  UniqueFd fd_;
  ListenerOwner& owner_;
  std::uint16_t port_ = 0;
  uv::FdWatcher watcher_;  // after fd_
};

}  // namespace rota::proxy
