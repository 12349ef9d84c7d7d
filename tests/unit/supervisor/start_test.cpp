// What workers and the proxy are started with, and what is remembered of them.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "rota/supervisor/environment.h"
#include "rota/supervisor/kept_config.h"
#include "rota/supervisor/saved_state.h"
#include "rota/supervisor/users.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

std::string value(const ipc::SpawnSpec& spec, const std::string& name) {
  std::string found = "(unset)";
  int times = 0;
  for (const std::string& entry : spec.env) {
    if (entry.starts_with(name + "=")) {
      found = entry.substr(name.size() + 1);
      times++;
    }
  }
  REQUIRE(times <= 1);
  return found;
}
config::App sample_app() {
  config::App app;
  app.name = "web";
  app.command = {"serve", "--uds={socket}", "-i", "{slot}", "{other}"};
  app.directory = "/srv/web";
  app.env = {{"NODE_ENV", "production"}, {"SOCKET_PATH", "{socket}"}};
  return app;
}

}  // namespace

TEST_CASE("a worker is told its socket and its place, and nothing that is rota's own") {
  const char* environment[] = {"PATH=/bin",
                               "NOTIFY_SOCKET=/run/x",
                               "WATCHDOG_USEC=1",
                               "LISTEN_FDS=1",
                               "JOURNAL_STREAM=8:9",
                               "NODE_CHANNEL_FD=3",
                               "PORT=3000",
                               "WEB_CONCURRENCY=8",
                               "HOME=/root",
                               "broken",
                               nullptr};
  std::vector<std::string> inherited = inherited_environment(environment);
  ipc::SpawnSpec spec = worker_spec(sample_app(), {2, "/run/rota/web/2-7.sock"}, {}, inherited);
  REQUIRE(spec.argv == std::vector<std::string>{"serve", "--uds=/run/rota/web/2-7.sock", "-i", "2", "{other}"});
  REQUIRE(value(spec, "PATH") == "/bin");
  REQUIRE(value(spec, "PORT") == "/run/rota/web/2-7.sock");
  REQUIRE(value(spec, "ROTA_SOCKET") == "/run/rota/web/2-7.sock");
  REQUIRE(value(spec, "SOCKET_PATH") == "/run/rota/web/2-7.sock");
  REQUIRE(value(spec, "ROTA_APP") == "web");
  REQUIRE(value(spec, "ROTA_SLOT") == "2");
  REQUIRE(value(spec, "WORKER_ID") == "2");
  REQUIRE(value(spec, "NODE_APP_INSTANCE") == "2");
  REQUIRE(value(spec, "WEB_CONCURRENCY") == "1");
  REQUIRE(value(spec, "NODE_ENV") == "production");
  REQUIRE(value(spec, "HOME") == "/root");
  for (const char* name :
       {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "JOURNAL_STREAM", "NODE_CHANNEL_FD", "broken"}) {
    REQUIRE(value(spec, name) == "(unset)");
  }
  REQUIRE(spec.directory == "/srv/web");
  REQUIRE(spec.umask == 0007);
  REQUIRE_FALSE(spec.change_user);
}

TEST_CASE("the app's own settings come last, its user's home before them") {
  config::App app = sample_app();
  app.env = {{"WEB_CONCURRENCY", "3"}, {"USER", "other"}};
  sys::User user{"www-data", 33, 33, {33, 44}, "/var/www"};
  ipc::SpawnSpec spec = worker_spec(app, {0, "/s"}, user, {"HOME=/root", "USER=root", "LOGNAME=root"});
  REQUIRE(value(spec, "WEB_CONCURRENCY") == "3");
  REQUIRE(value(spec, "HOME") == "/var/www");
  REQUIRE(value(spec, "USER") == "other");
  REQUIRE(value(spec, "LOGNAME") == "www-data");
  REQUIRE(spec.change_user);
  REQUIRE(spec.uid == 33);
  REQUIRE(spec.groups == std::vector<std::uint32_t>{33, 44});
}

TEST_CASE("umask, limits and the likelihood of being killed are the app's") {
  config::App app = sample_app();
  REQUIRE_FALSE(worker_spec(app, {0, "/s"}, {}, {}).set_oom_score_adj);
  app.umask = 0022;
  app.limits = {{RLIMIT_NOFILE, 4096}, {RLIMIT_CORE, config::ResourceLimit::kUnlimited}};
  app.oom_score_adj = -500;
  ipc::SpawnSpec spec = worker_spec(app, {0, "/s"}, {}, {});
  REQUIRE(spec.umask == 0022);
  REQUIRE(spec.limits.size() == 2);
  REQUIRE(spec.limits[0].resource == RLIMIT_NOFILE);
  REQUIRE(spec.limits[0].soft == 4096);
  REQUIRE(spec.limits[0].hard == 4096);
  REQUIRE(spec.limits[1].soft == RLIM_INFINITY);
  REQUIRE(spec.set_oom_score_adj);
  REQUIRE(spec.oom_score_adj == -500);

  REQUIRE(explain_spawn_failure("exec", ENOENT, "nod") == "exec nod: No such file or directory");
  REQUIRE(explain_spawn_failure("oom_score_adj", EACCES, "-500") ==
          "oom_score_adj cannot be -500: Permission denied; only root may make it less than rota's own");
  REQUIRE(explain_spawn_failure("limits", EPERM, "resource 7") ==
          "limits.nofile cannot be set: Operation not permitted; only root may raise a limit above rota's own");
}

TEST_CASE("a process stays who it is, unless it is told otherwise and may change") {
  REQUIRE_FALSE(choose_user("", "", "app web").change_to);
  auto self = sys::find_user_by_id(::geteuid());
  if (self) {
    UserChoice same = choose_user(self->name, "", "app web");
    REQUIRE_FALSE(same.failure);
    REQUIRE_FALSE(same.change_to);
  }
  UserChoice nobody = choose_user("no-such-user", "", "app web");
  REQUIRE(nobody.failure);
  REQUIRE(nobody.failure->code == ExitCode::configuration);
  UserChoice nothing = choose_user("", "no-such-group", "app web");
  REQUIRE(nothing.failure);
  REQUIRE(nothing.failure->text.find("group no-such-group of app web does not exist") != std::string::npos);
  UserChoice other = choose_user("", "65533", "app web");
  if (is_root()) {
    REQUIRE(other.change_to);
    REQUIRE(other.change_to->gid == 65533);
    REQUIRE(other.change_to->uid == ::geteuid());
  } else {
    REQUIRE(other.failure);
    REQUIRE(other.failure->code == ExitCode::not_permitted);
  }
}

TEST_CASE("the proxy is given no secret and no privilege") {
  const char* environment[] = {"DATABASE_URL=secret", "TZ=UTC", "NOTIFY_SOCKET=/x", nullptr};
  ipc::SpawnSpec spec = proxy_spec("/run/rota", {}, environment);
  REQUIRE(spec.env == std::vector<std::string>{"TZ=UTC"});
  REQUIRE(spec.program == ipc::Program::self);
  REQUIRE(spec.argv == std::vector<std::string>{ipc::kProxyName});
  REQUIRE(spec.no_new_privileges);
  REQUIRE(spec.directory == "/run/rota");
}

TEST_CASE("a saved state comes back whole, or not at all") {
  Lifecycle life;
  TimePoint now = TimePoint(std::chrono::seconds(1000));
  life.state = Ready{Process{42, now - 20s, now - 19s, ""}};
  life.failures = 2;
  life.restarts = 9;
  life.trouble = "signal 9 (KILL)";
  SavedState state;
  state.next_id = 77;
  state.shutdown = {ShutdownPlan::Stage::stopping, 17, 69, 1};
  SavedApp web;
  web.name = "web";
  web.config_hash = 1234;
  web.rollout = Rollout::Stage::failed;
  web.recipes = {{99, 3, encode_app(sample_app())}};
  web.workers = {save_worker(3, 55, 8, life)};
  web.workers[0].part = SavedPart::leaving;
  web.servers = {{"10.0.0.7:80", 12}};
  web.names = {{"db", {"10.0.0.7", "10.0.0.8"}}};
  state.apps.push_back(web);
  std::string bytes = encode_state(state);

  auto back = decode_state(bytes);
  REQUIRE(back);
  REQUIRE(back->next_id == 77);
  const SavedApp* app = back->find("web");
  REQUIRE(app != nullptr);
  REQUIRE(back->find("nothing") == nullptr);
  const SavedWorker& worker = app->workers.at(0);
  REQUIRE(app->servers.at(0).id == 12);
  REQUIRE(app->names.at(0).addresses.size() == 2);
  REQUIRE(app->rollout == Rollout::Stage::failed);
  REQUIRE(decode_app(app->recipes.at(0).app) == sample_app());
  REQUIRE(worker.part == SavedPart::leaving);
  REQUIRE(worker.spawn_id == 55);
  REQUIRE(worker.sequence == 8);
  REQUIRE(back->shutdown.stage == ShutdownPlan::Stage::stopping);
  REQUIRE(restore_shutdown(back->shutdown).code == ExitCode::no_app_ready);
  REQUIRE(worker.restarts == 9);
  State restored = restore_state(worker, 42, now);
  const Process& process = std::get<Ready>(restored).process;
  REQUIRE(process.pid == 42);
  REQUIRE(process.started == now - 20s);
  REQUIRE(process.ready_at == now - 19s);

  for (std::size_t cut = 0; cut < bytes.size(); cut++) REQUIRE_FALSE(decode_state(bytes.substr(0, cut)));
  REQUIRE_FALSE(decode_state(bytes + "x"));
  bytes[0]++;
  REQUIRE_FALSE(decode_state(bytes));
}

TEST_CASE("every phase of a slot comes back as it was, with its deadline") {
  TimePoint now = TimePoint(std::chrono::seconds(1000));
  Process process{42, now - 20s, now - 19s, "checks timed out for 60 s"};
  std::vector<State> states = {Stopped{},
                               Backoff{now + 4s, false},
                               Starting{process, now + 4s, {}},
                               Ready{process},
                               Unhealthy{process},
                               Draining{process, now + 4s},
                               Stopping{process, now + 4s, StopReason::start_timeout},
                               Killing{process, now, now + 4s, StopReason::start_timeout}};
  for (const State& state : states) {
    Lifecycle life;
    life.state = state;
    State back = restore_state(save_worker(0, 5, 1, life), 42, now);
    INFO(name_of(state));
    REQUIRE(back.index() == state.index());
    Lifecycle restored;
    restored.state = back;
    bool killing = std::holds_alternative<Killing>(state);  // once more at once
    REQUIRE(deadline_of(restored) == (killing ? now : deadline_of(life)));
    REQUIRE((process_of(restored) != nullptr) == (process_of(life) != nullptr));
    if (const Process* had = process_of(restored)) REQUIRE(had->failure == process.failure);
    if (const auto* stopping = std::get_if<Stopping>(&back)) REQUIRE(stopping->reason == StopReason::start_timeout);
  }
}

TEST_CASE("a change that needs new workers changes the hash, another does not") {
  config::App app = sample_app();
  std::uint64_t before = config_hash(app);
  app.workers = 9;
  app.stop.grace = 1s;
  REQUIRE(config_hash(app) == before);
  for (auto change : {+[](config::App& a) { a.group = "www"; }, +[](config::App& a) { a.umask = 0; },
                      +[](config::App& a) {
                        a.limits = {{RLIMIT_CORE, 0}};
                      },
                      +[](config::App& a) { a.oom_score_adj = 0; }, +[](config::App& a) { a.user = "www"; },
                      +[](config::App& a) { a.directory = "/"; }}) {
    config::App other = app;
    change(other);
    REQUIRE(config_hash(other) != before);
  }
  app.env[0].second = "test";
  REQUIRE(config_hash(app) != before);
}
