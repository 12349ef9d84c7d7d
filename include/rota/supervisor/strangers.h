// Processes the keeper holds that no configured slot claims: left by an earlier supervisor whose record was lost, or by
// an app that is configured otherwise now. They are asked to end, then killed; their exits are acknowledged and their
// output discarded.
#pragma once

#include <cstdint>
#include <vector>

#include "rota/supervisor/keeper_link.h"
#include "rota/uv/handles.h"

namespace rota::supervisor {

inline constexpr Duration kStrangerGrace{10s};

// One process of the keeper's list.
struct FoundProcess {
  std::uint64_t id = 0;
  int pid = 0;
  bool exited = false;
  int status = 0;
  Fds output;
};

class Strangers final : uv::TimerListener {
 public:
  Strangers(uv::Loop& loop, KeeperLink& keeper) : keeper_(keeper), timer_(loop, *this) {}

  void take(const FoundProcess& process);
  bool on_exited(std::uint64_t id);  // false: not one of these
  bool empty() const { return ids_.empty(); }
  void kill_all();

 private:
  void on_timer(uv::Timer& timer) override;

  KeeperLink& keeper_;
  uv::Timer timer_;
  std::vector<std::uint64_t> ids_;
};

}  // namespace rota::supervisor
