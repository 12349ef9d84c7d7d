// Children that are not ours by record: descendants of workers whose parents died, which the kernel gives to us because
// we are process 1 or a subreaper. They are reaped as they end, and ended when rota ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

namespace rota::keeper {

class Orphans {
 public:
  // owns: is this a child somebody has a record of? Those are left to their records.
  using Owns = std::function<bool(pid_t)>;

  // Becomes a subreaper. Children that exist already (of a shell that became rota by exec) are not touched, only
  // reaped.
  explicit Orphans(Owns owns);

  // Reaps all that are dead.
  void reap();
  // KILLs all that live. False: there was none.
  bool kill();

 private:
  void reap_one(pid_t pid);

  Owns owns_;
  std::vector<pid_t> inherited_;  // not reaped yet
};

}  // namespace rota::keeper
