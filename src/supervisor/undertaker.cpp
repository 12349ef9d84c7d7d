#include "rota/supervisor/undertaker.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "rota/base/clock.h"
#include "rota/base/log.h"
#include "rota/sys/proc.h"

namespace rota::supervisor {

namespace {

constexpr Duration kLookEvery{20};
constexpr Duration kDeathPatience{2000};

pid_t keeper = 0;  // 0: nobody has prepared for anything

// The kernel sends it at the keeper's death (PDEATHSIG), and the keeper when everything ends.
void on_term(int) {
  if (::getppid() == keeper) {
    ::signal(SIGTERM, SIG_DFL);
    ::raise(SIGTERM);
  } else {
    ::alarm(kUndertakingMax);
  }
}

void pause_for(Duration time) {
  timespec wait{0, std::chrono::nanoseconds(time).count()};
  ::nanosleep(&wait, nullptr);
}

struct Group {
  pid_t leader = 0;
  std::uint64_t start_time = 0;  // of the leader
  bool told = false;             // what is left of it was sent TERM
};

bool leads(const Group& group) {
  std::optional<sys::ProcStat> stat = sys::read_proc_stat(group.leader);
  return stat && stat->start_time == group.start_time && stat->state != 'Z' && stat->state != 'X';
}

// Sends what is due, and forgets the groups that are empty. Nobody reaps for us: the number of a group that is empty
// may belong to others a moment later, so that one which was seen empty is never looked at again.
void look(std::vector<Group>& groups, bool kill) {
  std::vector<sys::GroupQuery> queries;
  for (const Group& group : groups) queries.push_back({group.leader, false});
  sys::find_others(queries);
  std::erase_if(groups, [&](Group& group) {
    bool led = leads(group);
    auto query = std::ranges::lower_bound(queries, group.leader, {}, &sys::GroupQuery::group);
    if (!led && !query->has_others) return true;
    if (kill) {
      ::kill(-group.leader, SIGKILL);
    } else if (!led && !group.told) {
      ::kill(-group.leader, SIGTERM);
      group.told = true;
    }
    return false;
  });
}

}  // namespace

void prepare_for_the_keepers_death() {
  keeper = ::getppid();
  struct sigaction action {};
  action.sa_handler = on_term;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
}

bool keeper_has_died() {
  if (keeper == 0) return false;
  for (Duration waited{}; ::getppid() == keeper; waited += kLookEvery) {
    if (waited >= kDeathPatience) return false;
    pause_for(kLookEvery);
  }
  return true;
}

void end_groups(std::vector<pid_t> leaders) {
  std::vector<Group> groups;
  for (pid_t leader : leaders) {
    if (leader <= 1) continue;
    std::optional<sys::ProcStat> stat = sys::read_proc_stat(leader);
    groups.push_back({leader, stat ? stat->start_time : 0, false});
  }
  SteadyClock clock;
  TimePoint began = clock.now();
  look(groups, false);
  while (!groups.empty() && clock.now() - began < kLastGrace) {
    pause_for(kLookEvery);
    look(groups, false);
  }
  if (!groups.empty()) log::warning("{} workers have not ended by themselves; they are killed", groups.size());
  while (!groups.empty() && clock.now() - began < kLastGrace + kLastPatience) {
    look(groups, true);
    pause_for(kLookEvery);
  }
}

}  // namespace rota::supervisor
