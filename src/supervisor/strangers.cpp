#include "rota/supervisor/strangers.h"

#include <signal.h>

#include <algorithm>

#include "rota/base/log.h"

namespace rota::supervisor {

void Strangers::take(const FoundProcess& process) {
  if (process.exited) {
    keeper_.acknowledge_exit(process.id);
    return;
  }
  log::warning("process {} belongs to no configured worker; stopping it", process.pid);
  ids_.push_back(process.id);
  keeper_.signal(process.id, SIGTERM, false);
  timer_.start(kStrangerGrace, kStrangerGrace);
}

bool Strangers::on_exited(std::uint64_t id) {
  auto at = std::find(ids_.begin(), ids_.end(), id);
  if (at == ids_.end()) return false;
  ids_.erase(at);
  keeper_.acknowledge_exit(id);
  if (ids_.empty()) timer_.stop();
  return true;
}

void Strangers::kill_all() {
  for (std::uint64_t id : ids_) keeper_.signal(id, SIGKILL, true);
}

void Strangers::on_timer(uv::Timer&) { kill_all(); }

}  // namespace rota::supervisor
