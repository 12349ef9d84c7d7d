// What the tests of the command line share: running it in this process, with what it prints.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "rota/cli/cli.h"

namespace rota::cli::testing {

using Words = std::vector<std::string>;

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/rota-cli-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name) << text;
    return path + "/" + name;
  }
  std::string read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(path + "/" + name).rdbuf();
    return text.str();
  }
  std::string path;
};

struct Outcome {
  int code = -1;  // -1: a RunRequest
  std::string out;
  std::string err;
};

// stdout or stderr goes to a file for as long as this lives.
class Redirect {
 public:
  Redirect(std::FILE* stream, const std::string& path) : stream_(stream), before_(::dup(::fileno(stream))) {
    std::fflush(stream_);
    int to = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ::dup2(to, ::fileno(stream_));
    ::close(to);
  }
  ~Redirect() {
    std::fflush(stream_);
    ::dup2(before_, ::fileno(stream_));
    ::close(before_);
  }
  Redirect(const Redirect&) = delete;
  Redirect& operator=(const Redirect&) = delete;

 private:
  std::FILE* stream_;
  int before_;
};

inline Outcome rota_with(Words words, RunRequest* request = nullptr) {
  Directory directory;
  words.insert(words.begin(), "rota");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Outcome outcome;
  {
    Redirect out(stdout, directory.path + "/out");
    Redirect err(stderr, directory.path + "/err");
    auto parsed = parse(static_cast<int>(arguments.size()), arguments.data());
    if (const Exit* exit = std::get_if<Exit>(&parsed)) {
      outcome.code = exit->code;
    } else if (request != nullptr) {
      *request = std::get<RunRequest>(std::move(parsed));
    }
  }
  outcome.out = directory.read("out");
  outcome.err = directory.read("err");
  return outcome;
}

}  // namespace rota::cli::testing
