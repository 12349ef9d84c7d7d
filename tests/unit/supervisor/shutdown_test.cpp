#include "rota/supervisor/shutdown.h"

#include <catch2/catch_test_macros.hpp>

#include "rota/base/clock.h"

using namespace rota;
using namespace rota::supervisor;
using Stage = ShutdownPlan::Stage;

TEST_CASE("a graceful end: the proxy drains, the listeners close, then the workers stop, then everything ends") {
  FakeClock clock;
  ShutdownPlan plan({0s, 25s}, 10s);
  TimePoint begun = clock.now();
  auto orders = plan.on_term(clock.now());
  REQUIRE(orders.announce);
  REQUIRE(orders.drain_proxy);
  REQUIRE_FALSE(orders.close_listeners);
  REQUIRE_FALSE(orders.workers);
  clock.advance(5ms);
  REQUIRE(plan.on_proxy_draining(clock.now()).close_listeners);
  REQUIRE(plan.on_deadline(clock.now()).workers == std::nullopt);
  SECTION("the last client leaves") {
    clock.advance(3s);
    orders = plan.on_proxy_quiet(clock.now());
    REQUIRE(orders.workers);
    REQUIRE_FALSE(orders.workers->run);
    REQUIRE(orders.workers->drain);
    REQUIRE(*orders.workers->kill_by == begun + 24s);
    REQUIRE_FALSE(plan.deadline());
  }
  SECTION("clients stay: the workers still have their grace before the time is over") {
    REQUIRE(plan.deadline() == begun + 14s);
    orders = plan.on_deadline(begun + 14s);
    REQUIRE(orders.workers);
    REQUIRE_FALSE(orders.workers->drain);
    REQUIRE(*orders.workers->kill_by == begun + 24s);
  }
  SECTION("a second signal skips the drain, a third one kills") {
    orders = plan.on_term(clock.now());
    REQUIRE_FALSE(orders.workers->drain);
    REQUIRE(*orders.workers->kill_by > clock.now());
    orders = plan.on_term(clock.now());
    REQUIRE(*orders.workers->kill_by <= clock.now());
  }
  REQUIRE(plan.stage() == Stage::stopping);
  REQUIRE(plan.on_all_stopped().end);
  REQUIRE_FALSE(plan.on_all_stopped().end);
  REQUIRE(plan.code() == ExitCode::clean);
  REQUIRE_FALSE(plan.on_term(clock.now()).workers);
}

TEST_CASE("the delay keeps everything going until it is over") {
  FakeClock clock;
  ShutdownPlan plan({5s, 25s}, 10s);
  auto orders = plan.on_term(clock.now());
  REQUIRE(orders.announce);
  REQUIRE_FALSE(orders.drain_proxy);
  REQUIRE(plan.deadline() == clock.now() + 5s);
  clock.advance(5s);
  REQUIRE(plan.on_deadline(clock.now()).drain_proxy);
}

TEST_CASE("a proxy that does not answer does not keep the listeners open") {
  FakeClock clock;
  ShutdownPlan plan({0s, 25s}, 10s);
  plan.on_term(clock.now());
  clock.advance(kAppliedPatience);
  REQUIRE(plan.on_deadline(clock.now()).close_listeners);
  REQUIRE(plan.stage() == Stage::quieting);
}

TEST_CASE("a quick end gives two seconds and keeps its exit code") {
  FakeClock clock;
  ShutdownPlan plan({0s, 25s}, 10s);
  auto orders = plan.on_quit(ExitCode::no_app_ready, clock.now());
  REQUIRE(orders.workers);
  REQUIRE_FALSE(orders.workers->drain);
  REQUIRE(*orders.workers->kill_by == clock.now() + 2s);
  REQUIRE(plan.on_all_stopped().end);
  REQUIRE(plan.code() == ExitCode::no_app_ready);
}

TEST_CASE("a short timeout is kept whatever the grace is") {
  FakeClock clock;
  ShutdownPlan plan({10s, 2s}, 60s);
  TimePoint begun = clock.now();
  plan.on_term(begun);
  REQUIRE(*plan.deadline() <= begun + 1s);
  plan.on_deadline(begun + 1s);
  auto orders = plan.on_proxy_quiet(begun + 1s);
  REQUIRE(*orders.workers->kill_by < begun + 2s);
}

TEST_CASE("an end that has begun goes on in the next supervisor, in the time that was left") {
  FakeClock clock;
  ShutdownPlan plan({0s, 25s}, 10s);
  TimePoint begun = clock.now();
  plan.on_term(begun);
  SECTION("while clients are served") {
    clock.advance(10s);
    ShutdownPlan next({0s, 25s}, 10s);
    auto orders = next.resume(plan.progress(), clock.now());
    REQUIRE(orders.drain_proxy);
    REQUIRE_FALSE(orders.announce);
    REQUIRE_FALSE(orders.workers);
    next.on_proxy_draining(clock.now());
    REQUIRE(*next.deadline() == begun + 25s - 1s - 10s);
  }
  SECTION("while workers stop") {
    plan.on_proxy_quiet(begun);
    clock.advance(3s);
    ShutdownPlan next({0s, 25s}, 10s);
    auto orders = next.resume(plan.progress(), clock.now());
    REQUIRE(orders.workers);
    REQUIRE(orders.close_listeners);
    REQUIRE(*orders.workers->kill_by == begun + 24s);
    REQUIRE(next.on_all_stopped().end);
  }
  SECTION("nothing had begun") {
    ShutdownPlan next({0s, 25s}, 10s);
    REQUIRE_FALSE(next.resume({}, clock.now()).workers);
    REQUIRE_FALSE(next.begun());
    REQUIRE(next.on_term(clock.now()).announce);
  }
}
