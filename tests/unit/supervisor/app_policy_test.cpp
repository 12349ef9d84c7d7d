#include "rota/supervisor/app_policy.h"

#include <catch2/catch_test_macros.hpp>

#include "rota/base/clock.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

Lives pointers(const std::vector<Lifecycle>& lives) {
  Lives out;
  for (const Lifecycle& life : lives) out.push_back(&life);
  return out;
}
Lifecycle in(State state, std::uint32_t failures = 0) {
  Lifecycle life;
  life.state = std::move(state);
  life.failures = failures;
  return life;
}

Lifecycle failing(std::uint32_t checks) {
  Failing row;
  row.checks = checks;
  return in(Ready{{}, row});
}

}  // namespace

TEST_CASE("at most start_parallel workers start at once, in slot order") {
  std::vector<Lifecycle> lives;
  for (int i = 0; i < 5; i++) lives.push_back(in(Backoff{{}, true}));
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{0, 1});
  lives[0] = in(Starting{});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{1});
  lives[1] = in(Starting{});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}).empty());
  lives[0] = in(Ready{});
  lives[2] = in(Backoff{{}, false});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{3});
  REQUIRE(start_parallel(1) == 2);
  REQUIRE(start_parallel(16) == 16);
}

TEST_CASE("slots that keep failing start last and leave one permit to the others") {
  std::vector<Lifecycle> lives = {in(Backoff{{}, true}, 7), in(Backoff{{}, true}, 2), in(Backoff{{}, true})};
  REQUIRE(pick_starts(pointers(lives), 3, TimePoint{}) == std::vector<std::size_t>{2, 1});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{2});
  lives[2] = in(Ready{});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{1});
  lives[1] = in(Starting{}, 2);
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}).empty());
  lives[2] = in(Backoff{{}, true});
  REQUIRE(pick_starts(pointers(lives), 2, TimePoint{}) == std::vector<std::size_t>{2});
}

TEST_CASE("a start that hangs gives its permit back") {
  TimePoint now{1h};
  Process hanging;
  hanging.started = now - kPermitHold;
  Process young;
  young.started = now - 1s;
  std::vector<Lifecycle> lives = {in(Starting{hanging, {}, "", false}, 1), in(Backoff{{}, true}, 1),
                                  in(Backoff{{}, true}, 1)};
  REQUIRE(pick_starts(pointers(lives), 2, now) == std::vector<std::size_t>{1});
  lives[1] = in(Starting{young, {}, "", false}, 1);
  REQUIRE(pick_starts(pointers(lives), 2, now).empty());
  lives[1] = in(Ready{});
  REQUIRE(pick_starts(pointers(lives), 2, now) == std::vector<std::size_t>{2});
}

TEST_CASE("who waits for a permit is told when the first one comes back by time alone") {
  TimePoint now{1h};
  auto starting_for = [&](Duration length) {
    Process process;
    process.started = now - length;
    return in(Starting{process, {}, "", false});
  };
  std::vector<Lifecycle> lives = {starting_for(1s), starting_for(2s), starting_for(kPermitHold), in(Backoff{{}, true})};
  REQUIRE(next_permit(pointers(lives), now) == now - 2s + kPermitHold);
  lives[3] = in(Backoff{{}, false});  // not due yet: its own timer comes first
  REQUIRE_FALSE(next_permit(pointers(lives), now));
  lives = {in(Ready{}), starting_for(kPermitHold), in(Backoff{{}, true})};
  REQUIRE_FALSE(next_permit(pointers(lives), now));
}

TEST_CASE("a worker is ejected only while another one passes its checks") {
  std::vector<Lifecycle> lives = {failing(3), failing(2), in(Unhealthy{}), in(Starting{})};
  REQUIRE_FALSE(may_eject(pointers(lives), 0));
  REQUIRE_FALSE(may_eject(pointers(lives), 1));
  lives[1] = in(Ready{});
  REQUIRE(may_eject(pointers(lives), 0));
  REQUIRE_FALSE(may_eject(pointers(lives), 1));
  REQUIRE(count_ready(pointers(lives)) == 2);
}

TEST_CASE("whoever cannot vouch for an app does not let another one be ejected") {
  Lifecycle unchecked = in(Ready{{}, {}, false, false});
  for (const Lifecycle& other : {failing(1), unchecked, in(Unhealthy{{}, 1, {}}), in(Starting{}), in(Backoff{}),
                                 in(Draining{}), in(Stopping{}), in(Killing{}), in(Stopped{})}) {
    INFO(name_of(other.state));
    std::vector<Lifecycle> lives = {failing(3), other};
    REQUIRE_FALSE(may_eject(pointers(lives), 0));
  }
  std::vector<Lifecycle> alone = {in(Ready{})};
  REQUIRE_FALSE(may_eject(pointers(alone), 0));  // not even for itself
}

TEST_CASE("crash loops are told with a reason, until their workers are ready again") {
  std::vector<Lifecycle> lives = {in(Ready{}), in(Backoff{}, kCrashLoopAfter - 1), in(Backoff{}, 1)};
  for (Lifecycle& life : lives) life.trouble = "exit code 1";
  REQUIRE(describe_crash_loops(pointers(lives)).empty());
  lives[1] = in(Backoff{}, kCrashLoopAfter);
  lives[1].trouble = "exit code 9";
  REQUIRE(describe_crash_loops(pointers(lives)) == "1 in a crash loop: exit code 9");
  lives[2] = in(Starting{}, 30);
  lives[2].trouble = "signal 11 (SEGV)";
  REQUIRE(describe_crash_loops(pointers(lives)) == "2 in a crash loop: signal 11 (SEGV)");
  lives[1] = lives[2] = in(Ready{}, 30);
  REQUIRE(describe_crash_loops(pointers(lives)).empty());
}

TEST_CASE("a first start succeeds with one ready worker and fails by time or by attempts of all") {
  FakeClock clock;
  TimePoint start = clock.now();
  std::vector<Lifecycle> lives = {in(Backoff{}, 3), in(Starting{}, 2)};
  REQUIRE(judge_boot(pointers(lives), start, 60s, start + 1s) == BootVerdict::undecided);
  lives[1].failures = 3;
  REQUIRE(judge_boot(pointers(lives), start, 60s, start + 1s) == BootVerdict::failed);
  lives[1] = in(Starting{});
  REQUIRE(judge_boot(pointers(lives), start, 60s, start + 60s) == BootVerdict::failed);
  lives[1] = in(Ready{Process{1, start, start + 1s, ""}});
  REQUIRE(judge_boot(pointers(lives), start, 60s, start + 90s) == BootVerdict::ready);
}
