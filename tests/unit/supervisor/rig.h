// A whole supervisor against a played keeper, and what its file says.
#pragma once

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <iterator>

#include "../../../src/supervisor/role.h"
#include "fake_keeper.h"

namespace rota::test {

using supervisor::Outside;
using supervisor::Role;

inline config::Loaded sample(const ScratchDir& dir, std::uint32_t workers) {
  config::Loaded loaded;
  config::Address address;
  address.host = "127.0.0.1";
  loaded.config.listen = {{.address = address}};
  loaded.config.runtime_dir = dir.path() + "/run";
  loaded.config.log_level = static_cast<log::Level>(9);  // silent
  config::App app;
  app.name = "web";
  app.command = {"app"};
  app.directory = "/";
  app.workers = workers;
  app.restart.delay = 10ms;
  loaded.config.apps = {app};
  return loaded;
}

struct Rig {
  explicit Rig(config::Loaded loaded, std::uint64_t epoch = 1) {
    auto pair = ipc::Channel::make_pair();
    REQUIRE(pair);
    keeper.emplace(loop, std::move(pair->first), epoch);
    channel = std::move(pair->second);
    config = std::move(loaded);
  }
  void start() {
    outside.load = [this] { return config; };
    role.emplace(loop, outside, std::move(channel));
  }
  void until(const std::function<bool()>& so) { keeper->until(so); }
  bool drained_all() {
    for (const auto& one : keeper->state.apps.at(0).upstreams) {
      if (one.phase != ipc::UpstreamPhase::draining) return false;
    }
    return true;
  }

  uv::Loop loop{"test"};
  std::optional<FakeKeeper> keeper;
  UniqueFd channel;
  config::Loaded config;  // what the file says
  Outside outside;
  std::optional<Role> role;
};

// What goes to stderr meanwhile.
class Stderr {
 public:
  explicit Stderr(const ScratchDir& dir) : path_(dir.path() + "/stderr"), before_(::dup(2)) {
    UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    REQUIRE(::dup2(file.get(), 2) == 2);
  }
  ~Stderr() { ::dup2(before_.get(), 2); }
  Stderr(const Stderr&) = delete;
  Stderr& operator=(const Stderr&) = delete;
  bool has(const std::string& text) const { return count(text) > 0; }
  std::size_t count(const std::string& text) const {
    std::ifstream file(path_);
    std::string all(std::istreambuf_iterator<char>(file), {});
    std::size_t found = 0;
    for (std::size_t at = 0; (at = all.find(text, at)) != std::string::npos; at++) found++;
    return found;
  }

 private:
  std::string path_;
  UniqueFd before_;
};

}  // namespace rota::test
