// The table against what it could drift from: the structs' defaults and docs/CONFIG.md.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "loading.h"
#include "rota/config/keys.h"

using namespace rota::config;
using namespace rota::config::testing;

namespace {

// The path as a file: "timeouts.header" -> "timeouts:\n  header: VALUE".
std::string as_file(const std::string& path, const std::string& value) {
  std::string text;
  std::string indent;
  std::size_t start = 0;
  for (;;) {
    std::size_t dot = path.find('.', start);
    std::string part = path.substr(start, dot == std::string::npos ? dot : dot - start);
    if (part == "NAME") part = "web";
    text += indent + part + ":";
    if (dot == std::string::npos) return text + " " + value + "\n";
    text += "\n";
    indent += "  ";
    start = dot + 1;
  }
}

std::string beside(const KeyFacts& key) {
  if (key.path.rfind("listen.", 0) == 0) return "  address: 127.0.0.1:8080\napps: {web: {command: sh}}\n";
  bool in_app = key.path.rfind("apps.", 0) == 0;
  return in_app ? "    command: sh\n" : "apps: {web: {command: sh}}\n";
}

std::vector<std::string> table_rows() {
  std::ifstream file(std::string(ROTA_SOURCE) + "/docs/CONFIG.md");
  REQUIRE(file.is_open());
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    bool has_six_columns = std::count(line.begin(), line.end(), '|') == 7;
    if (line.rfind("| `", 0) == 0 && has_six_columns) rows.push_back(line);
  }
  return rows;
}

// As docs/CONFIG.md has to have it.
std::string row_of(const KeyFacts& key) {
  auto escaped = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    return text;
  };
  std::string initial = key.initial.empty() ? key.initial_shown : "`" + key.initial + "`";
  return "| `" + key.path + "` | " + escaped(key.type) + " | " + escaped(initial) + " | " + key.limits + " | " +
         key.effect + " | " + escaped(key.doc) + " |";
}

}  // namespace

TEST_CASE("every default in the table is the default of the struct") {
  int compared = 0;
  for (const KeyFacts& key : all_keys()) {
    if (key.initial.empty()) continue;
    INFO(key.path);
    // The same lines, so that places are equal: once with the default written out, once with a comment instead.
    std::string written = as_file(key.path, key.initial) + beside(key);
    Loaded explicit_one = load_yaml(written);
    for (const Problem& problem : explicit_one.problems) UNSCOPED_INFO(problem.shown);
    REQUIRE(explicit_one.problems.empty());
    Loaded plain = load_yaml("apps: {web: {command: sh}}\n");
    REQUIRE(plain.problems.empty());
    for (Loaded* loaded : {&explicit_one, &plain}) loaded->config.apps.at(0).place = {};
    CHECK(explicit_one.config == plain.config);
    ++compared;
  }
  CHECK(compared > 30);
}

TEST_CASE("every key with limits takes both of them and nothing beyond") {
  for (const KeyFacts& key : all_keys()) {
    std::size_t to = key.limits.find(" to ");
    if (to == std::string::npos) continue;
    for (const std::string& value : {key.limits.substr(0, to), key.limits.substr(to + 4)}) {
      Loaded loaded = load_yaml(as_file(key.path, value) + beside(key));
      for (const Problem& problem : loaded.problems) {
        INFO(problem.shown);  // a limit may contradict another key's default, but not be out of range
        CHECK(problem.message.find("must be between") == std::string::npos);
      }
    }
    std::string beyond = key.limits.substr(to + 4);
    beyond.insert(0, "9");
    Loaded loaded = load_yaml(as_file(key.path, beyond) + beside(key));
    INFO(key.path << " " << beyond);
    CHECK(std::any_of(loaded.problems.begin(), loaded.problems.end(), [](const Problem& problem) {
      return problem.message.find("must be between") != std::string::npos;
    }));
  }
}

TEST_CASE("every key has a sentence, a type and a default for people") {
  for (const KeyFacts& key : all_keys()) {
    INFO(key.path);
    CHECK(key.doc.size() > 10);
    CHECK(key.doc.back() == '.');
    CHECK_FALSE(key.type.empty());
    CHECK_FALSE(key.initial_shown.empty());
    CHECK_FALSE(key.effect.empty());
  }
}

TEST_CASE("no planned key is a key already") {
  auto keys = all_keys();
  for (const std::string& later : later_keys()) {
    INFO(later);
    CHECK(std::none_of(keys.begin(), keys.end(), [&](const KeyFacts& key) { return key.path == later; }));
  }
}

TEST_CASE("docs/CONFIG.md has exactly the rows of the table") {
  std::vector<std::string> rows = table_rows();
  for (const KeyFacts& key : all_keys()) {
    INFO("missing or different: " << row_of(key));
    auto found = std::find(rows.begin(), rows.end(), row_of(key));
    CHECK(found != rows.end());
    if (found != rows.end()) rows.erase(found);
  }
  for (const std::string& row : rows) {
    INFO("no such key: " << row);
    CHECK(false);
  }
}

TEST_CASE("the examples of docs/CONFIG.md are good files") {
  std::ifstream file(std::string(ROTA_SOURCE) + "/docs/CONFIG.md");
  std::stringstream whole;
  whole << file.rdbuf();
  std::string text = whole.str();
  int examples = 0;
  for (std::size_t at = 0; (at = text.find("```yaml\n", at)) != std::string::npos;) {
    at += 8;
    std::size_t end = text.find("```", at);
    REQUIRE(end != std::string::npos);
    std::string example = text.substr(at, end - at);
    Loaded loaded = load_yaml(example);
    for (const Problem& problem : loaded.problems) {
      INFO(problem.shown);
      // What depends on the machine is not the example's fault: programs, directories and users.
      bool of_machine = problem.message.find("names the program") != std::string::npos ||
                        problem.message.find("does not exist") != std::string::npos ||
                        problem.message.find("there is no such file") != std::string::npos ||
                        problem.message.find("\"user\"") == 0 || problem.message.find("\"group\"") == 0;
      CHECK(of_machine);
    }
    ++examples;
    at = end;
  }
  CHECK(examples >= 4);
}
