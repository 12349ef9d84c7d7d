// When all workers of an app are said to fail together, and how often, as tables.
#include "rota/supervisor/outage.h"

#include <catch2/catch_test_macros.hpp>

using namespace rota;
using namespace rota::supervisor;

namespace {

const TimePoint kNow = TimePoint(std::chrono::hours(1));

Failing row(std::uint32_t checks, CheckFailure last = CheckFailure::status) {
  Failing failing;
  failing.checks = checks;
  failing.last = last;
  failing.text = last == CheckFailure::status ? "GET /up answers 500" : "GET /up: no answer within 2 s";
  return failing;
}
Lifecycle in(State state) { return {std::move(state), 0, 0, {}}; }
Lifecycle failing(std::uint32_t checks, CheckFailure last = CheckFailure::status) {
  return in(Ready{{}, row(checks, last)});
}
Lifecycle ejected(std::uint32_t checks, CheckFailure last = CheckFailure::status) {
  return in(Unhealthy{{}, 0, row(checks, last)});
}
Lifecycle unchecked() { return in(Ready{{}, {}, false, false}); }

struct Table {
  std::vector<Lifecycle> lives;
  bool replaceable = true;
  Outage outage;

  Lives pointers() const {
    Lives out;
    for (const Lifecycle& life : lives) out.push_back(&life);
    return out;
  }
  Outage::Orders step(Duration at) {
    auto orders = outage.step({pointers(), "workers", replaceable, 3}, kNow + at);
    REQUIRE((!orders.look_at || *orders.look_at > kNow + at));  // or the loop would turn without end
    return orders;
  }
  std::string note(Duration at) {
    auto orders = step(at);
    return orders.note ? orders.note->text : "";
  }
};

}  // namespace

TEST_CASE("what is an outage, what serves, and what is not decided yet") {
  struct Case {
    const char* name;
    std::vector<Lifecycle> lives;
    Together together;
  };
  const std::vector<Case> cases = {
      {"nobody", {}, Together::undecided},
      {"all well", {in(Ready{}), in(Ready{})}, Together::serving},
      {"one well", {failing(9), in(Ready{})}, Together::serving},
      {"all fail", {failing(3), ejected(3)}, Together::outage},
      {"the only one", {failing(3)}, Together::outage},
      {"without an answer", {failing(3, CheckFailure::timeout), ejected(9, CheckFailure::gone)}, Together::outage},
      {"one has not failed often enough", {failing(9), failing(2)}, Together::undecided},
      {"one is on its way back", {failing(9), in(Unhealthy{{}, 1, {}})}, Together::undecided},
      {"one has not been checked yet", {failing(9), unchecked()}, Together::undecided},
      {"others start or wait", {failing(9), in(Starting{}), in(Backoff{}), in(Draining{})}, Together::outage},
      {"none runs", {in(Starting{}), in(Backoff{}), in(Stopped{})}, Together::undecided},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    Table table{one.lives, true, {}};
    REQUIRE(judge_together(table.pointers(), 3) == one.together);
  }
}

TEST_CASE("an outage is said when it begins, again at long intervals, and at its end") {
  Table table{{failing(3), ejected(3)}, true, {}};
  Outage::Orders first = table.step(0s);
  REQUIRE(first.note);
  REQUIRE(first.note->level == log::Level::error);
  REQUIRE(first.note->text ==
          "none of its 2 workers passes its checks: GET /up answers 500; something that all of them need may be down; "
          "none is replaced for that");
  REQUIRE(first.recall);
  REQUIRE(first.look_at == kNow + kOutageNoteEvery);
  REQUIRE(table.outage.on());
  for (Duration at = 1s; at < kOutageNoteEvery; at += 1s) REQUIRE_FALSE(table.step(at).note);
  Outage::Orders again = table.step(kOutageNoteEvery);
  REQUIRE(again.note);
  REQUIRE(again.note->level == log::Level::error);
  REQUIRE(again.note->text.starts_with("still none of its 2 workers passes its checks, for 60 s: "));
  REQUIRE_FALSE(table.step(kOutageNoteEvery + 1s).note);

  // Restarts and young workers do not end it; a worker that passes its checks does.
  table.lives[0] = unchecked();
  REQUIRE_FALSE(table.step(90s).note);
  REQUIRE(table.outage.on());
  table.lives[0] = in(Ready{});
  Outage::Orders over = table.step(95s);
  REQUIRE(over.note);
  REQUIRE(over.note->level == log::Level::info);
  REQUIRE(over.note->text == "1 of 2 workers pass their checks again, after 95 s");
  REQUIRE_FALSE(over.recall);
  REQUIRE_FALSE(over.look_at);
  REQUIRE_FALSE(table.step(96s).note);
  table.lives[0] = failing(3);
  REQUIRE(table.note(100s).starts_with("none of its 2 workers"));
}

TEST_CASE("what will be done is said with it") {
  Table table{{failing(3), ejected(3, CheckFailure::timeout)}, true, {}};
  SECTION("some do not answer") {
    REQUIRE(
        table.note(0s).ends_with("GET /up answers 500; something that all of them need may be down; only those "
                                 "that do not answer are replaced"));
  }
  SECTION("none answers") {
    table.lives[0] = failing(3, CheckFailure::timeout);
    REQUIRE(table.note(0s).ends_with("GET /up: no answer within 2 s; they are replaced one after the other"));
  }
  SECTION("servers, or without repairs") {
    table.replaceable = false;
    REQUIRE(table.note(0s).ends_with("GET /up answers 500; something that all of them need may be down"));
  }
}
