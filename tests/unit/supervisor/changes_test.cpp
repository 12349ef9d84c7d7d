// What a reload finds changed, and that a configuration survives a crash whole.
#include "rota/supervisor/changes.h"

#include <catch2/catch_test_macros.hpp>

#include "rota/supervisor/kept_config.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

// No member has its default, so that one that is forgotten on the way shows.
config::App full_app() {
  config::App app;
  app.name = "web";
  app.place = {7, 3};
  app.command = {"node", "server.js"};
  app.directory = "/srv";
  app.routes = {{"example.com", "/api", {0, 1}, "example.com/api"}};
  app.user = "www";
  app.group = "web";
  app.umask = 022;
  app.limits = {{7, 4096}};
  app.oom_score_adj = -5;
  app.env = {{"A", "1"}, {"B", ""}};
  app.workers = 4;
  app.workers_auto = false;
  app.health = {"/healthz", 6s, 3s, 4, 2};
  app.ready = config::Ready::http;
  app.start_timeout = 61s;
  app.restart = {251ms, 31s, 62s};
  app.stop = {32s, 2, 11s};
  app.queue = {101, 12s};
  app.retry = {2, 3};
  app.timeouts = {63s, 64s};
  app.log = {config::AppLog::Format::json, "/var/log/web.log", 65_MiB, 5};
  return app;
}
config::Config full_config() {
  config::Config config;
  config.file = "rota.yaml";
  config::Address tcp{config::Address::Kind::tcp, "127.0.0.1", 8080, ""};
  config::Address path{config::Address::Kind::unix_path, "", 0, "/run/x.sock"};
  config.listen = {{tcp, true}, {path, false}};
  config.threads = 2;
  config.runtime_dir = "/run/rota";
  config.user = "proxy";
  config.timeouts = {11s, 31s, 76s, 6s, 32s, 2h, 1600ms};
  config.limits = {33_KiB, 101, 9_KiB, 10_MiB, 1000, 10};
  config.access_log = {config::AccessLog::To::file, "/var/log/access"};
  config.trusted_proxies = {{{{1, 2, 3}, 24}}, true};
  config.log_level = log::Level::warning;
  config.log_format = log::Format::json;
  config.shutdown = {1s, 26s};
  config.boot = config::Boot::fail;
  config::App servers;
  servers.name = "legacy";
  servers.servers = {tcp, path};
  config.apps = {full_app(), servers};
  return config;
}

}  // namespace

TEST_CASE("a configuration that is kept comes back whole, or not at all") {
  config::Config config = full_config();
  std::string bytes = encode_config(config);
  auto back = decode_config(bytes);
  REQUIRE(back);
  REQUIRE(*back == config);
  REQUIRE(decode_app(encode_app(full_app())) == full_app());
  for (std::size_t cut = 0; cut < bytes.size(); cut++) REQUIRE_FALSE(decode_config(bytes.substr(0, cut)));
  REQUIRE_FALSE(decode_config(bytes + "x"));
  for (std::size_t i = 0; i < bytes.size(); i++) {  // none may crash or take for ever
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x81);
    auto other = decode_config(damaged);
    if (other) REQUIRE_FALSE(*other == config);
  }
}

TEST_CASE("each key of the file is found by the right kind of change") {
  struct Case {
    const char* name;
    void (*change)(config::Config&);
    const char* text;
    const char* next_start = "";
  };
  std::vector<Case> cases = {
      {"nothing", [](config::Config&) {}, ""},
      {"a place in the file", [](config::Config& c) { c.apps[0].place.line++; }, ""},
      {"command", [](config::Config& c) { c.apps[0].command.emplace_back("-v"); }, "new workers for web"},
      {"env", [](config::Config& c) { c.apps[0].env[0].second = "2"; }, "new workers for web"},
      {"limits", [](config::Config& c) { c.apps[0].limits.clear(); }, "new workers for web"},
      {"workers", [](config::Config& c) { c.apps[0].workers = 2; }, "web from 4 to 2 workers"},
      {"health", [](config::Config& c) { c.apps[0].health.path = "/"; }, "settings of web"},
      {"routes", [](config::Config& c) { c.apps[0].routes.clear(); }, "settings of web"},
      {"log", [](config::Config& c) { c.apps[0].log.keep = 1; }, "settings of web"},
      {"servers", [](config::Config& c) { c.apps[1].servers.pop_back(); }, "settings of legacy"},
      {"both kinds",
       [](config::Config& c) {
         c.apps[0].command.emplace_back("-v");
         c.apps[0].stop.grace = 1s;
         c.apps[0].workers = 5;
       },
       "new workers for web; web from 4 to 5 workers; settings of web"},
      {"added", [](config::Config& c) { c.apps.push_back(full_app()), c.apps.back().name = "api"; }, "app api added"},
      {"removed", [](config::Config& c) { c.apps.erase(c.apps.begin()); }, "app web removed"},
      {"listen", [](config::Config& c) { c.listen.pop_back(); }, "listen"},
      {"timeouts and more",
       [](config::Config& c) {
         c.timeouts.idle = 1s;
         c.limits.body = 1_KiB;
         c.trusted_proxies.unix_peers = false;
         c.log_level = log::Level::debug;
         c.access_log = {};
         c.shutdown.delay = 9s;
       },
       "timeouts, limits, access_log, trusted_proxies, log, shutdown"},
      {"what only a start changes",
       [](config::Config& c) {
         c.threads = 9;
         c.user = "x";
         c.runtime_dir = "/y";
         c.boot = config::Boot::wait;
       },
       "", "threads user runtime_dir boot "},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    config::Config before = full_config();
    config::Config after = before;
    one.change(after);
    Changes changes = find_changes(before, after);
    REQUIRE(changes.text() == one.text);
    REQUIRE(changes.any_now() == (*one.text != 0));
    std::string next_start;
    for (const std::string& key : changes.next_start) next_start += key + " ";
    REQUIRE(next_start == one.next_start);
    if (!changes.any_now() && *one.next_start != 0) REQUIRE(applicable(before, after) == before);
  }
}

TEST_CASE("routes of a listener that only moved in the list are the same routes") {
  config::Config before = full_config();
  config::Config after = before;
  std::swap(after.listen[0], after.listen[1]);
  after.apps[0].routes[0].listeners = {1, 0};
  REQUIRE(find_changes(before, after).text() == "listen");
}
