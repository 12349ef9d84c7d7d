// What the supervisor asks of the keeper: decoded, checked, done. A request that ours would never make ends the
// supervisor.
#pragma once

#include <optional>

#include "rota/ipc/channel.h"
#include "rota/keeper/roles.h"
#include "rota/keeper/shelf.h"
#include "rota/keeper/systemd.h"
#include "rota/keeper/workers.h"

namespace rota::keeper {

class Requests {
 public:
  Requests(Roles& roles, Workers& workers, Shelf& shelf, const Systemd& systemd)
      : roles_(roles), workers_(workers), shelf_(shelf), systemd_(systemd) {}
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  void handle(ipc::Packet& packet, TimePoint now);

  // A new supervisor has asked for nothing yet.
  void start_over() { list_at_.reset(); }
  // Sends as much of a list as fits, then the ends of workers that are still untold. False: the rest when there is
  // room.
  bool continue_telling();

  // The supervisor has asked for the end of everything, with this exit code.
  std::optional<int> shutdown_code() const { return shutdown_code_; }

 private:
  bool dispatch(ipc::Packet& packet, TimePoint now);
  bool spawn(const ipc::Spawn& request, ipc::Packet& packet);
  bool bind(const ipc::Bind& request);
  bool shelve(const ipc::Shelve& request, ipc::Packet& packet);
  bool unshelve(const ipc::Unshelve& request);
  bool list_step();

  Roles& roles_;
  Workers& workers_;
  Shelf& shelf_;
  const Systemd& systemd_;
  UniqueFd saved_state_;
  std::optional<std::size_t> list_at_;  // how far the list that was asked for has been told
  std::optional<int> shutdown_code_;
};

}  // namespace rota::keeper
