// Who is replaced for failed checks, when, and what becomes of a try, as tables: no process, no sleep.
#include "rota/supervisor/repair.h"

#include <catch2/catch_test_macros.hpp>

#include "rota/supervisor/rollout.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

using What = RepairOrder::What;

const TimePoint kNow = TimePoint(std::chrono::hours(1));
const Process kProcess{4711, kNow - 10min, kNow - 9min, {}};

Lifecycle in(State state, std::uint32_t failures = 0, std::string trouble = {}) {
  return {std::move(state), failures, failures, std::move(trouble)};
}
// What checks every five seconds find in a worker, oldest first: p passed, t timed out, g gone, e an error's answer.
Failing found(const std::string& checks) {
  Policy patient;
  patient.unhealthy_after = 1000;
  Surroundings around;
  Lifecycle life = in(Ready{kProcess});
  TimePoint at = kNow - 5s * (checks.size() - 1);
  for (char what : checks) {
    if (what == 'p') step(life, patient, around, CheckPassed{}, at);
    if (what == 't') step(life, patient, around, CheckFailed{CheckFailure::timeout, "no answer within 2 s"}, at);
    if (what == 'g') step(life, patient, around, CheckFailed{CheckFailure::gone, "nothing listens"}, at);
    if (what == 'e') step(life, patient, around, CheckFailed{CheckFailure::status, "GET / answers 500"}, at);
    if (what == 'g') life.state = Ready{kProcess, *failing_of(life)};
    at += 5s;
  }
  const Failing* failing = failing_of(life);
  return failing != nullptr ? *failing : Failing{};
}
Lifecycle ready(const std::string& checks = "p") { return in(Ready{kProcess, found(checks)}); }
Lifecycle ejected(const std::string& checks) { return in(Unhealthy{kProcess, 0, found(checks)}); }
std::string times(std::size_t count, char what) { return std::string(count, what); }

struct Table {
  std::vector<Lifecycle> lives;
  std::optional<Lifecycle> replacement;
  std::size_t leaving = 0;
  Policy policy;
  Repair repair;

  RepairOrder step(Duration later = Duration::zero()) {
    RepairView view;
    for (const Lifecycle& life : lives) view.slots.push_back(&life);
    if (replacement) view.replacement = &*replacement;
    view.leaving = leaving;
    repair.watch(view.slots, policy, kNow + later);
    return repair.step(view, policy, kNow + later);
  }
  void start() {
    REQUIRE(step().what == What::start);
    replacement = in(Starting{{1, kNow, {}, {}}, kNow + 60s, {}, false});
  }
  void replacement_ready(Duration ready_for) { replacement = in(Ready{{1, kNow - 5s, kNow - ready_for, {}}}); }
};

}  // namespace

TEST_CASE("who is unfit, by what its checks have found") {
  struct Case {
    const char* name;
    Lifecycle life;
    std::string alone, beside_a_good_one;  // why, or nothing
  };
  // Thirteen checks are a minute from the first to the last.
  const std::string silent = "checks timed out for 60 s";
  const std::string wrong = "checks failed for 60 s: GET / answers 500";
  const std::vector<Case> cases = {
      {"well", ready(), "", ""},
      {"not long enough without an answer", ready(times(12, 't')), "", ""},
      {"long enough", ready(times(13, 't')), silent, silent},
      {"out of rotation for it", ejected(times(13, 't')), silent, silent},
      {"one good answer in between", ready(times(12, 't') + "p" + times(12, 't')), "", ""},
      {"an error's answer in between: it is alive", ready(times(8, 't') + "e" + times(8, 't')), "",
       "checks failed for 80 s: no answer within 2 s"},
      {"nobody listens", ejected(times(13, 'g')), "nothing has listened on its socket for 60 s",
       "nothing has listened on its socket for 60 s"},
      {"first hung, then gone", ejected(times(6, 't') + times(7, 'g')), "nothing has listened on its socket for 60 s",
       "nothing has listened on its socket for 60 s"},
      {"errors only", ready(times(13, 'e')), "", wrong},
      {"errors, not long enough", ejected(times(12, 'e')), "", ""},
      {"silent at last, after errors", ready(times(12, 'e') + "t"), "", "checks failed for 60 s: no answer within 2 s"},
      {"starting", in(Starting{}), "", ""},
      {"on its way out", in(Draining{}), "", ""},
      {"dead", in(Backoff{}), "", ""},
  };
  Policy policy;
  for (const Case& one : cases) {
    INFO(one.name);
    REQUIRE(unfitness_of(one.life, policy, {}) == one.alone);
    REQUIRE(unfitness_of(one.life, policy, TimePoint{}) == one.beside_a_good_one);
    Policy never = policy;
    never.repair_after = Duration::zero();
    REQUIRE(unfitness_of(one.life, never, TimePoint{}).empty());
  }
}

TEST_CASE("a time shorter than the thresholds does not undo them") {
  Policy policy;
  policy.repair_after = 1s;
  REQUIRE(unfitness_of(ready("tt"), policy, TimePoint{}).empty());
  REQUIRE(unfitness_of(ready("ttt"), policy, TimePoint{}) == "checks timed out for 10 s");
  REQUIRE(unfitness_of(ready("eet"), policy, TimePoint{}) == "checks failed for 10 s: no answer within 2 s");
}

TEST_CASE("a worker that does not answer is replaced by one that has proven itself") {
  Table table;
  table.lives = {ready(), ejected(times(13, 't')), ready()};
  RepairOrder start = table.step();
  REQUIRE(start.what == What::start);
  REQUIRE(start.slot == 1);
  REQUIRE(start.why == "checks timed out for 60 s");
  table.replacement = in(Starting{{1, kNow, {}, {}}, kNow + 60s, {}, false});
  REQUIRE(table.step().what == What::wait);
  table.replacement_ready(kMinReady - 1ms);
  RepairOrder almost = table.step();
  REQUIRE(almost.what == What::wait);
  REQUIRE(almost.look_at == kNow + 1ms);
  RepairOrder promote = table.step(1ms);
  REQUIRE(promote.what == What::promote);
  REQUIRE(promote.slot == 1);
  REQUIRE(promote.why == "checks timed out for 60 s");
  REQUIRE_FALSE(table.repair.active());
}

TEST_CASE("the only worker is replaced too when it does not answer, and stays in rotation until then") {
  Table table;
  table.lives = {ready(times(13, 't'))};
  table.start();
  table.replacement_ready(kMinReady);
  REQUIRE(table.step().what == What::promote);
}

TEST_CASE("errors of one replace it, errors of all together nobody") {
  Table table;
  table.lives = {ready(times(40, 'e')), ready(times(40, 'e')), ejected(times(40, 'e'))};
  SECTION("one is well") {
    table.lives[0] = ready();
    RepairOrder order = table.step();
    REQUIRE(order.what == What::start);
    REQUIRE(order.slot == 1);
  }
  SECTION("all fail; then one is well, and the others get the same time from then on") {
    Surroundings around;
    REQUIRE(table.step().what == What::wait);
    table.lives[0] = in(Ready{kProcess, {}, false, false});  // it died and came back: that shows nothing yet
    REQUIRE(table.step(10s).what == What::wait);
    table.lives[0] = ready();
    REQUIRE(table.step(20s).what == What::wait);
    table.policy.repair_after = 30s;
    table.lives[2] = ready();  // found mended a little later
    for (Duration at = 25s; at <= 45s; at += 5s) {
      step(table.lives[1], table.policy, around, CheckFailed{CheckFailure::status, "GET / answers 500"}, kNow + at);
      REQUIRE(table.step(at).what == What::wait);
    }
    step(table.lives[1], table.policy, around, CheckFailed{CheckFailure::status, "GET / answers 500"}, kNow + 50s);
    RepairOrder order = table.step(50s);
    REQUIRE(order.what == What::start);
    REQUIRE(order.why == "checks failed for 30 s: GET / answers 500");
  }
}

TEST_CASE("a worker that has only proven that it listens does not vouch for the others") {
  Table table;
  table.lives = {in(Ready{kProcess, {}, false, false}), ejected(times(40, 'e'))};
  REQUIRE(table.step().what == What::wait);
  // Nor does one that is not in rotation, or whose last check failed.
  table.lives[0] = in(Unhealthy{kProcess, 1, {}});
  REQUIRE(table.step().what == What::wait);
  table.lives[0] = ready("pe");
  REQUIRE(table.step().what == What::wait);
}

TEST_CASE("one at a time: who does not answer first, then who has failed longest") {
  Table table;
  table.lives = {ejected(times(40, 'e')), ejected(times(13, 't')), ejected(times(14, 't')), ready(),
                 ejected(times(41, 'e'))};
  std::vector<std::size_t> order;
  for (int i = 0; i < 4; i++) {
    RepairOrder start = table.step();
    REQUIRE(start.what == What::start);
    order.push_back(start.slot);
    table.replacement = in(Starting{{1, kNow, {}, {}}, kNow + 60s, {}, false});
    REQUIRE(table.step(10s).what == What::wait);
    table.replacement_ready(kMinReady);
    REQUIRE(table.step().what == What::promote);
    table.lives[start.slot] = *table.replacement;
    table.replacement.reset();
  }
  REQUIRE(order == std::vector<std::size_t>{2, 1, 4, 0});
  REQUIRE(table.step().what == What::wait);
}

TEST_CASE("a worker that ends while it is replaced makes way at once, whether the new one is ready or not") {
  Table table;
  table.lives = {ready(), ejected(times(13, 't'))};
  table.start();
  table.lives[1] = in(Backoff{kNow, true});
  SECTION("starting") {}
  SECTION("ready") { table.replacement_ready(Duration(1)); }
  SECTION("failed") { table.replacement = in(Backoff{kNow + 1s, false}, kReplacementTries, "exit code 1"); }
  RepairOrder order = table.step();
  REQUIRE(order.what == What::promote);
  REQUIRE(order.slot == 1);
  REQUIRE_FALSE(table.repair.active());
}

TEST_CASE("a repair ends when its worker is well again, or gone") {
  Table table;
  table.lives = {ready(), ejected(times(13, 't'))};
  table.start();
  SECTION("a good check") { table.lives[1] = in(Unhealthy{kProcess, 1, {}}); }
  SECTION("back in rotation") { table.lives[1] = ready(); }
  SECTION("another one is being started in its place") { table.lives[1] = in(Starting{}); }
  SECTION("its slot is gone") { table.lives.pop_back(); }
  SECTION("no repairs are wanted any more") { table.policy.repair_after = Duration::zero(); }
  REQUIRE(table.step().what == What::drop);
  REQUIRE_FALSE(table.repair.active());
}

TEST_CASE("a new worker that fails leaves what serves as it is, for a while") {
  Table table;
  SECTION("errors: it may mend by itself") { table.lives = {ready(), ejected(times(13, 'e'))}; }
  SECTION("silent, and the last one in rotation") { table.lives = {ready(times(13, 't'))}; }
  table.start();
  table.replacement = in(Backoff{kNow + 1s, false}, 1, "exit code 1");
  REQUIRE(table.step().what == What::wait);
  table.replacement = in(Backoff{kNow + 1s, false}, kReplacementTries, "exit code 1");
  RepairOrder order = table.step(20s);
  REQUIRE(order.what == What::give_up);
  REQUIRE(order.why == "exit code 1");
  table.replacement.reset();
  RepairOrder later = table.step(30s);
  REQUIRE(later.what == What::wait);
  REQUIRE(later.look_at == kNow + 80s);
  REQUIRE(table.step(80s).what == What::start);
}

TEST_CASE("a worker that serves nobody makes way even for starts that fail") {
  Table table;
  SECTION("hung, others serve") { table.lives = {ready(), ejected(times(13, 't'))}; }
  SECTION("nobody listens") { table.lives = {ready(), ejected(times(13, 'g'))}; }
  table.start();
  table.replacement = in(Backoff{kNow + 1s, false}, kReplacementTries, "exit code 1");
  REQUIRE(table.step().what == What::promote);
  // Another one that is no better off: the new workers have not shown that they help.
  table.replacement.reset();
  table.lives = {ready(), ejected(times(13, 't'))};
  RepairOrder order = table.step(1s);
  REQUIRE(order.what == What::wait);
  REQUIRE(order.look_at > kNow + 1s);
}

TEST_CASE("a new worker whose own checks fail does not take over, and is not waited for without end") {
  Table table;
  table.lives = {ready(times(13, 't'))};
  table.start();
  Process young{1, kNow, kNow + 100ms, {}};
  table.replacement = in(Ready{young, found("e")});
  REQUIRE(table.step(5s).what == What::wait);
  table.replacement = in(Unhealthy{young, 0, found("eee")});
  RepairOrder order = table.step(10s);
  REQUIRE(order.what == What::wait);
  REQUIRE(order.look_at == kNow + 60s + kMinReady);
  REQUIRE(table.step(61s).what == What::give_up);
}

TEST_CASE("old workers that drain for long hold up the next repair") {
  Table table;
  table.lives = {ready(), ejected(times(13, 't'))};
  table.leaving = 2;
  REQUIRE(table.step().what == What::wait);
  table.leaving = 1;
  REQUIRE(table.step().what == What::start);
}
