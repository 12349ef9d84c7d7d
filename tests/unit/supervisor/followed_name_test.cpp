// A server's name over time: what it stands for, what a failing name service changes (nothing), when it is asked again.
#include "rota/supervisor/followed_name.h"

#include <signal.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>

#include "rig.h"

using namespace rota;
using namespace rota::supervisor;
using namespace rota::test;

namespace {

// The name service: asked on a thread of its own.
struct Service {
  std::mutex mutex;
  std::map<std::string, Resolved> answers;
  std::map<std::string, int> asked;

  void say(const std::string& host, std::vector<std::string> addresses) {
    std::lock_guard lock(mutex);
    answers[host] = {std::move(addresses), ""};
  }
  void fail(const std::string& host) {
    std::lock_guard lock(mutex);
    answers[host] = {{}, "expected by this test"};
  }
  int times(const std::string& host) {
    std::lock_guard lock(mutex);
    return asked[host];
  }
};
Service& service() {
  static Service one;
  return one;
}
Resolved ask(const std::string& host) {
  std::lock_guard lock(service().mutex);
  service().asked[host]++;
  return service().answers[host];
}

config::Loaded with_servers(const ScratchDir& dir, const std::vector<std::string>& hosts) {
  config::Loaded loaded = sample(dir, 1);
  config::App& app = loaded.config.apps[0];
  app.command.clear();
  app.workers = 0;
  app.start_timeout = 10s;
  for (const std::string& host : hosts) {
    config::Address address;
    address.host = host;
    address.port = 4720;
    app.servers.push_back(address);
  }
  loaded.config.log_level = log::Level::error;
  return loaded;
}

struct Servers : Rig {
  explicit Servers(config::Loaded loaded, std::uint64_t epoch = 1) : Rig(std::move(loaded), epoch) {
    outside.ask = ask;
    outside.name_pace = {30s, 1ms, 8s};
  }
  std::vector<std::string> addresses(ipc::UpstreamPhase phase = ipc::UpstreamPhase::ready) const {
    std::vector<std::string> found;
    if (keeper->state.apps.empty()) return found;
    for (const auto& one : keeper->state.apps[0].upstreams) {
      if (one.phase == phase) found.push_back(one.address);
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  std::uint64_t id_of(const std::string& address) const {
    for (const auto& one : keeper->state.apps.at(0).upstreams) {
      if (one.address == address) return one.id;
    }
    return 0;
  }
  bool told(const std::string& text) const {
    return std::find(keeper->notified.begin(), keeper->notified.end(), text) != keeper->notified.end();
  }
};

using Addresses = std::vector<std::string>;

}  // namespace

TEST_CASE("a name is asked for now and then, sooner while there is no answer, never all the time") {
  FollowedName::Pace pace;
  struct Case {
    std::uint32_t failures;
    Duration next;
  };
  for (const Case& one :
       {Case{0, 30s}, Case{1, 1s}, Case{2, 2s}, Case{3, 4s}, Case{5, 16s}, Case{6, 30s}, Case{99, 30s}}) {
    INFO(one.failures);
    REQUIRE(until_next_question(pace, one.failures) == one.next);
  }
}

TEST_CASE("a name is all its addresses, and follows what becomes of them") {
  ScratchDir dir;
  service().say("db", {"127.0.0.3", "127.0.0.2"});
  Servers rig(with_servers(dir, {"db", "127.0.0.9"}));
  rig.start();
  rig.until([&] { return rig.addresses() == Addresses{"127.0.0.2", "127.0.0.3", "127.0.0.9"}; });
  rig.until([&] { return rig.told("READY=1"); });
  std::uint64_t stays = rig.id_of("127.0.0.3");
  std::uint64_t leaves = rig.id_of("127.0.0.2");

  // A connect to one of them fails, and the name service knows more by now.
  service().say("db", {"127.0.0.4", "127.0.0.3"});
  rig.keeper->proxy_says(ipc::ConnectFailed{leaves, ECONNREFUSED});
  rig.until([&] { return rig.addresses() == Addresses{"127.0.0.3", "127.0.0.4", "127.0.0.9"}; });
  REQUIRE(rig.id_of("127.0.0.3") == stays);
  REQUIRE(rig.addresses(ipc::UpstreamPhase::draining) == Addresses{"127.0.0.2"});
  rig.keeper->proxy_says(ipc::Drained{leaves});
  rig.until([&] { return rig.keeper->state.apps[0].upstreams.size() == 3; });

  // With no answer the last one is as good as ever.
  service().fail("db");
  int before = service().times("db");
  rig.keeper->proxy_says(ipc::ConnectFailed{stays, ECONNREFUSED});
  rig.until([&] { return service().times("db") >= before + 3; });
  REQUIRE(rig.addresses(ipc::UpstreamPhase::draining).empty());
  REQUIRE(rig.keeper->state.apps[0].upstreams.size() == 3);
}

TEST_CASE("an address that comes back before it has gone stays the upstream it was") {
  ScratchDir dir;
  service().say("back", {"127.0.0.2", "127.0.0.3"});
  Servers rig(with_servers(dir, {"back"}));
  rig.start();
  rig.until([&] { return rig.addresses().size() == 2; });
  std::uint64_t id = rig.id_of("127.0.0.2");
  std::uint64_t other = rig.id_of("127.0.0.3");
  service().say("back", {"127.0.0.3"});
  rig.keeper->proxy_says(ipc::ConnectFailed{other, ECONNREFUSED});
  rig.until([&] { return rig.addresses(ipc::UpstreamPhase::draining).size() == 1; });
  service().say("back", {"127.0.0.2", "127.0.0.3"});
  rig.keeper->proxy_says(ipc::ConnectFailed{other, ECONNREFUSED});
  rig.until([&] { return rig.addresses(ipc::UpstreamPhase::draining).empty(); });
  REQUIRE(rig.id_of("127.0.0.2") == id);
}

TEST_CASE("a name without an address at the start is no reason not to start") {
  ScratchDir dir;
  service().fail("late");
  config::Loaded loaded = with_servers(dir, {"late"});
  SECTION("boot: wait, and it comes later") {
    Servers rig(std::move(loaded));
    rig.start();
    rig.until([&] { return rig.told("READY=1"); });
    REQUIRE(rig.keeper->state.apps.at(0).upstreams.empty());
    service().say("late", {"127.0.0.5"});
    rig.until([&] { return rig.addresses() == Addresses{"127.0.0.5"}; });
  }
  SECTION("boot: fail") {
    loaded.config.boot = config::Boot::fail;
    Servers rig(std::move(loaded));
    rig.start();
    rig.until([&] { return rig.keeper->exit_code.has_value(); });
    REQUIRE(*rig.keeper->exit_code == 69);
  }
}

TEST_CASE("two names for one address are one upstream, and a name has a limit") {
  ScratchDir dir;
  Addresses many;
  for (std::size_t i = 0; i < kServerAddressesMax + 3; i++) many.push_back("127.0.1." + std::to_string(100 + i));
  service().say("many", many);
  service().say("same", {many[0]});
  Servers rig(with_servers(dir, {"many", "same", many[1]}));
  rig.start();
  rig.until([&] { return rig.addresses().size() == kServerAddressesMax; });
  REQUIRE(rig.addresses().front() == many[0]);
}

TEST_CASE("the next supervisor serves the same upstreams before any name is answered") {
  ScratchDir dir;
  service().say("kept", {"127.0.0.2", "127.0.0.3"});
  Servers first(with_servers(dir, {"kept"}));
  first.start();
  first.until([&] { return first.addresses().size() == 2; });
  std::uint64_t id = first.id_of("127.0.0.3");
  service().fail("kept");
  Servers second(with_servers(dir, {"kept"}), 2);
  second.keeper->earlier_state = first.keeper->saved_bytes;
  second.keeper->shelf = first.keeper->shelf;
  second.keeper->shelved_fds = std::move(first.keeper->shelved_fds);
  first.role.reset();
  second.start();
  second.until([&] { return !second.keeper->versions.empty(); });
  REQUIRE(second.keeper->first_state.apps.at(0).upstreams.size() == 2);
  REQUIRE(second.id_of("127.0.0.3") == id);
}

TEST_CASE("a reload changes servers and leaves alone what stays") {
  ScratchDir dir;
  Servers rig(with_servers(dir, {"127.0.0.2", "127.0.0.3"}));
  rig.start();
  rig.until([&] { return rig.addresses().size() == 2 && rig.told("READY=1"); });
  std::uint64_t id = rig.id_of("127.0.0.3");
  service().say("more", {"127.0.0.7"});
  rig.config = with_servers(dir, {"127.0.0.3", "more"});
  rig.keeper->signal(SIGHUP);
  rig.until([&] { return rig.addresses() == Addresses{"127.0.0.3", "127.0.0.7"}; });
  REQUIRE(rig.id_of("127.0.0.3") == id);
  REQUIRE(rig.addresses(ipc::UpstreamPhase::draining) == Addresses{"127.0.0.2"});
}
