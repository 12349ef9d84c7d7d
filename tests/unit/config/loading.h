// What the tests of config/ share: loading a text as if it were rota.yaml, reading what is shown of a problem, and
// variables and files for as long as a test needs them.
#pragma once

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/load.h"

namespace rota::config::testing {

inline Loaded load_yaml(std::string_view text) { return load_text(text, "/tmp/rota.yaml", Source{}); }

// "2:3: message", or the message alone for what has no place.
inline std::string placed(const Problem& problem) {
  if (problem.place.line == 0) return problem.message;
  return std::to_string(problem.place.line) + ":" + std::to_string(problem.place.column) + ": " + problem.message;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// The text above the caret and its tail; for lines of ASCII.
inline std::string marked(const Problem& problem) {
  auto lines = lines_of(problem.shown);
  if (lines.size() < 3) return "";
  std::size_t caret = lines[2].find('^');
  if (caret == std::string::npos || caret >= lines[1].size()) return "";
  return lines[1].substr(caret, lines[2].size() - caret);
}

inline Config good(std::string_view text) {
  Loaded loaded = load_yaml(text);
  for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
  REQUIRE(loaded.problems.empty());
  return loaded.config;
}

// A variable of the environment for as long as a test needs it.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    had_ = before != nullptr;
    before_ = had_ ? before : "";
    if (value != nullptr) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  ~Variable() {
    if (had_) {
      ::setenv(name_, before_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  bool had_ = false;
  std::string before_;
};

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/rota-config-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    std::string whole = path + "/" + name;
    std::ofstream(whole, std::ios::binary) << text;
    ::chmod(whole.c_str(), mode);
    return whole;
  }
  std::string path;
};

}  // namespace rota::config::testing
