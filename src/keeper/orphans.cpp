#include "rota/keeper/orphans.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "rota/sys/proc.h"
#include "rota/sys/process.h"

namespace rota::keeper {

Orphans::Orphans(Owns owns) : owns_(std::move(owns)), inherited_(sys::own_children()) {
  if (::getpid() != 1) ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

// Its number may be another child's from now on.
void Orphans::reap_one(pid_t pid) {
  if (sys::reap_child(pid)) std::erase(inherited_, pid);
}

void Orphans::reap() {
  while (std::optional<pid_t> dead = sys::peek_dead_child()) {
    if (!owns_(*dead)) {
      reap_one(*dead);
      continue;
    }
    // A zombie that is kept hides the others from a wait for any child: ask for each of them by number.
    for (pid_t child : sys::own_children()) {
      if (!owns_(child)) reap_one(child);
    }
    return;
  }
}

bool Orphans::kill() {
  bool any = false;
  for (pid_t child : sys::own_children()) {
    if (owns_(child) || std::find(inherited_.begin(), inherited_.end(), child) != inherited_.end()) continue;
    any = true;
    ::kill(child, SIGKILL);  // our own child: the number cannot belong to another before we reap it
  }
  reap();
  return any;
}

}  // namespace rota::keeper
