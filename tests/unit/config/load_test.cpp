// Good files, defaults, overrides, what is shown of problems, and files that mean harm.
#include "rota/config/load.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "loading.h"
#include "rota/config/keys.h"
#include "rota/config/network.h"
#include "rota/config/units.h"
#include "rota/sys/cpu.h"

using namespace rota;
using namespace rota::config;
using namespace rota::config::testing;

namespace {

// `check` in a child process that is not root; true if it returned true.
template <class Check>
bool as_nobody(Check check) {
  if (::geteuid() != 0) return check();
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool dropped = ::setgid(65534) == 0 && ::setuid(65534) == 0;
    ::_exit(dropped && check() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("four lines are a configuration") {
  Variable directory("RUNTIME_DIRECTORY", "/run/somewhere:/run/else");
  Config config = good("listen: 8080\napps:\n  web:\n    command: sh -c 'exit 0'\n");
  REQUIRE(config.listen.size() == 1);
  CHECK(config.listen[0].address.text() == "*:8080");
  CHECK(config.file == "/tmp/rota.yaml");
  CHECK(config.runtime_dir == "/run/somewhere");
  CHECK(config.boot == Boot::wait);
  CHECK(config.access_log.to == AccessLog::To::off);
  REQUIRE(config.apps.size() == 1);
  const App& app = config.apps[0];
  CHECK(app.name == "web");
  CHECK(app.place == Place{3, 3});
  CHECK(app.command == std::vector<std::string>{"sh", "-c", "exit 0"});
  CHECK(app.directory == "/tmp");
  CHECK(app.workers_auto);
  CHECK(app.workers == sys::available_cpus());
  CHECK(app.health.path.empty());
}

TEST_CASE("every key arrives where it belongs") {
  Config config = good(R"(
listen: ["127.0.0.1:0", {address: "[::1]:81", proxy_protocol: true}, "unix:/run/rota.sock", "*:82", localhost:83]
trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1, "2001:db8::1", unix]
threads: 4
runtime_dir: /run/r/
user: nobody
timeouts: {header: 1s, body: 2s, idle: 3s, connect: 4s, write: 5s, tunnel: 2h, upstream_idle: 600ms}
limits: {head: 16KiB, fields: 50, target: 4KiB, body: 10MiB, connections: 1000, connections_per_address: 20}
access_log: ./access.log
log: {level: debug, format: json}
shutdown: {delay: 1s, timeout: 1m}
boot: fail
apps:
  web-1_x:
    command: [sh, -c, "a | b"]
    directory: ../usr/bin
    env: {A: 1, "B": "two words", C: "", D: 08, E: yes, F: "$${HOME} {socket} {{slot}}"}
    user: nobody
    group: "0"
    umask: 0027
    limits: {nofile: 1000, nproc: unlimited, core: 0, memlock: 64KiB, stack: unlimited, fsize: 1GiB, as: 2GiB, cpu: 1h}
    oom_score_adj: -500
    log: {format: passthrough, file: web.log, max_size: 0, keep: 9}
    workers: 3
    socket: path
    health: {path: "/h?x=1", interval: 10s, timeout: 1s, unhealthy_after: 5, healthy_after: 2, repair_after: 0s}
    ready: http
    start_timeout: 2m
    restart: {delay: 1s, max_delay: 1m, stable_after: 2m}
    stop: {drain: 0s, signal: SIGQUIT, grace: 1.5s}
    queue: {size: 7, timeout: 1h}
    retry: {attempts: 0, poison_after: 3}
    timeouts: {response: 6s, idle: 7s}
)");
  std::string listen;
  for (const Listener& one : config.listen) listen += one.address.text() + " ";
  CHECK(listen == "127.0.0.1:0 [::1]:81 unix:/run/rota.sock *:82 localhost:83 ");
  CHECK(config.threads == 4);
  CHECK(config.runtime_dir == "/run/r");
  CHECK(config.user == "nobody");
  CHECK(config.timeouts == Timeouts{1s, 2s, 3s, 4s, 5s, 2h, 600ms});
  CHECK(config.limits == Limits{16_KiB, 50, 4_KiB, 10_MiB, 1000, 20});
  CHECK(config.access_log == AccessLog{AccessLog::To::file, "/tmp/access.log"});
  CHECK(config.log_level == log::Level::debug);
  CHECK(config.log_format == log::Format::json);
  CHECK(config.listen.at(1).proxy_protocol);
  CHECK_FALSE(config.listen.at(0).proxy_protocol);
  CHECK(config.trusted_proxies.unix_peers);
  std::string networks;
  for (const Network& network : config.trusted_proxies.networks) networks += format_network(network) + " ";
  CHECK(networks == "10.0.0.0/8 fd00::/8 192.0.2.1 2001:db8::1 ");
  CHECK(config.shutdown == Shutdown{1s, 60s});
  CHECK(config.boot == Boot::fail);
  REQUIRE(config.apps.size() == 1);
  const App& app = config.apps[0];
  CHECK(app.name == "web-1_x");
  CHECK(app.command == std::vector<std::string>{"sh", "-c", "a | b"});
  CHECK(app.directory == "/tmp/../usr/bin");
  CHECK(app.env ==
        std::vector<std::pair<std::string, std::string>>{
            {"A", "1"}, {"B", "two words"}, {"C", ""}, {"D", "08"}, {"E", "yes"}, {"F", "${HOME} {socket} {{slot}}"}});
  CHECK(app.user == "nobody");
  CHECK(app.group == "0");
  CHECK(app.umask == 0027);
  CHECK(app.limits == std::vector<ResourceLimit>{{RLIMIT_NOFILE, 1000},
                                                 {RLIMIT_NPROC, ResourceLimit::kUnlimited},
                                                 {RLIMIT_CORE, 0},
                                                 {RLIMIT_MEMLOCK, 65536},
                                                 {RLIMIT_STACK, ResourceLimit::kUnlimited},
                                                 {RLIMIT_FSIZE, 1ULL << 30},
                                                 {RLIMIT_AS, 2ULL << 30},
                                                 {RLIMIT_CPU, 3600}});
  CHECK(app.oom_score_adj == -500);
  CHECK(app.log == AppLog{AppLog::Format::passthrough, "/tmp/web.log", 0_B, 9});
  CHECK(app.workers == 3);
  CHECK_FALSE(app.workers_auto);
  CHECK(app.health == Health{"/h?x=1", 10s, 1s, 5, 2, 0s});
  CHECK(app.ready == Ready::http);
  CHECK(app.start_timeout == 120s);
  CHECK(app.restart == Restart{1s, 60s, 120s});
  CHECK(app.stop == Stop{0s, SIGQUIT, 1500ms});
  CHECK(app.queue == Queue{7, 1h});
  CHECK(app.retry == Retry{0, 3});
  CHECK(app.timeouts == AppTimeouts{6s, 7s});
}

TEST_CASE("an app of servers has no workers") {
  Config config = good("apps: {old: {servers: [\"unix:/run/a.sock\", \"10.0.0.7:8080\", \"[::1]:90\"], health: /up}}");
  const App& app = config.apps.at(0);
  CHECK(app.workers == 0);
  CHECK(app.command.empty());
  REQUIRE(app.servers.size() == 3);
  CHECK(app.servers[0].path == "/run/a.sock");
  CHECK(app.servers[1].text() == "10.0.0.7:8080");
  CHECK(app.servers[2].host == "::1");
  CHECK(app.health.path == "/up");
}

TEST_CASE("aliases, a byte order mark, CRLF and comments are read") {
  Config config = good(
      "\xEF\xBB\xBF# first\r\nlisten: &port 8080\r\napps:\r\n  web:\r\n    command: sh # a shell\r\n"
      "    env: {PORT_SHOWN: *port}\r\n");
  CHECK(config.listen.at(0).address.port == 8080);
  CHECK(config.apps.at(0).command == std::vector<std::string>{"sh"});
  CHECK(config.apps.at(0).env.at(0).second == "8080");
}

TEST_CASE("a command alone is an app named app that must become ready") {
  Source source;
  source.command = {"sh", "-c", "exit 0"};
  Loaded loaded = load(source);
  REQUIRE(loaded.problems.empty());
  CHECK(loaded.config.file.empty());
  CHECK(loaded.config.boot == Boot::fail);
  CHECK(loaded.config.listen.at(0).address.text() == "127.0.0.1:8080");
  const App& app = loaded.config.apps.at(0);
  CHECK(app.name == "app");
  CHECK(app.command == source.command);
  CHECK(app.directory == std::filesystem::current_path().string());
  CHECK(app.workers >= 1);
}

TEST_CASE("the command line overrides both forms") {
  Source source;
  source.listen = "[::1]:9000";
  source.workers = 5;
  source.runtime_dir = "/run/mine/";
  for (bool with_file : {true, false}) {
    Source given = source;
    if (!with_file) given.command = {"sh"};
    Loaded loaded =
        with_file ? load_text("listen: 80\nruntime_dir: /x\napps: {web: {command: sh, workers: 2}}", "a.yaml", given)
                  : load(given);
    REQUIRE(loaded.problems.empty());
    REQUIRE(loaded.config.listen.size() == 1);
    CHECK(loaded.config.listen[0].address.text() == "[::1]:9000");
    CHECK(loaded.config.runtime_dir == "/run/mine");
    CHECK(loaded.config.apps.at(0).workers == 5);
    CHECK_FALSE(loaded.config.apps.at(0).workers_auto);
  }
}

TEST_CASE("broken overrides are problems of the command line, not of the file") {
  Source source;
  source.listen = "nowhere";
  source.workers = 0;
  source.command = {"sh"};
  Loaded loaded = load(source);
  REQUIRE(loaded.problems.size() == 2);
  CHECK(loaded.problems[0].shown == "--listen \"nowhere\" has no port; write \"nowhere:8080\"");
  CHECK(loaded.problems[1].shown == "--workers must be between 1 and 1024, not 0");
  source = {};
  source.workers = 2;
  loaded = load_text("apps: {a: {servers: [\"b:80\"]}}", "a.yaml", source);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].shown == "--workers has no meaning for app \"a\", which has servers");
}

TEST_CASE("a missing program after -- is a problem without a place") {
  Source source;
  source.command = {"no-such-program"};
  Loaded loaded = load(source);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].shown ==
        "\"command\" names the program \"no-such-program\", which is not on PATH; install it, or write its full path");
}

TEST_CASE("a problem is shown with its place, its line and a caret") {
  Loaded loaded = load_text("apps:\n  web:\n    helth: /healthz\n    command: sh\n", "rota.yaml", Source{});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].shown ==
        "rota.yaml:3:5: unknown key \"helth\"; did you mean \"health\"?\n"
        "      helth: /healthz\n"
        "      ^~~~~");
}

TEST_CASE("columns count characters, tabs and control characters are harmless, long lines are cut") {
  Loaded loaded = load_text("{\"\xC3\xBC\xC3\xA9\": 1,\tzzzz: 2, apps: {web: {command: sh}}}", "r", Source{});
  REQUIRE(loaded.problems.size() == 2);
  CHECK(loaded.problems[1].place == Place{1, 11});
  auto lines = lines_of(loaded.problems[1].shown);
  CHECK(lines.at(1) == "  {\"\xC3\xBC\xC3\xA9\": 1, zzzz: 2, apps: {web: {command: sh}}}");
  CHECK(lines.at(2) == "            ^~~~");

  std::string flow = "{" + std::string(500, ' ') + "zzzz: 1" + std::string(500, ' ') + ", apps: {web: {command: sh}}}";
  loaded = load_text(flow, "r", Source{});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].place == Place{1, 502});
  CHECK(marked(loaded.problems[0]) == "zzzz");
  CHECK(lines_of(loaded.problems[0].shown).at(1).size() < 120);
}

TEST_CASE("all problems are named at once, in the order of the file") {
  Loaded loaded =
      load_yaml("zzz: 1\nthreads: 0\napps:\n  web:\n    command: no-such-program\n    workers: x\nboot: y\n");
  std::string places;
  for (const Problem& problem : loaded.problems) places += std::to_string(problem.place.line) + " ";
  CHECK(places == "1 2 5 6 7 ");
}

TEST_CASE("very many problems are counted rather than shown") {
  std::string text = "apps: {web: {command: sh}}\n";
  for (int i = 0; i < 5000; ++i) text += "zzz" + std::to_string(i) + ": 1\n";
  Loaded loaded = load_yaml(text);
  REQUIRE(loaded.problems.size() == 101);
  CHECK(loaded.problems.back().shown == "and 4900 more");
}

TEST_CASE("hostile depth is refused at the same place however it is written") {
  for (const char* opening : {"[", "{a: ", "- ", "? "}) {
    std::string text = "apps: ";
    if (opening[0] == '-' || opening[0] == '?') text += "\n  ";
    for (int i = 0; i < 100'000 / static_cast<int>(std::string_view(opening).size()); ++i) text += opening;
    Loaded loaded = load_yaml(text);
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].message == "nested deeper than 32 levels");
  }
  std::string inner = "1";
  for (int i = 0; i < 31; ++i) inner = "[" + inner + "]";
  Loaded loaded = load_yaml("apps: " + inner);  // with the file's own mapping 32
  REQUIRE_FALSE(loaded.problems.empty());
  CHECK(loaded.problems[0].message ==
        "\"apps\" must be a mapping of names to apps, such as {web: {command: node server.js}}, not a list");
}

TEST_CASE("aliases of a long text are refused by the text they stand for") {
  auto file = [](int uses) {
    std::string text = "apps: {web: {command: sh, env: {A: &a \"" + std::string(500'000, 'x') + "\"";
    for (int i = 0; i < uses; ++i) text += ", A" + std::to_string(i) + ": *a";
    return load_yaml(text + "}}}");
  };
  CHECK(file(10).problems.empty());
  Loaded loaded = file(20);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "more than 8MiB of text, aliases counted as what they stand for");
}

TEST_CASE("aliases that would explode are refused by what they stand for") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 1; k < 10; ++k) text += ", " + before;
    text += "]\n";
  }
  Loaded loaded = load_yaml(text);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "more than 50000 values, aliases counted as what they stand for");
  CHECK(loaded.problems[0].place.line == 5);
}

TEST_CASE("files that are none are refused by name") {
  Directory directory;
  auto only = [](const std::string& path) {
    Source source;
    source.file = path;
    Loaded loaded = load(source);
    REQUIRE(loaded.problems.size() == 1);
    REQUIRE(loaded.problems[0].shown.rfind(path + ": ", 0) == 0);
    return loaded.problems[0].message;
  };
  CHECK(only(directory.path + "/missing.yaml") == "there is no such file");
  CHECK(only(directory.path) == "is a directory, not a file");
  CHECK(only("/dev/null") == "is not a regular file");
  std::string fifo = directory.path + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(only(fifo) == "is not a regular file");
  CHECK(only(directory.file("empty.yaml", "")) == "the file is empty");
  CHECK(only(directory.file("large.yaml", std::string(kFileMax + 1, '#'))) ==
        "is larger than 1MiB, which no configuration needs");
  std::string secret = directory.file("secret.yaml", "threads: 1", 0000);
  ::chmod(directory.path.c_str(), 0755);
  CHECK(as_nobody([&] {
    Source source;
    source.file = secret;
    Loaded loaded = load(source);
    return loaded.problems.size() == 1 && loaded.problems[0].message == "cannot be read: Permission denied";
  }));
}

TEST_CASE("a file of exactly the largest size is read") {
  std::string text = "apps: {web: {command: sh}}\n#";
  text.resize(kFileMax, 'x');
  CHECK(load_yaml(text).problems.empty());
}

TEST_CASE("relative paths begin at the file") {
  Directory directory;
  directory.file("run", "#!/bin/sh\n", 0755);
  std::filesystem::create_directory(directory.path + "/sub");
  Source source;
  source.file =
      directory.file("rota.yaml", "apps: {web: {command: ../run, directory: ./sub}}\naccess_log: sub/a.log\n");
  Loaded loaded = load(source);
  REQUIRE(loaded.problems.empty());
  CHECK(loaded.config.apps.at(0).directory == directory.path + "/sub");
  CHECK(loaded.config.access_log.path == directory.path + "/sub/a.log");
}

TEST_CASE("programs are looked for where the worker would look") {
  Directory directory;
  directory.file("own-program", "#!/bin/sh\n", 0755);
  std::string start = "apps: {web: {directory: " + directory.path + ", command: own-program";
  Loaded loaded = load_yaml(start + "}}");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(
      loaded.problems[0].message ==
      "\"command\" names the program \"own-program\", which is not on PATH; write \"./own-program\" for the one in the "
      "app's directory");
  CHECK(load_yaml(start + ", env: {PATH: \"/bin:" + directory.path + "\"}}}").problems.empty());
  CHECK(load_yaml(start + ", env: {PATH: \"/bin:\"}}}").problems.empty());  // an empty entry: the directory itself
  CHECK(load_yaml("apps: {web: {directory: " + directory.path + ", command: ./own-program}}").problems.empty());
}

TEST_CASE("socket paths must fit at their longest") {
  // <runtime_dir>/web/9-1234567890.sock
  std::string most = "/" + std::string(107 - std::string_view("//web/9-1234567890.sock").size(), 'd');
  std::string rest = "\napps: {web: {command: sh, workers: 10}}\n";
  CHECK(load_yaml("runtime_dir: " + most + rest).problems.empty());
  Loaded loaded = load_yaml("runtime_dir: " + most + "d" + rest);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].place == Place{1, 14});
  CHECK(loaded.problems[0].message == std::string("the path of a worker's socket would have 108 bytes and can have "
                                                  "107: choose a runtime_dir of at most 85 bytes instead of ") +
                                          in_quotes(most + "d"));
  CHECK(most.size() == 85);
  std::string path = "/" + std::string(106, 'p');
  std::string app = "\napps: {web: {command: sh}}\n";
  CHECK(load_yaml("listen: unix:" + path + app).problems.empty());
  loaded = load_yaml("listen: unix:" + path + "p" + app);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "\"listen\" has a path of 108 bytes; a Unix socket's path may have 107");
}

TEST_CASE("the runtime directory's default follows who starts rota") {
  Variable none("RUNTIME_DIRECTORY", nullptr);
  Variable home("XDG_RUNTIME_DIR", "/run/user/65534");
  const char* text = "apps: {web: {command: sh}}";
  if (::geteuid() == 0) CHECK(good(text).runtime_dir == "/run/rota");
  CHECK(as_nobody([&] { return load_yaml(text).config.runtime_dir == "/run/user/65534/rota"; }));
  Variable no_home("XDG_RUNTIME_DIR", nullptr);
  CHECK(as_nobody([&] { return load_yaml(text).config.runtime_dir == "/tmp/rota-" + std::to_string(::geteuid()); }));
}

TEST_CASE("only root may name another user") {
  CHECK(as_nobody([&] {
    Loaded loaded = load_yaml("user: root\napps: {web: {command: sh, user: root}}");
    bool both = loaded.problems.size() == 2;
    for (const Problem& problem : loaded.problems) {
      both = both && problem.kind == Problem::Kind::not_permitted && problem.place.line > 0 &&
             problem.message.find("\"user\" is \"root\", but rota was started as") == 0;
    }
    return both;
  }));
  CHECK(as_nobody([&] {
    std::string self = std::to_string(::geteuid());
    return load_yaml("user: " + self + "\napps: {web: {command: sh, user: " + self + "}}").problems.empty();
  }));
}

TEST_CASE("workers that would run as root are noted") {
  if (::geteuid() != 0) SKIP("needs root");
  Loaded loaded = load_yaml("apps: {web: {command: sh}}");
  REQUIRE(loaded.notes.size() == 1);
  CHECK(loaded.notes[0] == "workers of app \"web\" run as root; name another user for them with user:");
  CHECK(load_yaml("apps: {web: {command: sh, user: nobody}}").notes.empty());
  CHECK(load_yaml("apps: {web: {servers: [\"a:80\"]}}").notes.empty());
}

TEST_CASE("a PORT of the app's own is noted, unless it is the socket") {
  auto notes_on_port = [](const std::string& port) {
    Loaded loaded = load_yaml("apps: {web: {command: sh, env: {PORT: \"" + port + "\"}}}");
    CHECK(loaded.problems.empty());
    return std::count_if(loaded.notes.begin(), loaded.notes.end(),
                         [](const std::string& note) { return note.find("app \"web\" sets PORT in env") == 0; });
  };
  CHECK(notes_on_port("3000") == 1);
  CHECK(notes_on_port("{socket}") == 0);
}

TEST_CASE("neither a file nor a command, and both, are problems") {
  CHECK(load(Source{}).problems.size() == 1);
  Source source;
  source.file = "/dev/null";
  source.command = {"sh"};
  CHECK(load(source).problems.size() == 1);
}
