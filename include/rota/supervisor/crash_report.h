// What is told of a worker's death that nobody had asked for, as values and as the lines of the log. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rota/ipc/proxy_protocol.h"
#include "rota/supervisor/lifecycle.h"
#include "rota/supervisor/oom_ledger.h"

namespace rota::supervisor {

// Are the requests in flight known, and if not, why?
enum class InFlightKnown : std::uint8_t {
  asked,  // the answer is waited for
  yes,
  never_served,  // it had never been in rotation: there were none
  no_proxy,      // no proxy was there to be asked
  proxy_died,    // the proxy has ended since, and its requests with it
  no_answer,     // the proxy did not answer in time
  supervisor_died,
  count_,
};

struct CrashReport {
  std::uint64_t number = 0;  // one more for each
  std::string app;
  std::uint32_t slot = 0;
  std::int32_t pid = 0;
  std::uint64_t spawn_id = 0;
  std::int64_t unix_ms = 0;   // when its end was heard of
  std::int32_t status = 0;    // as wait(2)
  std::string failure;        // why rota ended it; empty: it died by itself
  bool killed_by_us = false;  // the SIGKILL was ours
  OutOfMemory out_of_memory = OutOfMemory::no;
  Duration uptime{};
  std::uint64_t restarts = 0;           // of its slot, this one included
  std::vector<std::string> last_lines;  // of stderr, escaped; the oldest first
  InFlightKnown known = InFlightKnown::asked;
  ipc::InFlight in_flight;
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.number);
    a(s.app);
    a(s.slot);
    a(s.pid);
    a(s.spawn_id);
    a(s.unix_ms);
    a(s.status);
    a(s.failure);
    a(s.killed_by_us);
    a(s.out_of_memory);
    a(s.uptime);
    a(s.restarts);
    a(s.last_lines);
    a(s.known);
    a(s.in_flight);
  }
};

// Part of the saved state.
struct SavedCrashes {
  std::uint64_t next_number = 1;
  bool group_counted = false;
  std::uint64_t group_kills = 0;
  bool machine_counted = false;
  std::uint64_t machine_kills = 0;
  std::vector<CrashReport> reports;  // the oldest first; those not told yet are `asked`
  template <class A, class S>
  static void fields(A& a, S& s) {
    a(s.next_number);
    a(s.group_counted);
    a(s.group_kills);
    a(s.machine_counted);
    a(s.machine_kills);
    a(s.reports);
  }
};

// The first line of a report tells it all in short; the others, which begin with the same words ("crash report 17"),
// each request and each line of stderr. same_words_as: the report whose stderr lines were the same; 0: none.
std::vector<std::string> lines_of(const CrashReport& report, std::uint64_t same_words_as);
// "web.0 (pid 4711): signal 11 (SEGV), core dumped, after 46 s"
std::string describe(const CrashReport& report);

}  // namespace rota::supervisor
