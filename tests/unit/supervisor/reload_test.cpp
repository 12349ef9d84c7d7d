// HUP against a played keeper: what changes at once, what is replaced and in which order, and that a reload that cannot
// be done changes nothing.
#include <signal.h>

#include <catch2/generators/catch_generators.hpp>
#include <set>

#include "rig.h"

using namespace rota;
using namespace rota::supervisor;
using namespace rota::test;

namespace {

struct Reload : Rig {
  explicit Reload(config::Loaded loaded, std::uint64_t epoch = 1) : Rig(std::move(loaded), epoch) {
    config.config.log_level = log::Level::error;
  }
  config::App& app(std::size_t i = 0) { return config.config.apps.at(i); }
  std::string spawned_with(std::size_t i) { return keeper->workers.at(keeper->spawned.at(i)).spec.argv.back(); }
  void serve(std::size_t workers) {
    start();
    until([&] { return keeper->ready() == workers && told("READY=1") == 1; });
  }
  void hup() {
    ready_before_ = told("READY=1");
    keeper->signal(SIGHUP);
  }
  void reloaded() {
    until([&] { return told("READY=1") > ready_before_; });
  }
  std::size_t told(const std::string& text) const {
    return static_cast<std::size_t>(std::count(keeper->notified.begin(), keeper->notified.end(), text));
  }
  std::string status() const {
    for (auto at = keeper->notified.rbegin(); at != keeper->notified.rend(); ++at) {
      if (at->starts_with("STATUS=")) return at->substr(7);
    }
    return {};
  }
  // Everything that drains is drained; so a proxy without clients would say.
  void drain_all() {
    for (const auto& app : keeper->state.apps) {
      for (const auto& one : app.upstreams) {
        if (one.phase == ipc::UpstreamPhase::draining && said_.insert(one.id).second) {
          keeper->proxy_says(ipc::Drained{one.id});
        }
      }
    }
  }
  std::size_t ready_of(std::size_t app) const {
    std::size_t n = 0;
    for (const auto& one : keeper->state.apps.at(app).upstreams) n += one.phase == ipc::UpstreamPhase::ready;
    return n;
  }
  std::set<std::string> commands_of_ready() {
    std::set<std::string> found;
    for (const auto& one : keeper->state.apps.at(0).upstreams) {
      if (one.phase == ipc::UpstreamPhase::ready) found.insert(keeper->workers.at(one.id).spec.argv.back());
    }
    return found;
  }
  bool until_drained(const std::function<bool()>& so) {
    until([&] {
      drain_all();
      return so();
    });
    return true;
  }

 private:
  std::size_t ready_before_ = 0;
  std::set<std::uint64_t> said_;
};

config::App another(const config::App& app, const std::string& name) {
  config::App other = app;
  other.name = name;
  other.routes = {{"", "/" + name, {}, ""}};
  return other;
}

}  // namespace

TEST_CASE("a reload without a change touches nothing and says so") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.config.config.log_level = log::Level::info;
  Stderr shown(dir);
  rig.serve(2);
  rig.hup();
  rig.reloaded();
  REQUIRE(rig.keeper->spawned.size() == 2);
  REQUIRE(rig.keeper->signals.empty());
  REQUIRE(shown.has("reloaded: nothing has changed"));
  bool announced = std::any_of(rig.keeper->notified.begin(), rig.keeper->notified.end(),
                               [](const auto& text) { return text.starts_with("RELOADING=1\nMONOTONIC_USEC="); });
  REQUIRE(announced);
}

TEST_CASE("a changed command replaces the workers one by one, each by one that has proven itself") {
  ScratchDir dir;
  Reload rig(sample(dir, 3));
  rig.serve(3);
  FakeKeeper& keeper = *rig.keeper;
  auto old_ids = keeper.spawned;
  rig.app().command = {"app", "new"};
  rig.hup();
  std::size_t least = 3;
  std::size_t drained_at_once = 0;
  rig.until([&] {
    rig.drain_all();
    least = std::min(least, keeper.ready());
    std::size_t draining = 0;
    for (const auto& one : keeper.state.apps[0].upstreams) draining += one.phase == ipc::UpstreamPhase::draining;
    drained_at_once = std::max(drained_at_once, draining);
    return rig.told("READY=1") == 2;
  });
  REQUIRE(least == 3);  // at no time one worker fewer
  REQUIRE(drained_at_once == 1);
  REQUIRE(rig.commands_of_ready() == std::set<std::string>{"new"});
  rig.until_drained([&] { return keeper.acknowledged.size() == 3; });
  REQUIRE(std::set<std::uint64_t>(keeper.acknowledged.begin(), keeper.acknowledged.end()) ==
          std::set<std::uint64_t>(old_ids.begin(), old_ids.end()));
  REQUIRE(keeper.spawned.size() == 6);
  for (const auto& [id, worker] : keeper.workers) REQUIRE(worker.saved_before);
  REQUIRE(rig.status() == "Serving on 127.0.0.1:4711; web: 3 of 3 workers ready");
  // From then on a worker comes back as the new one.
  keeper.exit(keeper.upstream(0)->id, SIGKILL);
  rig.until([&] { return keeper.spawned.size() == 7; });
  REQUIRE(rig.spawned_with(6) == "new");
}

TEST_CASE("a reload is over when the proxy acts on it, or when there is none that could act on what was before") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  keeper.proxy_applies = false;
  rig.app().command = {"app", "new"};
  rig.hup();
  rig.until_drained([&] { return keeper.acknowledged.size() == 2; });
  REQUIRE(rig.commands_of_ready() == std::set<std::string>{"new"});
  REQUIRE(rig.told("READY=1") == 1);
  SECTION("a later state counts too") {
    keeper.proxy_says(ipc::Applied{keeper.versions.front()});
    keeper.proxy_says(ipc::Applied{keeper.versions.back()});
  }
  SECTION("the next proxy begins with it") { keeper.end_proxy(1000); }
  rig.reloaded();
}

TEST_CASE("a release that fails is given up: what ran goes on, and comes back as it was") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  auto old_ids = keeper.spawned;
  Stderr shown(dir);
  rig.app().command = {"app", "bad"};
  SECTION("it dies at once") { keeper.play = FakeKeeper::Play::dies; }
  SECTION("it never listens") {
    keeper.play = FakeKeeper::Play::hangs;
    rig.app().start_timeout = 100ms;
  }
  rig.hup();
  rig.reloaded();
  REQUIRE(keeper.ready() == 2);
  REQUIRE(rig.status().find("(reload failed: the new worker of web.") != std::string::npos);
  REQUIRE(shown.has("reload failed after"));
  if (keeper.play == FakeKeeper::Play::dies) REQUIRE(shown.has("web.0 said: no database"));
  REQUIRE(keeper.spawned.size() == 4);  // two tries
  for (std::uint64_t id : old_ids) REQUIRE_FALSE(keeper.workers.at(id).out.get() == -1);

  keeper.play = FakeKeeper::Play::listens;
  keeper.exit(old_ids[1], SIGKILL);
  rig.until([&] { return keeper.ready() == 2 && keeper.spawned.size() == 5; });
  REQUIRE(rig.spawned_with(4) == "app");

  // The operator mends it (here: outside the file) and tries again.
  rig.hup();
  rig.until([&] {
    rig.drain_all();
    return rig.told("READY=1") == 3;
  });
  REQUIRE(rig.commands_of_ready() == std::set<std::string>{"bad"});
  REQUIRE(rig.status().find("failed") == std::string::npos);
}

TEST_CASE("a worker that listens and dies soon after never takes over") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  rig.app().command = {"app", "bad"};
  rig.hup();
  for (std::size_t tries = 1; tries <= 2; tries++) {
    rig.until([&] { return keeper.spawned.size() == 2 + tries; });
    std::uint64_t id = keeper.spawned.back();
    // Until it has been found ready: the supervisor saves that.
    rig.until([&] {
      for (const auto& worker : keeper.saved->apps.at(0).workers) {
        if (worker.spawn_id == id && worker.phase == SavedPhase::ready) return true;
      }
      return false;
    });
    for (const auto& one : keeper.state.apps[0].upstreams) REQUIRE(one.id != id);
    keeper.exit(id, SIGSEGV);
  }
  rig.reloaded();
  REQUIRE(rig.commands_of_ready() == std::set<std::string>{"app"});
  REQUIRE(keeper.signals.empty());
}

TEST_CASE("a file with mistakes, a user or a socket that cannot be had: nothing changes") {
  ScratchDir dir;
  Reload rig(sample(dir, 1));
  rig.serve(1);
  FakeKeeper& keeper = *rig.keeper;
  auto shelf = keeper.shelf;
  std::size_t version = keeper.versions.size();
  rig.app().command = {"app", "new"};
  rig.config.config.timeouts.idle = 1s;
  rig.config.config.apps.push_back(another(rig.app(), "api"));
  config::Listener more = rig.config.config.listen[0];
  more.address.port = 4712;
  rig.config.config.listen.push_back(more);
  std::string why;
  SECTION("mistakes") {
    rig.config.problems = {{config::Problem::Kind::configuration, {7, 5}, "x", "rota.yaml:7:5: bad\n  here\n  ^"},
                           {config::Problem::Kind::configuration, {8, 5}, "y", "rota.yaml:8:5: bad"}};
    why = "rota.yaml:7:5: bad (and 1 more)";
  }
  SECTION("an address in use") {
    more.address.port = 4713;
    rig.config.config.listen.push_back(more);
    keeper.bind_error = EADDRINUSE;
    keeper.refused_port = 4713;
    why = "cannot listen on 127.0.0.1:4713";
  }
  SECTION("a name that has no address") {
    rig.config.config.listen[1].address.host = "no-such-host.invalid";
    why = "cannot listen on no-such-host.invalid:4712";
  }
  SECTION("a user that is not there") {
    rig.app(1).user = "no-such-user";
    why = "the user no-such-user of app api does not exist";
  }
  SECTION("a log that cannot be opened") {
    rig.config.config.access_log = {config::AccessLog::To::file, dir.path() + "/missing/access.log"};
    why = "the access log " + dir.path() + "/missing/access.log cannot be opened";
  }
  SECTION("an app's log that cannot be opened") {
    rig.app().log.file = dir.path() + "/missing/web.log";
    why = "the log file of app web cannot be opened";
  }
  SECTION("a socket path that is too long") {
    rig.config.config.runtime_dir = "/short";
    rig.app(1).name = std::string(120, 'a');
    why = "the path of a worker's socket";
  }
  rig.hup();
  rig.reloaded();
  INFO(rig.status());
  REQUIRE(rig.status().find("(reload failed: ") != std::string::npos);
  REQUIRE(rig.status().find(why) != std::string::npos);
  REQUIRE(keeper.shelf == shelf);  // what was bound is closed again
  REQUIRE(keeper.versions.size() == version);
  REQUIRE(keeper.spawned.size() == 1);
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/api"));

  // And the next one works.
  rig.config.problems.clear();
  keeper.bind_error = 0;
  rig.config.config = sample(dir, 1).config;
  rig.config.config.log_level = log::Level::error;
  rig.hup();
  rig.reloaded();
  REQUIRE(rig.status() == "Serving on 127.0.0.1:4711; web: 1 of 1 workers ready");
}

TEST_CASE("settings are in force at once, without a new worker") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  config::Config& config = rig.config.config;
  config.timeouts.idle = 1234ms;
  config.limits.body = 9_KiB;
  config.trusted_proxies.unix_peers = true;
  rig.app().queue.size = 7;
  rig.app().routes = {{"example.com", "/", {}, ""}};
  rig.app().stop.grace = 50ms;
  config.threads = 5;
  config.runtime_dir = dir.path() + "/elsewhere";
  config.access_log = {config::AccessLog::To::file, dir.path() + "/access.log"};
  config.log_level = log::Level::warning;
  Stderr shown(dir);
  rig.hup();
  rig.reloaded();
  REQUIRE(shown.has("what was changed of threads, runtime_dir takes effect at the next start"));
  REQUIRE(keeper.spawned.size() == 2);
  REQUIRE(keeper.ready() == 2);
  REQUIRE(keeper.state.idle == 1234ms);
  REQUIRE(keeper.state.body_max == 9_KiB);
  REQUIRE(keeper.state.trusts_unix_peers);
  REQUIRE(keeper.state.threads == 1);
  REQUIRE(keeper.state.access_log == "access-log");
  REQUIRE(keeper.shelf.contains("access-log"));
  REQUIRE(keeper.state.apps[0].queue_size == 7);
  REQUIRE(keeper.state.apps[0].routes.at(0).host == "example.com");
  // A running worker is stopped as the file says now.
  keeper.die_on_term = false;
  rig.app().workers = 1;
  config.access_log = {};
  rig.hup();
  rig.reloaded();
  REQUIRE_FALSE(keeper.shelf.contains("access-log"));
  rig.until_drained([&] { return keeper.signals.size() == 2; });
  REQUIRE(keeper.signals[1].number == SIGKILL);
  keeper.die_on_term = true;
}

TEST_CASE("workers are added and taken away at the top") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  auto first = keeper.spawned;
  rig.app().workers = 4;
  rig.hup();
  rig.until([&] { return keeper.ready() == 4; });
  REQUIRE(rig.spawned_with(2) == "app");
  rig.app().workers = 1;
  rig.hup();
  rig.until_drained([&] { return keeper.acknowledged.size() == 3; });
  REQUIRE(keeper.ready() == 1);
  REQUIRE(keeper.upstream(0)->id == *std::min_element(first.begin(), first.end()));
  REQUIRE(keeper.saved->apps[0].workers.size() == 1);
}

TEST_CASE("apps come and go, and come back while they go") {
  ScratchDir dir;
  Reload rig(sample(dir, 1));
  rig.serve(1);
  FakeKeeper& keeper = *rig.keeper;
  rig.config.config.apps.push_back(another(rig.app(), "api"));
  rig.hup();
  rig.reloaded();
  REQUIRE(keeper.ready() == 2);
  REQUIRE(std::filesystem::exists(dir.path() + "/run/api"));
  REQUIRE(keeper.state.apps.at(1).routes.at(0).path == "/api");

  config::App api = rig.app(1);
  rig.config.config.apps.pop_back();
  rig.hup();
  rig.reloaded();
  // It answers what it has and is given nothing more.
  REQUIRE(keeper.state.apps.size() == 2);
  REQUIRE(keeper.state.apps[1].upstreams.at(0).phase == ipc::UpstreamPhase::draining);
  for (const auto& route : keeper.state.apps[1].routes) {
    REQUIRE(route.listeners.size() == 1);
    REQUIRE_FALSE(keeper.shelf.contains(route.listeners[0]));
  }
  REQUIRE_FALSE(keeper.state.apps[1].routes.empty());
  SECTION("gone for good") {
    rig.until_drained([&] { return keeper.state.apps.size() == 1; });
    REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/api"));
    REQUIRE(keeper.saved->apps.size() == 1);
  }
  SECTION("wanted again") {
    rig.config.config.apps.push_back(api);
    rig.hup();
    rig.until([&] { return rig.ready_of(1) == 1; });
    REQUIRE(keeper.state.apps[1].upstreams.size() == 2);
    REQUIRE(keeper.state.apps[1].routes.at(0).path == "/api");
    rig.until_drained([&] { return keeper.acknowledged.size() == 1; });
    REQUIRE(rig.ready_of(1) == 1);
    REQUIRE(std::filesystem::exists(dir.path() + "/run/api"));
  }
  SECTION("wanted again, but gone before all is ready for that") {
    rig.config.config.apps.push_back(api);
    config::Listener more = rig.config.config.listen[0];
    more.address.port = 4712;
    rig.config.config.listen.push_back(more);
    keeper.holds_binds = true;
    rig.hup();
    rig.until([&] { return keeper.held_binds.size() == 1; });
    rig.until_drained([&] { return keeper.state.apps.size() == 1; });
    REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/api"));
    keeper.answer_binds();
    rig.until([&] { return keeper.state.apps.size() == 2 && rig.ready_of(1) == 1; });
    REQUIRE(std::filesystem::exists(dir.path() + "/run/api"));
  }
}

TEST_CASE("listeners that stay keep their sockets, wherever they stand in the file") {
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  auto listen = [](std::uint16_t port) {
    config::Listener one;
    one.address.host = "127.0.0.1";
    one.address.port = port;
    return one;
  };
  loaded.config.listen = {listen(4712), listen(4713), listen(0)};
  Reload rig(std::move(loaded));
  rig.serve(1);
  FakeKeeper& keeper = *rig.keeper;
  keeper.bound_names.clear();
  rig.config.config.listen = {listen(0), listen(4714), listen(4712)};
  rig.config.config.listen[2].proxy_protocol = true;
  rig.hup();
  rig.reloaded();
  REQUIRE(keeper.bound_names == std::vector<std::string>{"listen/127.0.0.1:4714"});
  REQUIRE(keeper.unshelved == std::vector<std::string>{"listen/127.0.0.1:4713"});
  REQUIRE(keeper.state.listeners.size() == 3);
  REQUIRE(keeper.state.listeners[2].name == "listen/127.0.0.1:4712");
  REQUIRE(keeper.state.listeners[2].proxy_protocol);
}

TEST_CASE("a newer reload supersedes the one under way") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::hangs;
  rig.app().command = {"app", "second"};
  rig.hup();
  rig.until([&] { return keeper.spawned.size() == 3; });
  keeper.play = FakeKeeper::Play::listens;
  rig.app().command = {"app", "third"};
  rig.hup();
  rig.until([&] {
    rig.drain_all();
    return rig.told("READY=1") == 2;
  });
  REQUIRE(rig.commands_of_ready() == std::set<std::string>{"third"});
  REQUIRE(rig.spawned_with(2) == "second");
  // Back to what it was before anything was replaced: nothing needs to be.
  rig.until_drained([&] { return keeper.acknowledged.size() == 3; });
}

TEST_CASE("a file that is refused while a reload goes on is not forgotten at its end") {
  ScratchDir dir;
  Reload rig(sample(dir, 1));
  rig.serve(1);
  FakeKeeper& keeper = *rig.keeper;
  keeper.proxy_applies = false;
  rig.app().command = {"app", "second"};
  rig.hup();
  rig.until_drained([&] { return keeper.acknowledged.size() == 1; });
  rig.config.problems = {{config::Problem::Kind::configuration, {7, 5}, "x", "rota.yaml:7:5: bad"}};
  rig.hup();
  rig.until([&] {
    return std::count_if(keeper.notified.begin(), keeper.notified.end(),
                         [](const auto& text) { return text.starts_with("RELOADING=1"); }) == 2;
  });
  REQUIRE(rig.told("READY=1") == 1);  // the first one is not over
  keeper.proxy_says(ipc::Applied{keeper.versions.back()});
  rig.reloaded();
  REQUIRE(rig.status().find("reload failed: rota.yaml:7:5: bad") != std::string::npos);
}

TEST_CASE("a stop in the middle of a reload ends the new workers with the old ones") {
  ScratchDir dir;
  Reload rig(sample(dir, 2));
  rig.serve(2);
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::hangs;
  rig.app().command = {"app", "new"};
  rig.hup();
  rig.until([&] { return keeper.spawned.size() == 3; });
  keeper.signal(SIGTERM, 1);
  rig.until([&] { return keeper.state.phase == ipc::ProxyPhase::draining; });
  rig.hup();  // ignored
  keeper.proxy_says(ipc::Applied{keeper.state.version});
  keeper.proxy_says(ipc::Quiet{});
  rig.until_drained([&] { return keeper.exit_code.has_value(); });
  REQUIRE(*keeper.exit_code == 0);
  REQUIRE(keeper.acknowledged.size() == 3);
  REQUIRE(keeper.spawned.size() == 3);
}

namespace {

// The keeper and its processes go on, the supervisor does not.
void hand_over(Reload& before, Reload& after, const std::vector<std::uint64_t>& living) {
  for (std::uint64_t id : living) {
    after.keeper->workers[id] = std::move(before.keeper->workers.at(id));
    after.keeper->earlier_processes.push_back(id);
  }
  after.keeper->earlier_state = before.keeper->saved_bytes;
  after.keeper->shelf = before.keeper->shelf;
  after.keeper->shelved_fds = std::move(before.keeper->shelved_fds);
  before.role.reset();
}

}  // namespace

TEST_CASE("a supervisor that dies in the middle of a replacement is followed by one that goes on with it") {
  ScratchDir dir;
  Reload first(sample(dir, 3));
  first.serve(3);
  first.app().command = {"app", "new"};
  bool proven = GENERATE(true, false);
  if (!proven) first.keeper->play = FakeKeeper::Play::hangs;
  first.hup();
  // One is replaced and the next is under way, or the first hangs.
  std::size_t spawned = proven ? 5 : 4;
  first.until([&] { return first.keeper->spawned.size() == spawned; });
  std::vector<std::uint64_t> living = first.keeper->spawned;

  Reload second(sample(dir, 3), 2);  // the file is back to what it was: it is not read
  hand_over(first, second, living);
  FakeKeeper& keeper = *second.keeper;
  if (!proven) {
    FakeKeeper::listen(keeper.workers.at(living.back()));
  }
  second.start();
  std::size_t least = 3;
  second.until([&] {
    second.drain_all();
    if (!keeper.versions.empty()) least = std::min(least, keeper.ready());
    return !keeper.versions.empty() && second.commands_of_ready() == std::set<std::string>{"new"} &&
           keeper.acknowledged.size() == 3;
  });
  REQUIRE(least == 3);
  REQUIRE(keeper.spawned.size() == 6 - spawned);  // what was started is not started again
}

TEST_CASE("after a failed reload and a crash workers come back as they were, and nothing is tried again") {
  ScratchDir dir;
  Reload first(sample(dir, 2));
  first.serve(2);
  auto living = first.keeper->spawned;
  first.keeper->play = FakeKeeper::Play::dies;
  first.app().command = {"app", "bad"};
  first.hup();
  first.reloaded();
  first.until([&] { return first.keeper->acknowledged.size() == 2; });

  Reload second(sample(dir, 2), 2);
  hand_over(first, second, living);
  FakeKeeper& keeper = *second.keeper;
  second.start();
  second.until([&] { return second.told("READY=1") == 1 && keeper.ready() == 2; });
  keeper.exit(living[0], SIGKILL);
  second.until([&] { return keeper.ready() == 2 && keeper.spawned.size() == 1; });
  REQUIRE(second.spawned_with(0) == "app");
  REQUIRE(keeper.acknowledged.size() == 1);
}

TEST_CASE("an app that was leaving when the supervisor died still leaves in peace") {
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  loaded.config.apps.push_back(another(loaded.config.apps[0], "api"));
  Reload first(std::move(loaded));
  first.serve(2);
  auto living = first.keeper->spawned;
  first.config.config.apps.pop_back();
  first.hup();
  first.reloaded();

  Reload second(sample(dir, 1), 2);
  hand_over(first, second, living);
  FakeKeeper& keeper = *second.keeper;
  second.start();
  second.until([&] { return !keeper.versions.empty(); });
  REQUIRE(keeper.first_state.apps.size() == 2);
  REQUIRE(keeper.first_state.apps[1].upstreams.at(0).phase == ipc::UpstreamPhase::draining);
  REQUIRE(keeper.signals.empty());
  second.until_drained([&] { return keeper.state.apps.size() == 1; });
  REQUIRE(keeper.signals.size() == 1);
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/api"));
}
