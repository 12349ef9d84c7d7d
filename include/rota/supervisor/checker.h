// When an upstream is checked, how, and what an outcome means for it: the readiness of a starting worker (as often as
// it takes to have it in rotation within moments of its listen()), then its health (now and then, spread by chance).
// Owns one probe at a time. Knows nothing of slots and lifecycles but the events it makes.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>

#include "rota/supervisor/lifecycle.h"
#include "rota/supervisor/probe.h"

namespace rota::supervisor {

inline constexpr Duration kReadinessEvery{20};       // connects of a starting worker that does not listen yet
inline constexpr Duration kReadinessPatience{5000};  // for the answer to one request of a starting worker
inline constexpr Duration kNotReadyPause{100};       // after it answered that it is not ready
inline constexpr Duration kDoubtPause{50};   // before an unscheduled check: an exit explains more than a refusal
inline constexpr double kCheckJitter = 0.1;  // of the interval, either way

struct CheckRules {
  std::string path;           // empty: a connect is the check
  bool strict_ready = false;  // ready: http
  Duration interval{5s};
  Duration timeout{2s};
  bool operator==(const CheckRules&) const = default;
};
CheckRules rules_of(const config::App& app);

// What an outcome is told as. Empty: it says nothing (a full backlog, where a connect is the whole check).
using CheckResult = std::variant<CheckPassed, CheckFailed>;
std::optional<CheckResult> judge_readiness(const CheckRules& rules, const ProbeOutcome& outcome);
std::optional<CheckResult> judge_health(const CheckRules& rules, const ProbeOutcome& outcome);

class CheckListener {
 public:
  virtual void on_check(const CheckResult& result) = 0;
  // The health path answers this while it is being proven ready, so that checks will fail later. Once per aim.
  virtual void on_odd_health_path(int status) = 0;

 protected:
  ~CheckListener() = default;
};

class Checker final : uv::TimerListener, ProbeListener {
 public:
  Checker(uv::Loop& loop, CheckRules rules, std::mt19937_64& random, CheckListener& listener);

  void aim(sys::SocketAddress address);
  void change(CheckRules rules);
  void set(Checks checks);  // nothing happens when it is set already
  void check_soon();        // health only

 private:
  void on_timer(uv::Timer& timer) override;
  void on_probe(const ProbeOutcome& outcome) override;
  void begin();
  void probe();
  void use(const ProbeOutcome& outcome);
  Duration jittered() const;

  uv::Loop& loop_;
  CheckRules rules_;
  std::mt19937_64& random_;
  CheckListener& listener_;
  uv::Timer timer_;
  sys::SocketAddress address_;
  Checks checks_ = Checks::none;
  bool odd_told_ = false;
  std::unique_ptr<Probe> probe_;
};

}  // namespace rota::supervisor
