// What several keys say together.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "loading.h"

using namespace rota::config;
using namespace rota::config::testing;

namespace {

std::string messages(const Loaded& loaded) {
  std::string all;
  for (const Problem& problem : loaded.problems) all += placed(problem) + "\n";
  return all;
}

}  // namespace

TEST_CASE("two logs in one file are a mistake, whatever the file is called") {
  Directory directory;
  std::filesystem::create_directory(directory.path + "/sub");
  auto check = [&](const std::string& a, const std::string& b) {
    return messages(load_yaml("apps:\n  a: {command: sh, user: nobody, log: {file: " + directory.path + "/" + a +
                              "}}\n  b: {command: sh, user: nobody, routes: /b, log: {file: " + directory.path + "/" +
                              b + "}}\n"));
  };
  CHECK(check("a.log", "b.log").empty());
  const std::string mistake = "already, under another name; each needs a file of its own";
  SECTION("a file that is not there yet") {
    CHECK(check("a.log", "sub/../a.log").find(mistake) != std::string::npos);
    CHECK(check("a.log", "./sub/.././/a.log").find(mistake) != std::string::npos);
  }
  SECTION("links") {
    std::string file = directory.file("a.log", "");
    std::filesystem::create_hard_link(file, directory.path + "/hard.log");
    std::filesystem::create_symlink("a.log", directory.path + "/soft.log");
    CHECK(check("a.log", "hard.log").find(mistake) != std::string::npos);
    CHECK(check("soft.log", "hard.log").find(mistake) != std::string::npos);
  }
  SECTION("a link to the directory") {
    std::filesystem::create_directory_symlink("sub", directory.path + "/link");
    CHECK(check("sub/a.log", "link/a.log").find(mistake) != std::string::npos);
    CHECK(check("sub/a.log", "link/../a.log").empty());  // which is the one beside sub
  }
  SECTION("the access log") {
    std::string text =
        messages(load_yaml("access_log: " + directory.path +
                           "/sub/../a.log\napps:\n  a: {command: sh, log: {file: " + directory.path + "/a.log}}\n"));
    CHECK(text.find("3:32: \"file\": the access log is written to") == 0);
    CHECK(text.find(mistake) != std::string::npos);
  }
}

TEST_CASE("any number of logs may go to what nobody renames") {
  CHECK(
      load_yaml(
          "access_log: /dev/null\n"
          "apps:\n  a: {command: sh, log: {file: /dev/null}}\n  b: {command: sh, routes: /b, log: {file: /dev/null}}\n")
          .problems.empty());
}

TEST_CASE("a umask that keeps the proxy from the workers' sockets is noted, with what to write instead") {
  if (::geteuid() != 0) SKIP("needs root");
  auto notes = [](const std::string& more) {
    return load_yaml("apps: {web: {command: sh, user: nobody" + more + "}}").notes;
  };
  for (const char* mask : {"0077", "0027", "0020"}) {
    auto said = notes(std::string(", umask: ") + mask);
    REQUIRE(said.size() == 1);
    CHECK(said[0].find(std::string("app \"web\" has umask ") + mask + ", which keeps the proxy from connecting") == 0);
    CHECK(said[0].find("as 0007 does") != std::string::npos);
  }
  CHECK(notes(", umask: 0007").empty());
  CHECK(notes("").empty());
}

TEST_CASE("what the end of rota will cut short is noted") {
  auto notes = [](const std::string& shutdown, const std::string& stop) {
    Loaded loaded =
        load_yaml("shutdown: " + shutdown + "\napps: {web: {command: sh, user: nobody, stop: " + stop + "}}");
    CHECK(messages(loaded).empty());
    std::string all;
    for (const std::string& note : loaded.notes) all += note + "\n";
    return all;
  };
  CHECK(notes("{}", "{}").empty());
  CHECK(notes("{timeout: 9s}", "{}").empty());  // a grace that nobody has asked for
  CHECK(notes("{timeout: 9s}", "{grace: 4s}").empty());
  CHECK(notes("{delay: 5s, timeout: 30s}", "{}").empty());
  CHECK(notes("{}", "{grace: 1m}") ==
        "app \"web\" has a stop.grace of 1m, but when rota ends its workers may be killed after 12500ms: half of "
        "shutdown.timeout, which is 25s; raise that to 2m at least\n");
  CHECK(notes("{delay: 14s, timeout: 25s}", "{}") ==
        "shutdown.delay (14s) leaves clients no time to drain: of shutdown.timeout (25s) 14s are left for both, as "
        "workers "
        "have the rest (stop.grace); raise shutdown.timeout\n");
  CHECK(notes("{timeout: 9s}", "{grace: 5s}").find("may be killed after 4500ms") != std::string::npos);
}
