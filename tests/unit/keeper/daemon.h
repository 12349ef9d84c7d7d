// A real keeper under test, in which the test itself plays supervisor and proxy: the processes that the keeper starts
// as roles (this same executable, see main.cpp) hand their channel to the test and then do as they are told.
#pragma once

#include <sys/types.h>

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rota/base/units.h"
#include "rota/ipc/channel.h"

namespace rota::keeper::test {

// True when it became so within the time.
bool eventually(const std::function<bool()>& condition, Duration within = 20s);
std::string read_file(const std::string& path);
bool alive(pid_t pid);  // and not a zombie
// Reads until the writer has closed, or what is there already contains `until`.
std::string read_pipe(const UniqueFd& fd, const std::string& until = "");

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The test's hold on one life of a role.
class RoleEnd {
 public:
  RoleEnd(std::string name, pid_t pid, UniqueFd control, UniqueFd channel);

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  ipc::Channel& channel() { return channel_; }
  std::uint64_t epoch() const { return epoch_; }

  template <class M>
  void say(const M& message, std::vector<int> fds = {}) {
    REQUIRE(channel_.send(message, fds));
  }
  void say_bulk(const auto& message, std::string_view bytes) {
    Result<UniqueFd> bulk = ipc::make_bulk("test", bytes);
    REQUIRE(bulk);
    say(message, {bulk->get()});
  }

  // The next message, which must be of this type; pings are answered and not shown. Its fds are left in fds().
  // Views in the message live until the next call.
  template <class M>
  M expect() {
    M message;
    next(static_cast<std::uint16_t>(M::kType));
    REQUIRE(ipc::decode_message(packet_->bytes, message));
    return message;
  }
  // The type of the next message that comes, without taking it.
  std::uint16_t peek();
  UniqueFd take_fd(std::size_t i) { return std::move(packet_->fds[i]); }
  std::size_t fd_count() const { return packet_->fd_count; }
  // Answers pings until the condition holds.
  bool answer_until(const std::function<bool()>& condition, Duration within = 20s);
  // Until it is destroyed, pings get no answer.
  void be_silent() { silent_ = true; }

  void exit(int code);

 private:
  void next(std::uint16_t type);
  bool receive(Duration within);

  std::string name_;
  pid_t pid_;
  UniqueFd control_;
  ipc::Channel channel_;
  std::optional<ipc::Packet> packet_;
  bool waiting_ = false;  // packet_ has been peeked at and not taken
  bool silent_ = false;
  std::uint64_t epoch_ = 0;
};

struct DaemonOptions {
  std::vector<std::string> environment;   // added
  uid_t uid = 0;                          // not 0: the keeper runs as this user
  int capability = -1;                    // with uid: this one, handed on as AmbientCapabilities= does
  std::string binary = "/proc/self/exe";  // what is started
  bool hide_processes = false;            // with process_one: /proc shows a user his own alone
  bool crash = false;                     // each supervisor crashes at its start
  int exit_code = -1;                     // each supervisor exits so at its start
  bool process_one = false;               // in a pid namespace of its own
};

class Daemon {
 public:
  explicit Daemon(const DaemonOptions& options = {});
  ~Daemon();  // ends it hard, if the test has not, and checks that nothing is left
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  pid_t pid() const { return pid_; }
  const TemporaryDirectory& directory() const { return directory_; }
  // The next role that starts; greeted.
  RoleEnd role(const std::string& name);
  RoleEnd supervisor() { return role("supervisor"); }

  // The recipe that starts proxies which report to this test.
  ipc::SpawnSpec proxy_recipe() const;

  void signal(int number) const;
  // Its exit code, or -signal.
  int wait();
  std::string log() const { return read_file(directory_.path("log")); }

 private:
  void start(const DaemonOptions& options);

  TemporaryDirectory directory_;
  UniqueFd listener_;
  pid_t pid_ = -1;
};

// A worker that runs this shell script.
ipc::SpawnSpec shell(const std::string& script);

}  // namespace rota::keeper::test
