// The whole supervisor against a played keeper, proxy and workers: order of what it does, and that nothing is left.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "rig.h"

using namespace rota;
using namespace rota::supervisor;
using namespace rota::test;

namespace {

bool any_listener(const FakeKeeper& keeper) {
  return std::any_of(keeper.shelf.begin(), keeper.shelf.end(), [](const auto& entry) { return entry.second; });
}

bool has_sockets(const std::string& directory) {
  std::error_code none;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, none)) {
    if (entry.is_socket()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("workers are remembered before they exist, take part when they listen, and stop after the proxy is done") {
  log::configure({"", log::Level::error, false});
  ScratchDir dir;
  Rig rig(sample(dir, 3));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 3; });
  REQUIRE(keeper.spawned.size() == 3);
  for (const auto& [id, worker] : keeper.workers) {
    REQUIRE(worker.saved_before);
    REQUIRE(FakeKeeper::socket_of(worker).starts_with(dir.path() + "/run/web/"));
  }
  REQUIRE(keeper.upstream(0)->address.starts_with("web/0-"));
  REQUIRE(keeper.state.listeners.size() == 1);
  REQUIRE(keeper.state.listeners[0].text == "127.0.0.1:4711");
  rig.until(
      [&] { return std::find(keeper.notified.begin(), keeper.notified.end(), "READY=1") != keeper.notified.end(); });

  keeper.proxy_applies = false;
  keeper.signal(SIGTERM, 1);
  rig.until([&] { return keeper.state.phase == ipc::ProxyPhase::draining; });
  REQUIRE(keeper.ready() == 3);  // what is in the backlog still finds workers
  REQUIRE(any_listener(keeper));
  keeper.proxy_says(ipc::Applied{keeper.state.version});
  rig.until([&] { return !any_listener(keeper); });
  REQUIRE(keeper.signals.empty());
  keeper.proxy_says(ipc::Quiet{});
  rig.until([&] { return rig.drained_all(); });
  REQUIRE(keeper.signals.empty());
  for (std::uint64_t id : keeper.spawned) keeper.proxy_says(ipc::Drained{id});
  rig.until([&] { return keeper.exit_code.has_value(); });
  REQUIRE(*keeper.exit_code == 0);
  REQUIRE(keeper.signals.size() == 3);
  REQUIRE(keeper.acknowledged.size() == 3);
  REQUIRE_FALSE(has_sockets(dir.path()));
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/web"));
}

TEST_CASE("a worker that dies is gone from the proxy's table and back under another path") {
  ScratchDir dir;
  Rig rig(sample(dir, 2));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 2; });
  std::uint64_t first = keeper.upstream(1)->id;
  std::string path = keeper.upstream(1)->address;
  keeper.exit(first, SIGKILL);
  rig.until([&] { return !keeper.upstream(1) || keeper.upstream(1)->id != first; });
  REQUIRE(keeper.upstream(0)->phase == ipc::UpstreamPhase::ready);
  rig.until([&] { return keeper.ready() == 2; });
  REQUIRE(keeper.upstream(1)->address.starts_with("web/1-"));
  REQUIRE(keeper.upstream(1)->address != path);
  REQUIRE(keeper.upstream(1)->id > first);
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/" + path));
  REQUIRE(keeper.acknowledged == std::vector<std::uint64_t>{first});
}

TEST_CASE("what a proxy cannot reach is looked at, and told again when it is well") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 1; });
  std::uint64_t id = keeper.spawned.at(0);
  std::size_t before = keeper.versions.size();
  keeper.proxy_says(ipc::ConnectFailed{id, ECONNREFUSED});
  rig.until([&] { return keeper.versions.size() > before; });
  REQUIRE(keeper.ready() == 1);
  // The process lives, its socket does not.
  keeper.workers.at(id).listener.reset();
  keeper.proxy_says(ipc::ConnectFailed{id, ECONNREFUSED});
  rig.until([&] { return keeper.ready() == 0; });
  REQUIRE(keeper.upstream(0)->phase == ipc::UpstreamPhase::waiting);
}

TEST_CASE("an address that cannot be had ends the start before any worker exists") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  Rig rig(sample(dir, 2));
  rig.keeper->bind_error = EADDRINUSE;
  rig.start();
  rig.until([&] { return rig.keeper->exit_code.has_value(); });
  REQUIRE(*rig.keeper->exit_code == 73);
  REQUIRE(rig.keeper->spawned.empty());
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/web"));
}

TEST_CASE("a directory in use by another rota, and one that others may write to, are refused") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  SECTION("in use") {
    RuntimeDir other;
    REQUIRE_FALSE(other.open(dir.path() + "/run", false));
    REQUIRE_FALSE(other.lock(4242));
    RuntimeDir second;
    REQUIRE_FALSE(second.open(dir.path() + "/run", false));
    Failure refused = second.lock(1);
    REQUIRE(refused);
    REQUIRE(refused->text.find("already running (pid 4242)") != std::string::npos);
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 75);
    REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/web"));
  }
  SECTION("writable by others") {
    std::filesystem::create_directory(dir.path() + "/run");
    std::filesystem::permissions(dir.path() + "/run", std::filesystem::perms::all);
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 77);
  }
}

TEST_CASE("boot: fail ends when no worker ever became ready, boot: wait goes on") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 2);
  SECTION("fail, by deaths") {
    loaded.config.boot = config::Boot::fail;
    Rig rig(std::move(loaded));
    rig.keeper->play = FakeKeeper::Play::dies;
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 69);
    REQUIRE(rig.keeper->spawned.size() >= 6);
  }
  SECTION("fail, by time") {
    loaded.config.boot = config::Boot::fail;
    loaded.config.apps[0].start_timeout = 50ms;
    Rig rig(std::move(loaded));
    rig.keeper->play = FakeKeeper::Play::hangs;
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 69);
  }
  SECTION("wait: it comes up when it can") {
    Rig rig(std::move(loaded));
    rig.keeper->play = FakeKeeper::Play::dies;
    rig.start();
    rig.until([&] { return rig.keeper->spawned.size() >= 8; });
    rig.keeper->play = FakeKeeper::Play::listens;
    rig.until([&] { return rig.keeper->ready() == 2; });
    REQUIRE_FALSE(rig.keeper->exit_code);
  }
}

TEST_CASE("mistakes in the configuration end with their code and without a trace") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  using Kind = config::Problem::Kind;
  int expected = 0;
  SECTION("all are a matter of permission") {
    loaded.problems = {{Kind::not_permitted, {}, "", "(expected by this test)"}};
    expected = 77;
  }
  SECTION("one is not") {
    loaded.problems = {{Kind::not_permitted, {}, "", "(expected by this test)"},
                       {Kind::configuration, {}, "", "(expected by this test)"}};
    expected = 78;
  }
  Rig rig(std::move(loaded));
  rig.start();
  rig.until([&] { return rig.keeper->exit_code.has_value(); });
  REQUIRE(*rig.keeper->exit_code == expected);
  REQUIRE(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("workers that ignore TERM are killed, and a second TERM waits for no proxy") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 2);
  loaded.config.apps[0].stop.grace = 50ms;
  Rig rig(std::move(loaded));
  rig.keeper->die_on_term = false;
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 2; });
  keeper.signal(SIGTERM, 1);
  keeper.signal(SIGTERM, 2);
  rig.until([&] { return keeper.exit_code.has_value(); });
  REQUIRE(keeper.signals.size() == 4);
  REQUIRE(keeper.signals[0].number == SIGTERM);
  REQUIRE_FALSE(keeper.signals[0].group);
  REQUIRE(keeper.signals[3].number == SIGKILL);
  REQUIRE(keeper.signals[3].group);
}

TEST_CASE("the next supervisor goes on with the same workers, stops strangers and starts what vanished") {
  ScratchDir dir;
  config::Loaded before = sample(dir, 3);
  before.config.log_level = log::Level::error;  // a level that can be kept
  Rig first(std::move(before));
  first.start();
  first.until([&] { return first.keeper->ready() == 3; });
  std::map<std::uint64_t, FakeKeeper::Worker> workers = std::move(first.keeper->workers);
  std::string state = first.keeper->saved_bytes;
  auto shelf = first.keeper->shelf;
  std::uint64_t last_version = first.keeper->versions.back();
  std::uint64_t vanished = first.keeper->upstream(2)->id;
  first.keeper->workers.clear();
  first.role.reset();  // its sockets stay: a supervisor that dies cleans nothing up

  config::Loaded loaded = sample(dir, 3);
  SECTION("same file") {}
  SECTION("the file says something else by now") { loaded.config.apps[0].command.emplace_back("--new"); }
  SECTION("the file is broken by now") { loaded.problems = {{config::Problem::Kind::configuration, {}, "", ""}}; }
  Rig second(std::move(loaded), 2);
  FakeKeeper& keeper = *second.keeper;
  keeper.workers = std::move(workers);
  keeper.earlier_state = state;
  keeper.shelf = shelf;
  keeper.shelved_fds = std::move(first.keeper->shelved_fds);
  constexpr std::uint64_t kStranger = 999;
  keeper.workers[kStranger].pid = 1'000'000'999;
  for (const auto& [id, worker] : keeper.workers) {
    if (id != vanished) keeper.earlier_processes.push_back(id);
  }
  second.start();
  second.until([&] { return !keeper.versions.empty(); });
  REQUIRE(keeper.versions.front() > last_version);
  for (std::size_t i : {0U, 1U}) {  // in rotation from the first state on
    const ipc::UpstreamState& kept = keeper.first_state.apps.at(0).upstreams.at(i);
    REQUIRE(kept.id < kStranger);
    REQUIRE(kept.phase == ipc::UpstreamPhase::ready);
  }
  second.until([&] { return keeper.ready() == 3; });
  REQUIRE(keeper.spawned.size() == 1);
  REQUIRE(keeper.spawned[0] > kStranger);
  REQUIRE(keeper.workers.at(keeper.spawned[0]).spec.argv == std::vector<std::string>{"app"});
  second.until([&] { return keeper.acknowledged.size() == 1; });
  REQUIRE(keeper.acknowledged[0] == kStranger);
  // An adopted worker's death is seen and judged like any other.
  std::uint64_t adopted = keeper.upstream(0)->id;
  std::string path = keeper.upstream(0)->address;
  REQUIRE(adopted < kStranger);
  keeper.exit(adopted, SIGKILL);
  second.until([&] { return keeper.ready() == 3 && keeper.upstream(0)->id != adopted; });
  REQUIRE(keeper.upstream(0)->address != path);
}

TEST_CASE("a proxy whose channel is lost is killed, so that the next one hears of workers again") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 1; });
  keeper.close_proxy_channel();
  rig.until([&] { return !keeper.killed_proxies.empty(); });
  REQUIRE(keeper.killed_proxies == std::vector<std::uint64_t>{77});
  keeper.state = {};
  keeper.restart_proxy();
  rig.until([&] { return keeper.ready() == 1; });
  REQUIRE(keeper.killed_proxies.size() == 1);
}

TEST_CASE("a supervisor that comes in the middle of a stop ends it: no second signal, no new worker, nothing bound") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  Rig first(sample(dir, 2));
  FakeKeeper& before = *first.keeper;
  before.die_on_term = false;
  first.start();
  first.until([&] { return before.ready() == 2; });
  std::uint64_t early = before.spawned.at(0);
  std::uint64_t late = before.spawned.at(1);
  before.signal(SIGTERM, 1);
  first.until([&] { return before.state.phase == ipc::ProxyPhase::draining; });
  before.proxy_says(ipc::Quiet{});
  for (std::uint64_t id : before.spawned) before.proxy_says(ipc::Drained{id});
  first.until([&] { return before.signals.size() == 2; });
  before.exit(early, 0);
  first.until([&] { return before.acknowledged.size() == 1; });
  first.role.reset();

  Rig second(sample(dir, 2), 2);
  FakeKeeper& after = *second.keeper;
  after.workers[late] = std::move(before.workers.at(late));
  after.earlier_processes = {late};
  after.earlier_state = before.saved_bytes;
  after.shelf = before.shelf;
  after.shelved_fds = std::move(before.shelved_fds);
  after.bind_error = EADDRINUSE;  // as another daemon's might be by now
  second.start();
  after.signal(SIGTERM, 1);  // told to every supervisor
  second.until([&] { return after.state.phase == ipc::ProxyPhase::draining; });
  REQUIRE_FALSE(any_listener(after));
  after.exit(late, 0);
  second.until([&] { return after.exit_code.has_value(); });
  REQUIRE(*after.exit_code == 0);
  REQUIRE(after.signals.empty());
  REQUIRE(after.spawned.empty());
}

TEST_CASE("a status too long for a message is cut, not fatal") {
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  config::Address address;
  address.kind = config::Address::Kind::unix_path;
  for (int i = 0; i < 60; i++) {
    address.path = "/run/" + std::to_string(i) + std::string(90, 'x') + ".sock";
    loaded.config.listen.push_back({.address = address});
  }
  Rig rig(std::move(loaded));
  rig.start();
  rig.until([&] { return !rig.keeper->notified.empty(); });
  for (const std::string& text : rig.keeper->notified) REQUIRE(text.size() <= kNotifyMax);
}

namespace {
config::Loaded logging_to_a_file(const ScratchDir& dir) {
  config::Loaded loaded = sample(dir, 1);
  loaded.config.apps[0].log.file = dir.path() + "/web.log";
  return loaded;
}
bool file_has(const std::string& path, const std::string& text) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {}).find(text) != std::string::npos;
}
}  // namespace

TEST_CASE("what an old worker's child still says is not quoted as the new worker's words") {
  ScratchDir dir;
  Rig rig(logging_to_a_file(dir));
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::hangs;
  rig.start();
  rig.until([&] { return keeper.spawned.size() == 1; });
  UniqueFd grandchild(::dup(keeper.workers.at(keeper.spawned[0]).err.get()));
  keeper.exit(keeper.spawned[0], SIGKILL);
  rig.until([&] { return keeper.spawned.size() == 2; });
  log::configure({"", log::Level::warning, false});
  Stderr shown(dir);
  FakeKeeper::Worker& second = keeper.workers.at(keeper.spawned[1]);
  REQUIRE(::write(grandchild.get(), "old words\n", 10) == 10);
  REQUIRE(::write(second.err.get(), "new words\n", 10) == 10);
  std::string file = dir.path() + "/web.log";
  rig.until([&] { return file_has(file, "web.0 stderr | old words") && file_has(file, "web.0 stderr | new words"); });
  keeper.exit(keeper.spawned[1], 1 << 8);
  rig.until([&] { return shown.has("said: new words"); });
  REQUIRE_FALSE(shown.has("said: old words"));
}

TEST_CASE("an end is quoted where it is not to be read already, and once while it stays the same") {
  ScratchDir dir;
  bool file = GENERATE(false, true);
  config::Loaded loaded = file ? logging_to_a_file(dir) : sample(dir, 1);
  loaded.config.log_level = log::Level::warning;
  Rig rig(std::move(loaded));
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::hangs;
  rig.start();
  log::configure({"", log::Level::warning, false});
  Stderr shown(dir);
  std::size_t lives = 0;
  auto live_saying = [&](const std::string& words) {
    lives++;
    rig.until([&] { return keeper.spawned.size() == lives; });
    std::uint64_t id = keeper.spawned[lives - 1];
    REQUIRE(::write(keeper.workers.at(id).err.get(), words.data(), words.size()) > 0);
    keeper.exit(id, 1 << 8);
  };
  live_saying("no database\n");
  live_saying("no database\n");
  live_saying("no disk\n");
  rig.until([&] { return keeper.spawned.size() == 4; });
  if (file) {
    REQUIRE(shown.count("web.0 said: no database") == 1);
    REQUIRE(shown.count("; its last words are the same as before") == 1);
    REQUIRE(shown.count("web.0 said: no disk") == 1);
    REQUIRE(shown.count("web.0 | ") == 0);
  } else {
    REQUIRE(shown.count("web.0 | no database") == 2);
    REQUIRE(shown.count("web.0 said") == 0);
  }
}

TEST_CASE("a log file that cannot be opened refuses a start, but not a supervisor that takes over") {
  ScratchDir dir;
  config::Loaded loaded = logging_to_a_file(dir);
  loaded.config.apps[0].log.file = dir.path() + "/missing/web.log";
  SECTION("start") {
    Rig rig(std::move(loaded));
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 73);
  }
  SECTION("take over") {
    Rig rig(std::move(loaded), 2);
    SavedState before;
    before.next_id = 5;
    rig.keeper->earlier_state = encode_state(before);
    rig.start();
    rig.until([&] { return rig.keeper->ready() == 1; });
  }
}

TEST_CASE("no socket path is used again by a later rota in the same directory") {
  ScratchDir dir;
  std::set<std::string> paths;
  std::size_t spawned = 0;
  for (int life = 0; life < 3; life++) {  // well within one second
    Rig rig(sample(dir, 1));
    rig.start();
    FakeKeeper& keeper = *rig.keeper;
    for (std::size_t n = 0; n < 2; n++) {
      rig.until([&] { return keeper.spawned.size() == n + 1 && keeper.ready() == 1; });
      if (n == 0) keeper.exit(keeper.spawned[0], SIGKILL);
    }
    for (const auto& [id, worker] : keeper.workers) paths.insert(FakeKeeper::socket_of(worker));
    spawned += keeper.spawned.size();
  }
  REQUIRE(paths.size() == spawned);
}

TEST_CASE("the keeper is told how the log looks") {
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  loaded.config.log_format = log::Format::json;
  Rig rig(std::move(loaded));
  rig.start();
  rig.until([&] { return rig.keeper->ready() == 1; });
  CHECK(rig.keeper->log_format == 1);
  CHECK(rig.keeper->state.log_format == 1);
  CHECK(log::format() == log::Format::json);
  log::set_format(log::Format::text);
}

TEST_CASE("the proxy is told of everything that concerns it, routes by the sockets they are limited to") {
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  config::Config& config = loaded.config;
  config::Address second = config.listen[0].address;
  second.host = "127.0.0.2";
  config.listen.push_back({second, true});
  config.timeouts.tunnel = 17s;
  config.limits.connections_per_address = 5;
  config.trusted_proxies.networks = {{{1, 2, 3}, 24}};
  config.trusted_proxies.unix_peers = true;
  config::App other = config.apps[0];
  other.name = "other";
  other.routes = {{"example.com", "/api", {}, ""}, {"", "/", {1}, ""}};
  config.apps.push_back(other);
  Rig rig(std::move(loaded));
  rig.start();
  rig.until([&] { return rig.keeper->ready() == 2; });
  const ipc::ProxyState& state = rig.keeper->state;
  REQUIRE(state.tunnel == 17s);
  REQUIRE(state.connections_per_address == 5);
  REQUIRE(state.trusts_unix_peers);
  REQUIRE(state.trusted_proxies.at(0).prefix == 24);
  REQUIRE(state.trusted_proxies.at(0).address[2] == 3);
  REQUIRE_FALSE(state.listeners.at(0).proxy_protocol);
  REQUIRE(state.listeners.at(1).proxy_protocol);
  REQUIRE(state.apps.at(0).routes.empty());
  const auto& routes = state.apps.at(1).routes;
  REQUIRE(routes.at(0).host == "example.com");
  REQUIRE(routes.at(0).path == "/api");
  REQUIRE(routes.at(0).listeners.empty());
  REQUIRE(routes.at(1).listeners == std::vector<std::string>{state.listeners[1].name});
}

TEST_CASE("a name without an address ends the start before any worker exists") {
  log::configure({"", static_cast<log::Level>(9), false});
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  loaded.config.listen[0].address.host = "no-such-host.invalid";
  Rig rig(std::move(loaded));
  rig.start();
  rig.until([&] { return rig.keeper->exit_code.has_value(); });
  REQUIRE(*rig.keeper->exit_code == 73);
  REQUIRE(rig.keeper->spawned.empty());
  REQUIRE_FALSE(std::filesystem::exists(dir.path() + "/run/web"));
}
