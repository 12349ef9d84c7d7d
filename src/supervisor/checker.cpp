#include "rota/supervisor/checker.h"

#include <fmt/format.h>

#include <cstring>

namespace rota::supervisor {

namespace {

using Kind = ProbeOutcome::Kind;

std::string what(const CheckRules& rules) {
  return rules.path.empty() ? std::string("connect") : fmt::format("GET {}", rules.path);
}
CheckFailed failure(const CheckRules& rules, const ProbeOutcome& outcome, Duration patience) {
  switch (outcome.kind) {
    case Kind::gone: return {CheckFailure::gone, "nothing listens on its socket"};
    case Kind::busy: return {CheckFailure::timeout, "its socket's backlog is full"};
    case Kind::timeout:
      return {CheckFailure::timeout, fmt::format("{}: no answer within {}", what(rules), describe_duration(patience))};
    case Kind::answered: return {CheckFailure::status, fmt::format("{} answers {}", what(rules), outcome.status)};
    case Kind::connected:
    case Kind::broken: break;
  }
  if (outcome.error != 0)
    return {CheckFailure::broken, fmt::format("{}: {}", what(rules), std::strerror(outcome.error))};
  return {CheckFailure::broken, fmt::format("{}: no HTTP answer", what(rules))};
}
bool is_good(int status) { return status >= 200 && status < 400; }

}  // namespace

CheckRules rules_of(const config::App& app) {
  return {app.health.path, app.ready == config::Ready::http, app.health.interval, app.health.timeout};
}

// auto: any answer proves that the app serves, but a 5xx says in so many words that it does not yet.
std::optional<CheckResult> judge_readiness(const CheckRules& rules, const ProbeOutcome& outcome) {
  if (outcome.kind == Kind::connected) return CheckPassed{};
  if (outcome.kind == Kind::answered) {
    bool good = is_good(outcome.status);
    if (good || (!rules.strict_ready && outcome.status < 500)) return CheckPassed{good};
  }
  // It listens; whoever fills its backlog already is not kept from being served by us.
  if (outcome.kind == Kind::busy && rules.path.empty()) return CheckPassed{};
  return failure(rules, outcome, kReadinessPatience);
}

std::optional<CheckResult> judge_health(const CheckRules& rules, const ProbeOutcome& outcome) {
  if (outcome.kind == Kind::connected) return CheckPassed{};
  if (outcome.kind == Kind::answered && is_good(outcome.status)) return CheckPassed{};
  if (outcome.kind == Kind::busy && rules.path.empty()) return {};  // busy is not dead
  return failure(rules, outcome, rules.timeout);
}

Checker::Checker(uv::Loop& loop, CheckRules rules, std::mt19937_64& random, CheckListener& listener)
    : loop_(loop), rules_(std::move(rules)), random_(random), listener_(listener), timer_(loop, *this) {}

void Checker::aim(sys::SocketAddress address) {
  set(Checks::none);
  address_ = address;
  odd_told_ = false;
}

// What is under way was asked by the old rules, and is asked again by the new ones.
void Checker::change(CheckRules rules) {
  if (rules == rules_) return;
  rules_ = std::move(rules);
  odd_told_ = false;
  if (checks_ != Checks::none) begin();
}

void Checker::set(Checks checks) {
  if (checks_ == checks) return;
  checks_ = checks;
  begin();
}

void Checker::begin() {
  probe_.reset();
  switch (checks_) {
    case Checks::none: timer_.stop(); break;
    case Checks::readiness: timer_.start(kReadinessEvery); break;
    // The first check anywhere in the interval, so that workers started together are not checked together.
    case Checks::health:
      timer_.start(Duration(std::uniform_int_distribution<Duration::rep>(0, rules_.interval.count())(random_)));
      break;
  }
}

void Checker::check_soon() {
  if (checks_ == Checks::health && !probe_) timer_.start(kDoubtPause);
}

void Checker::on_timer(uv::Timer&) { probe(); }

void Checker::probe() {
  Duration patience = checks_ == Checks::readiness ? kReadinessPatience : rules_.timeout;
  auto known = Probe::start(loop_, address_, rules_.path, patience, *this, probe_);
  if (known) use(*known);
}

void Checker::on_probe(const ProbeOutcome& outcome) {
  ProbeOutcome copy = outcome;
  probe_.reset();
  use(copy);
}

// The next one is arranged first: the listener may change the kind of checks, or their aim.
void Checker::use(const ProbeOutcome& outcome) {
  std::optional<CheckResult> result;
  if (checks_ == Checks::readiness) {
    result = judge_readiness(rules_, outcome);
    timer_.start(outcome.kind == Kind::gone ? kReadinessEvery : kNotReadyPause);
    // With strict_ready it does not take part, and the check says why.
    bool odd = !rules_.strict_ready && outcome.kind == Kind::answered && outcome.status >= 400 && outcome.status < 500;
    if (odd && !odd_told_) {
      odd_told_ = true;
      listener_.on_odd_health_path(outcome.status);
    }
  } else {
    result = judge_health(rules_, outcome);
    timer_.start(jittered());
  }
  if (result) listener_.on_check(*result);
}

Duration Checker::jittered() const {
  std::uniform_real_distribution<double> spread(1.0 - kCheckJitter, 1.0 + kCheckJitter);
  return Duration(static_cast<Duration::rep>(static_cast<double>(rules_.interval.count()) * spread(random_)));
}

}  // namespace rota::supervisor
