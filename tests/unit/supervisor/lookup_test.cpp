// Names are looked up beside the loop, and one that hangs costs the patience and no more.
#include "rota/supervisor/lookup.h"

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <mutex>

using namespace rota;
using namespace rota::supervisor;

namespace {

// Hosts called "slow" hang until they are let go.
std::mutex gate_mutex;
std::condition_variable gate;
bool gate_open = false;
int left = 0;

Resolved ask(const std::string& host) {
  if (host != "slow") return {{"192.0.2." + host}, ""};
  std::unique_lock lock(gate_mutex);
  gate.wait(lock, [] { return gate_open; });
  left++;
  gate.notify_all();
  return {};
}

struct Answers final : LookupListener {
  explicit Answers(uv::Loop& l) : loop(l) {}
  void on_looked_up(const ResolvedNames& found) override {
    names = found;
    times++;
    loop.stop();
  }
  uv::Loop& loop;
  ResolvedNames names;
  int times = 0;
};

}  // namespace

TEST_CASE("names are looked up beside the loop, each once") {
  uv::Loop loop("test");
  Answers answers(loop);
  Lookup lookup(loop, {"1", "2"}, 20s, answers, ask);
  REQUIRE(answers.times == 0);
  loop.run();
  REQUIRE(answers.times == 1);
  REQUIRE(answers.names.at("1").hosts == std::vector<std::string>{"192.0.2.1"});
  REQUIRE(answers.names.at("2").error.empty());
}

TEST_CASE("a name service that hangs is given up on, and what it says later harms nobody") {
  {
    uv::Loop loop("test");
    Answers answers(loop);
    Lookup lookup(loop, {"1", "slow"}, 20ms, answers, ask);
    loop.run();
    REQUIRE(answers.times == 1);
    REQUIRE(answers.names.at("1").hosts.size() == 1);
    REQUIRE(answers.names.at("slow").error == "no answer from the name service within 20 ms");
  }
  std::unique_lock lock(gate_mutex);
  gate_open = true;
  gate.notify_all();
  gate.wait(lock, [] { return left == 1; });
}

TEST_CASE("numbers need no name service, and a name without an address says why") {
  REQUIRE(look_up("127.0.0.1").hosts == std::vector<std::string>{"127.0.0.1"});
  REQUIRE(look_up("::1").hosts == std::vector<std::string>{"::1"});
  Resolved none = look_up("no-such-host.invalid");
  REQUIRE(none.hosts.empty());
  REQUIRE_FALSE(none.error.empty());
}
