// The command line as main() and the supervisor see it, and what `check` prints and returns.
#include "rota/cli/cli.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "running.h"

using namespace rota;
using namespace rota::cli;
using namespace rota::cli::testing;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("run with a file") {
  for (const Words& words :
       {Words{"-c", "a.yaml"}, Words{"--config", "a.yaml"}, Words{"--config=a.yaml"}, Words{"-ca.yaml"}}) {
    Words all = words;
    all.insert(all.begin(), "run");
    RunRequest request;
    CHECK(rota_with(all, &request).code == -1);
    CHECK(request.source.file == "a.yaml");
    CHECK(request.source.command.empty());
    CHECK(request.arguments == words);
  }
}

TEST_CASE("run with a command: nothing after -- is an option of ours") {
  Words words{"--listen", "8080",     "--workers=3", "--runtime-dir", "/run/x", "--", "node",
              "-c",       "--listen", "--",          "--help",        ""};
  Words all = words;
  all.insert(all.begin(), "run");
  RunRequest request;
  REQUIRE(rota_with(all, &request).code == -1);
  CHECK(request.arguments == words);
  CHECK(request.source.file.empty());
  CHECK(request.source.listen == "8080");
  CHECK(request.source.workers == 3U);
  CHECK(request.source.runtime_dir == "/run/x");
  CHECK(request.source.command == Words{"node", "-c", "--listen", "--", "--help", ""});
}

TEST_CASE("the supervisor reads the same words alike") {
  auto source = parse_run_arguments({"--workers", "2", "--", "sh"});
  REQUIRE(source);
  CHECK(source->workers == 2U);
  CHECK(source->command == Words{"sh"});
  CHECK_FALSE(parse_run_arguments({}));
  CHECK_FALSE(parse_run_arguments({"--help"}));
  auto wrong = parse_run_arguments({"--workers", "x", "--", "sh"});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == Errc::invalid);
  CHECK(wrong.error().context == "--workers must be a number between 1 and 1024, not \"x\"");
}

TEST_CASE("usage errors say what is wrong and end with 2") {
  struct {
    Words words;
    std::string message;
  } cases[] = {
      {{"chekc"}, "rota: unknown command \"chekc\"; did you mean \"check\"?\nSee rota --help.\n"},
      {{"prove"}, "rota: unknown command \"prove\"; did you mean \"probe\"?\nSee rota --help.\n"},
      {{"deploy"}, "rota: unknown command \"deploy\"\nSee rota --help.\n"},
      {{"status"},
       "rota: unknown command \"status\"; a running rota is told by its service or by a signal\n"
       "    systemctl reload rota                    as a service: also status, restart, stop\n"
       "    kill -HUP $(head -n 1 /run/rota/lock)    otherwise: HUP reloads, TERM stops (lock: in its runtime_dir)\n"
       "See rota --help.\n"},
      {{"start", "-c", "rota.yaml"},
       "rota: unknown command \"start\"; it is called \"run\" here\n"
       "    rota run -c rota.yaml          as the file says\n"
       "    rota run -- node server.js     one app, no file: workers for every CPU, on 127.0.0.1:8080\n"
       "See rota --help.\n"},
      {{"--bogus"}, "rota: unknown option \"--bogus\"\nSee rota --help.\n"},
      {{""}, "rota: unknown command \"\"\nSee rota --help.\n"},
      {{"run", "--lisen", "80", "--", "sh"},
       "rota: unknown option \"--lisen\"; did you mean \"--listen\"?\nSee rota run --help.\n"},
      {{"run", "node", "server.js"},
       "rota: \"node\" is no option; a command comes after \"--\": rota run -- node server.js\nSee rota run --help.\n"},
      {{"run", "a.yaml"}, "rota: \"a.yaml\" is no option; write -c a.yaml\nSee rota run --help.\n"},
      {{"run", "-c"}, "rota: --config needs a value\nSee rota run --help.\n"},
      {{"run", "--listen", "--", "sh"}, "rota: --listen needs a value\nSee rota run --help.\n"},
      {{"run", "--workers", "1", "--workers", "2", "--", "sh"},
       "rota: --workers is given more than once\nSee rota run --help.\n"},
      {{"run", "-c", "a", "--config=b"}, "rota: --config is given more than once\nSee rota run --help.\n"},
      {{"run", "--workers", "1025", "--", "sh"},
       "rota: --workers must be a number between 1 and 1024, not \"1025\"\nSee rota run --help.\n"},
      {{"run", "--workers", "auto", "--", "sh"},
       "rota: --workers must be a number between 1 and 1024, not \"auto\"\nSee rota run --help.\n"},
      {{"run", "--listen", "", "--", "sh"}, "rota: --listen is empty\nSee rota run --help.\n"},
      {{"check"}, "rota: which file? Write rota check rota.yaml\nSee rota check --help.\n"},
      {{"check", "-c"}, "rota: -c needs a file\nSee rota check --help.\n"},
      {{"check", "a", "b"}, "rota: check reads one file\nSee rota check --help.\n"},
      {{"check", "--explain", "a"}, "rota: unknown option \"--explain\"\nSee rota check --help.\n"},
      {{"check", ""}, "rota: the file's name is empty\nSee rota check --help.\n"},
      {{"check", "--schema", "a"}, "rota: --schema prints the schema and takes no file\nSee rota check --help.\n"},
      {{"run", "--listen", "99999", "--", "a"},
       "rota: --listen \"99999\" has the port 99999; ports are 0 to 65535\nSee rota run --help.\n"},
      {{"run", "--listen=nowhere", "-c", "a"},
       "rota: --listen \"nowhere\" has no port; write \"nowhere:8080\"\nSee rota run --help.\n"},
      {{"version", "x"}, "rota: version takes no arguments\nSee rota --help.\n"},
  };
  for (const auto& one : cases) {
    INFO(one.message);
    Outcome outcome = rota_with(one.words);
    CHECK(outcome.code == 2);
    CHECK(outcome.err == one.message);
    CHECK(outcome.out.empty());
  }
}

TEST_CASE("a run without file or command, or with both, shows how it is done") {
  for (const Words& words : {Words{"run"}, Words{"run", "--"}, Words{"run", "--", ""},
                             Words{"run", "-c", "a", "--", "sh"}, Words{"run", "--listen", "80"}}) {
    Outcome outcome = rota_with(words);
    CHECK(outcome.code == 2);
    CHECK(has(outcome.err, "rota run -c rota.yaml"));
    CHECK(has(outcome.err, "rota run -- node server.js"));
  }
}

TEST_CASE("help and version") {
  Outcome bare = rota_with({});
  CHECK(bare.code == 2);
  CHECK(has(bare.err, "Usage: rota COMMAND"));
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"help"}}) {
    Outcome help = rota_with(words);
    CHECK(help.code == 0);
    CHECK(help.out == bare.err);
    CHECK(help.err.empty());
  }
  for (const Words& words : {Words{"run", "--help"}, Words{"run", "-h", "--workers", "x"}, Words{"help", "run"}}) {
    Outcome help = rota_with(words);
    CHECK(help.code == 0);
    for (const char* option : {"-c, --config", "--listen", "--workers", "--runtime-dir", "-h, --help"}) {
      INFO(option);
      CHECK(has(help.out, option));
    }
  }
  CHECK(has(rota_with({"check", "--help"}).out, "rota check [OPTIONS] FILE"));
  for (const char* word : {"version", "--version", "-V"}) {
    Outcome version = rota_with({word});
    CHECK(version.code == 0);
    CHECK(version.out == "rota " ROTA_VERSION "\n");
  }
}

TEST_CASE("probe: what is wrong with the words") {
  struct {
    Words words;
    std::string says;
  } cases[] = {
      {{}, "which address? Write rota probe 8080 /healthz"},
      {{"8080", "healthz"}, "\"healthz\" is no path; it begins with \"/\""},
      {{"8080", "/a", "/b"}, "probe asks one address"},
      {{"8080", "/a b"}, "is no path"},
      {{"0"}, "port 0 cannot be connected to"},
      {{"127.0.0.1"}, "the address \"127.0.0.1\" has no port"},
      {{"--timeout", "3", "8080"}, "--timeout needs a unit"},
      {{"--timeout", "0s", "8080"}, "--timeout must be between 1ms and 10m"},
      {{"8080", "--timeout"}, "--timeout needs a value"},
      {{"8080", "--host="}, "--host needs a value"},
      {{"8080", "--host", "a b"}, "--host is no name of a host"},
      {{"8080", "--any"}, "unknown option \"--any\""},
      {{"8080", "--proxy-protocol=2"}, "unknown option \"--proxy-protocol\""},
      {{"--proxy-protocol"}, "which address?"},
  };
  for (auto& one : cases) {
    one.words.insert(one.words.begin(), "probe");
    Outcome outcome = rota_with(one.words);
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    CHECK(has(outcome.err, one.says));
    CHECK(has(outcome.err, "See rota probe --help."));
    CHECK(outcome.out.empty());
  }
  CHECK(rota_with({"probe", "--help"}).code == 0);
  CHECK(rota_with({"help", "probe"}).out == rota_with({"probe", "-h"}).out);
}

TEST_CASE("check: a good file is one line and its notes on stdout") {
  Directory directory;
  std::string file =
      directory.file("rota.yaml", "listen: [80, \"unix:/run/a\"]\napps: {web: {command: sh, workers: 4}}\n");
  for (const Words& words : {Words{"check", file}, Words{"check", "-c", file}}) {
    Outcome outcome = rota_with(words);
    CHECK(outcome.code == 0);
    CHECK(outcome.err.empty());
    std::string first = outcome.out.substr(0, outcome.out.find('\n'));
    CHECK(first == file + ": ok (1 app, 4 workers, listening on *:80, unix:/run/a)");
    CHECK(has(outcome.out, "run as root") == (::geteuid() == 0));
  }
  file = directory.file("servers.yaml", "apps: {web: {servers: [\"a:80\"]}}\n");
  CHECK(rota_with({"check", file}).out == file + ": ok (1 app, 1 server, listening on 127.0.0.1:8080)\n");
}

TEST_CASE("check: the schema goes to stdout") {
  Outcome outcome = rota_with({"check", "--schema"});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK(has(outcome.out, "\"urn:rota:config\""));
}

TEST_CASE("check: every problem on stderr and 78") {
  Directory directory;
  std::string file = directory.file("rota.yaml", "thread: 1\napps: {web: {command: sh, workers: x}}\n");
  Outcome outcome = rota_with({"check", file});
  CHECK(outcome.code == 78);
  CHECK(outcome.out.empty());
  CHECK(has(outcome.err, file + ":1:1: unknown key \"thread\"; did you mean \"threads\"?\n  thread: 1\n  ^~~~~~\n"));
  CHECK(has(outcome.err, file + ":2:36: \"workers\" must be a whole number or auto, not \"x\"\n"));
  CHECK(has(outcome.err, file + ": 2 problems\n"));
  CHECK(rota_with({"check", directory.path + "/none"}).code == 78);
}

TEST_CASE("77 is for missing permission alone") {
  config::Problem permission;
  permission.kind = config::Problem::Kind::not_permitted;
  config::Problem other;
  CHECK(config::exit_code_of({permission, permission}) == ExitCode::not_permitted);
  CHECK(config::exit_code_of({permission, other}) == ExitCode::configuration);
  CHECK(config::exit_code_of({other}) == ExitCode::configuration);
}
