// The end of everything, in its order and in bounded time. Pure: told of signals, of the proxy and of time, it says
// what is to be done next; the supervisor does it.
//
//   Serving --TERM--> Delaying (shutdown.delay) --> Closing (the proxy drains, the listeners close when it says so)
//     --> Quieting (until the last client is gone) --> Stopping (workers) --> Ended
#pragma once

#include <cstdint>
#include <optional>

#include "rota/base/exit_code.h"
#include "rota/config/config.h"
#include "rota/supervisor/lifecycle.h"

namespace rota::supervisor {

inline constexpr Duration kQuickGrace{2s};       // QUIT: from TERM to KILL
inline constexpr Duration kAppliedPatience{1s};  // for a proxy that does not say that it drains

struct ShutdownOrders {
  bool announce = false;     // it has begun
  bool drain_proxy = false;  // publish phase draining
  bool close_listeners = false;
  std::optional<Desired> workers;  // tell every worker
  bool end = false;                // nothing is left: clean up and have the keeper exit
};

class ShutdownPlan {
 public:
  enum class Stage : std::uint8_t { serving, delaying, closing, quieting, stopping, ended, count_ };
  // What a later supervisor needs to go on.
  struct Progress {
    Stage stage = Stage::serving;
    TimePoint begun_at{};
    ExitCode code = ExitCode::clean;
    std::uint32_t terms = 0;
  };

  ShutdownPlan() = default;
  ShutdownPlan(const config::Shutdown& rules, Duration longest_grace) : rules_(rules), grace_(longest_grace) {}
  // longest_grace: of all apps; so much of the time is left to the workers. Once it has begun nothing changes any more.
  void use(const config::Shutdown& rules, Duration longest_grace) {
    if (begun()) return;
    rules_ = rules;
    grace_ = longest_grace;
  }

  // Before anything else: what an earlier supervisor had begun goes on in the time that was left.
  ShutdownOrders resume(const Progress& progress, TimePoint now);
  Progress progress() const { return {stage_, begun_at_, code_, terms_}; }

  ShutdownOrders on_term(TimePoint now);  // TERM, INT: the second one skips the drain, the third one kills
  ShutdownOrders on_quit(ExitCode code, TimePoint now);  // QUIT, and an end that is our own decision
  ShutdownOrders on_proxy_draining(TimePoint now);       // it has applied the state
  ShutdownOrders on_proxy_quiet(TimePoint now);          // or there is no proxy
  ShutdownOrders on_deadline(TimePoint now);
  ShutdownOrders on_all_stopped();

  Stage stage() const { return stage_; }
  bool begun() const { return stage_ != Stage::serving; }
  ExitCode code() const { return code_; }
  std::optional<TimePoint> deadline() const;
  TimePoint drain_end() const;  // until then clients may finish

 private:
  ShutdownOrders begin_draining(TimePoint now);
  ShutdownOrders stop_workers(bool drain, TimePoint kill_by);
  TimePoint kill_end() const;

  config::Shutdown rules_;
  Duration grace_{};
  Stage stage_ = Stage::serving;
  ExitCode code_ = ExitCode::clean;
  std::uint32_t terms_ = 0;
  TimePoint begun_at_{};
  TimePoint stage_end_{};
};

}  // namespace rota::supervisor
