// The order and the limits of a rolling replacement, as tables: no process, no sleep.
#include "rota/supervisor/rollout.h"

#include <catch2/catch_test_macros.hpp>

using namespace rota;
using namespace rota::supervisor;

namespace {

using What = RolloutOrder::What;

const TimePoint kNow = TimePoint(std::chrono::seconds(1000));

Process process(Duration age, std::optional<Duration> ready_for = {}) {
  Process one{4711, kNow - age, {}, {}};
  if (ready_for) one.ready_at = kNow - *ready_for;
  return one;
}
Lifecycle ready(Duration age, Duration ready_for) { return {Ready{process(age, ready_for)}, 0, 0, {}}; }
Lifecycle starting(Duration age) { return {Starting{process(age), kNow + 60s, {}, false}, 0, 0, {}}; }
Lifecycle backoff(std::uint32_t failures, const std::string& trouble = "exit code 1") {
  return {Backoff{kNow + 1s, false}, failures, failures, trouble};
}

// Slots of an app and the replacement, as a table sets them up.
struct Table {
  std::vector<Lifecycle> lives;
  std::vector<bool> outdated;
  std::optional<Lifecycle> replacement;
  std::size_t leaving = 0;

  RolloutView view() const {
    RolloutView view;
    for (std::size_t i = 0; i < lives.size(); i++) view.slots.push_back({&lives[i], outdated[i]});
    if (replacement) view.replacement = &*replacement;
    view.leaving = leaving;
    return view;
  }
};

Table three_old() { return {{ready(30s, 29s), ready(90s, 80s), ready(60s, 50s)}, {true, true, true}, {}, 0}; }

}  // namespace

TEST_CASE("what is out of rotation is replaced first, then what has lived longest") {
  Table table = three_old();
  REQUIRE(pick_outdated(table.view().slots) == 1U);
  table.outdated[1] = false;
  REQUIRE(pick_outdated(table.view().slots) == 2U);
  table.lives[0] = {Unhealthy{process(10s, 9s), 0}, 0, 0, {}};
  REQUIRE(pick_outdated(table.view().slots) == 0U);
  table.lives[2] = backoff(3);
  REQUIRE(pick_outdated(table.view().slots) == 2U);
  table.outdated = {false, false, false};
  REQUIRE_FALSE(pick_outdated(table.view().slots));
}

TEST_CASE("one slot at a time: a new worker takes over when it has been ready long enough") {
  Table table = three_old();
  Rollout rollout;
  REQUIRE(rollout.step(table.view(), kNow).what == What::wait);  // nothing was begun
  rollout.begin(3);
  std::vector<std::size_t> order;
  for (int i = 0; i < 3; i++) {
    RolloutOrder start = rollout.step(table.view(), kNow);
    REQUIRE(start.what == What::start);
    order.push_back(start.slot);
    table.replacement = starting(1s);
    REQUIRE(rollout.step(table.view(), kNow).what == What::wait);
    table.replacement = ready(2s, kMinReady - 1ms);
    RolloutOrder almost = rollout.step(table.view(), kNow);
    REQUIRE(almost.what == What::wait);
    REQUIRE(almost.look_at == kNow + 1ms);
    RolloutOrder promote = rollout.step(table.view(), kNow + 1ms);
    REQUIRE(promote.what == What::promote);
    REQUIRE(promote.slot == start.slot);
    REQUIRE(rollout.replaced() == static_cast<std::size_t>(i) + 1);
    table.outdated[start.slot] = false;
    table.replacement.reset();
    table.leaving++;
    if (i == 2) table.leaving = 0;
  }
  REQUIRE(order == std::vector<std::size_t>{1, 2, 0});
  REQUIRE(rollout.step(table.view(), kNow).what == What::finish);
  REQUIRE(rollout.stage() == Rollout::Stage::idle);
  REQUIRE(rollout.step(table.view(), kNow).what == What::wait);
}

TEST_CASE("a new worker that fails twice ends it, and nothing more happens by itself") {
  struct Case {
    const char* name;
    Lifecycle replacement;
    const char* why;
  };
  Process late = process(61s);
  late.failure = "not ready within 60 s";
  std::vector<Case> cases = {
      {"dies twice", backoff(2), "exit code 1"},
      {"takes too long, the second time",
       {Stopping{late, kNow + 5s, StopReason::start_timeout}, 1, 1, "exit code 1"},
       "not ready within 60 s"},
      {"is being killed for it",
       {Killing{late, kNow, kNow + 5s, StopReason::start_timeout}, 1, 1, "x"},
       "not ready within 60 s"},
      {"never passes its checks for long",
       {Unhealthy{process(62s, 61s), 0}, 0, 0, {}},
       "it was ready, but does not pass its checks 62 s after its start"},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    Table table = three_old();
    Rollout rollout;
    rollout.begin(3);
    REQUIRE(rollout.step(table.view(), kNow).what == What::start);
    table.replacement = one.replacement;
    RolloutOrder order = rollout.step(table.view(), kNow);
    REQUIRE(order.what == What::abort);
    REQUIRE(order.why == one.why);
    REQUIRE(rollout.stage() == Rollout::Stage::failed);
    table.replacement.reset();
    REQUIRE(rollout.step(table.view(), kNow + 3600s).what == What::wait);
    rollout.begin(3);  // the operator tries again
    REQUIRE(rollout.step(table.view(), kNow).what == What::start);
  }
}

TEST_CASE("one failure is not the end, nor is a check that fails for a moment") {
  Table table = three_old();
  Rollout rollout;
  rollout.begin(3);
  rollout.step(table.view(), kNow);
  Process late = process(61s);
  for (const Lifecycle& life : {backoff(1), starting(1s), Lifecycle{Unhealthy{process(3s, 2s), 0}, 0, 0, {}},
                                Lifecycle{Stopping{late, kNow + 5s, StopReason::start_timeout}, 0, 0, {}},
                                Lifecycle{Starting{process(1s), kNow + 60s, {}, false}, 1, 1, "exit code 1"}}) {
    table.replacement = life;
    INFO(name_of(life.state));
    RolloutOrder order = rollout.step(table.view(), kNow);
    REQUIRE(order.what == What::wait);
    if (std::holds_alternative<Unhealthy>(life.state)) REQUIRE(order.look_at == kNow - 3s + 60s + kMinReady);
  }
}

TEST_CASE("a replacement without a slot to replace is dropped") {
  Table table = three_old();
  Rollout rollout;
  rollout.begin(3);
  REQUIRE(rollout.step(table.view(), kNow).slot == 1);
  table.replacement = ready(2s, 5s);
  SECTION("the slot is gone") {
    table.lives.resize(1);
    table.outdated.resize(1);
  }
  SECTION("its worker is of the newest configuration") { table.outdated[1] = false; }
  SECTION("all is over") { rollout.cancel(); }
  REQUIRE(rollout.step(table.view(), kNow).what == What::drop);
}

TEST_CASE("old workers that drain for long hold up the next replacement, not for ever") {
  Table table = three_old();
  table.leaving = 3;
  Rollout rollout;
  rollout.begin(3);
  REQUIRE(rollout.step(table.view(), kNow).what == What::wait);
  table.leaving = 2;
  REQUIRE(rollout.step(table.view(), kNow).what == What::start);
}

TEST_CASE("a later supervisor goes on where the one before was") {
  Table table = three_old();
  table.replacement = ready(2s, 5s);
  Rollout rollout;
  rollout.resume(Rollout::Stage::rolling, 2, 3);
  RolloutOrder order = rollout.step(table.view(), kNow);
  REQUIRE(order.what == What::promote);
  REQUIRE(order.slot == 2);
  Rollout failed;
  failed.resume(Rollout::Stage::failed, 2, 3);
  table.replacement.reset();
  REQUIRE(failed.step(table.view(), kNow).what == What::wait);
  Rollout found;  // workers of another configuration, and nothing was said of a replacement
  found.resume(Rollout::Stage::idle, 0, 2);
  REQUIRE(found.stage() == Rollout::Stage::rolling);
}
