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
