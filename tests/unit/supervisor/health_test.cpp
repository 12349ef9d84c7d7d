// A whole supervisor against a played keeper and workers that lose their sockets, fail or die: what the proxy, the next
// supervisor and the service manager are told of it.
#include <signal.h>

#include <set>

#include "rig.h"

using namespace rota;
using namespace rota::supervisor;
using namespace rota::test;

namespace {

struct Health : Rig {
  Health(const ScratchDir& dir, std::uint32_t workers) : Rig(sample(dir, workers)) {
    config::Health& health = app().health;
    health.interval = 20ms;
    health.unhealthy_after = 2;
    health.repair_after = 100ms;
    config.config.log_level = log::Level::info;
  }
  config::App& app() { return config.config.apps.at(0); }
  void serve() {
    start();
    until([&] { return keeper->ready() == app().workers; });
  }
  // Its process lives, and nobody listens any more.
  std::uint64_t lose_socket(std::uint32_t slot) {
    std::uint64_t id = keeper->upstream(slot)->id;
    keeper->workers.at(id).listener.reset();
    return id;
  }
  std::optional<ipc::UpstreamPhase> phase(std::uint64_t id) const {
    for (const auto& one : keeper->state.apps.at(0).upstreams) {
      if (one.id == id) return one.phase;
    }
    return {};
  }
  std::string status() const {
    for (auto at = keeper->notified.rbegin(); at != keeper->notified.rend(); ++at) {
      if (at->starts_with("STATUS=")) return at->substr(7);
    }
    return {};
  }
  bool status_has(const std::string& text) const { return status().find(text) != std::string::npos; }
};

}  // namespace

TEST_CASE("a worker nobody can reach is replaced beside the others, in one step for the proxy") {
  ScratchDir dir;
  Stderr shown(dir);
  Health rig(dir, 3);
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t sick = rig.lose_socket(1);
  rig.until([&] { return rig.phase(sick) == ipc::UpstreamPhase::waiting; });
  rig.until([&] { return keeper.spawned.size() == 4; });
  REQUIRE(keeper.workers.at(keeper.spawned[3]).saved_before);
  REQUIRE(rig.phase(sick) == ipc::UpstreamPhase::waiting);  // nothing is stopped before the new one has proven itself
  REQUIRE(keeper.signals.empty());
  rig.until([&] { return rig.phase(sick) == ipc::UpstreamPhase::draining; });
  REQUIRE(keeper.ready() == 3);
  REQUIRE(rig.phase(keeper.spawned[3]) == ipc::UpstreamPhase::ready);
  keeper.proxy_says(ipc::Drained{sick});
  rig.until([&] { return keeper.acknowledged.size() == 1; });
  REQUIRE(keeper.signals.size() == 1);
  REQUIRE(keeper.signals[0].id == sick);
  REQUIRE(keeper.spawned.size() == 4);
  REQUIRE(shown.count("web.1 is replaced: nothing has listened on its socket for") == 1);
  REQUIRE(shown.has("web.1 (leaving) stopped: signal 15 (TERM)"));
  std::uint64_t restarts = 0;
  for (const auto& worker : keeper.saved->apps.at(0).workers) restarts += worker.restarts;
  REQUIRE(restarts == 1);
}

TEST_CASE("two at once are replaced one after the other") {
  ScratchDir dir;
  Health rig(dir, 3);
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  std::set<std::uint64_t> sick = {rig.lose_socket(0), rig.lose_socket(2)};
  std::size_t starting_most = 0;
  rig.until([&] {
    // New workers that have not taken over yet.
    std::size_t starting = 0;
    for (std::size_t i = 3; i < keeper.spawned.size(); i++) starting += rig.phase(keeper.spawned[i]) ? 0 : 1;
    starting_most = std::max(starting_most, starting);
    return keeper.spawned.size() == 5 && keeper.ready() == 3;
  });
  REQUIRE(starting_most == 1);
  REQUIRE(keeper.spawned.size() == 5);
  for (std::uint64_t id : sick) REQUIRE(rig.phase(id) == ipc::UpstreamPhase::draining);
}

TEST_CASE("a reload ends a repair, and replaces the sick worker first") {
  ScratchDir dir;
  Health rig(dir, 2);
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t sick = rig.lose_socket(1);
  keeper.play = FakeKeeper::Play::hangs;
  rig.until([&] { return keeper.spawned.size() == 3; });
  keeper.play = FakeKeeper::Play::listens;
  rig.app().command = {"app", "new"};
  keeper.signal(SIGHUP);
  rig.until([&] { return rig.phase(sick) == ipc::UpstreamPhase::draining; });
  std::uint64_t successor = keeper.upstream(1)->id;
  REQUIRE(keeper.workers.at(successor).spec.argv.back() == "new");
  REQUIRE(successor == keeper.spawned.at(3));
  // What the repair had started was stopped.
  rig.until([&] { return !keeper.signals.empty(); });
  REQUIRE(keeper.signals[0].id == keeper.spawned[2]);
  rig.until([&] { return keeper.ready() == 2 && keeper.spawned.size() == 5; });
}

TEST_CASE("no repair and no outage while everything ends") {
  ScratchDir dir;
  Health rig(dir, 2);
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t sick = rig.lose_socket(1);
  keeper.play = FakeKeeper::Play::hangs;
  rig.until([&] { return keeper.spawned.size() == 3; });
  keeper.signal(SIGQUIT);
  rig.until([&] { return keeper.exit_code.has_value(); });
  REQUIRE(*keeper.exit_code == 0);
  REQUIRE(keeper.spawned.size() == 3);
  REQUIRE(keeper.signals.size() == 3);
  REQUIRE_FALSE(rig.phase(sick) == ipc::UpstreamPhase::ready);
}

TEST_CASE("the status says when none passes its checks, and when one does again") {
  ScratchDir dir;
  Stderr shown(dir);
  Health rig(dir, 2);
  rig.app().health.repair_after = 0ms;
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t first = rig.lose_socket(0);
  rig.lose_socket(1);
  rig.until([&] { return rig.status_has("web: 0 of 2 workers ready (none passes its checks)"); });
  REQUIRE(shown.count("web: none of its 2 workers passes its checks: nothing listens on its socket") == 1);
  keeper.exit(first, SIGKILL);
  rig.until([&] { return rig.status() == "Serving on 127.0.0.1:4711; web: 1 of 2 workers ready"; });
  REQUIRE(shown.count("web: 1 of 2 workers pass their checks again") == 1);
}

TEST_CASE("the status names a crash loop and its reason until it is over") {
  ScratchDir dir;
  Stderr shown(dir);
  Health rig(dir, 2);
  rig.app().restart = {1ms, 5ms, 60s};
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::dies;
  keeper.exit(keeper.upstream(0)->id, SIGKILL);
  rig.until([&] { return rig.status_has("web: 1 of 2 workers ready (1 in a crash loop: exit code 1)"); });
  REQUIRE(shown.has("short lives in a row, trying again in"));
  keeper.play = FakeKeeper::Play::listens;
  rig.until([&] { return rig.status() == "Serving on 127.0.0.1:4711; web: 2 of 2 workers ready"; });
}

TEST_CASE("the status says why there is no proxy for a while") {
  ScratchDir dir;
  Health rig(dir, 1);
  rig.serve();
  FakeKeeper& keeper = *rig.keeper;
  keeper.end_proxy(800);
  rig.until([&] { return rig.status_has("The proxy is down: signal 9 (KILL), the next one starts in 800 ms. "); });
  keeper.begin_proxy();
  rig.until([&] { return rig.status() == "Serving on 127.0.0.1:4711; web: 1 of 1 workers ready"; });
  // A death that is made good at once is none of the status's business.
  std::size_t told = keeper.notified.size();
  keeper.restart_proxy();
  rig.until([&] { return !keeper.versions.empty(); });
  REQUIRE(keeper.notified.size() == told);
}
