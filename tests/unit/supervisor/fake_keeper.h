// A keeper, its proxy and its workers, played in the test's own process and on its own loop: the other ends of the
// supervisor's channels. Workers are listening sockets, or nothing; they die when they are told to.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "rota/ipc/channel.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/supervisor/saved_state.h"
#include "rota/sys/socket.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::test {

// A short path: Unix socket paths end at 107 bytes.
class ScratchDir {
 public:
  ScratchDir() {
    char pattern[] = "/tmp/rs-XXXXXX";
    REQUIRE(::mkdtemp(pattern) != nullptr);
    path_ = pattern;
  }
  ~ScratchDir() { std::filesystem::remove_all(path_); }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class FakeKeeper final : uv::FdListener, uv::TimerListener {
 public:
  // What a spawned worker does.
  enum class Play { listens, hangs, dies };
  static constexpr std::uint16_t kAnyPort = 4711;

  struct Worker {
    ipc::SpawnSpec spec;
    UniqueFd listener;
    UniqueFd out, err;  // its ends of the pipes
    int pid = 0;
    bool saved_before = false;  // the state saved last knew of it when it was asked for
  };

  FakeKeeper(uv::Loop& loop, UniqueFd channel, std::uint64_t epoch)
      : loop_(loop),
        epoch_(epoch),
        channel_(std::move(channel)),
        watcher_(loop, channel_.fd(), *this),
        look_(loop, *this) {
    watcher_.start();
  }

  // Runs the loop until it is so.
  void until(const std::function<bool()>& so, Duration patience = 20s) {
    wanted_ = so;
    give_up_ = std::chrono::steady_clock::now() + patience;
    look_.start(1ms, 1ms);
    while (!so()) {
      REQUIRE(std::chrono::steady_clock::now() < give_up_);
      loop_.run();
    }
    look_.stop();
  }

  void exit(std::uint64_t id, int status) {
    Worker& worker = workers.at(id);
    worker.listener.reset();
    worker.out.reset();
    worker.err.reset();
    REQUIRE(channel_.send(ipc::Exited{id, worker.pid, status}));
  }
  void signal(int number, std::uint32_t count = 0) { REQUIRE(channel_.send(ipc::Signalled{number, count})); }
  template <class M>
  void proxy_says(const M& message) {
    REQUIRE(proxy_.send(message));
  }
  void proxy_tells_in_flight(std::uint64_t upstream, const ipc::InFlight& list) {
    auto memory = ipc::make_bulk("in-flight", ipc::encode_bulk(list));
    REQUIRE(memory);
    std::array<int, 1> fds = {memory->get()};
    REQUIRE(proxy_.send(ipc::InFlightTold{upstream}, fds));
  }
  // The proxy goes on without its channel.
  void close_proxy_channel() {
    proxy_watcher_.reset();
    proxy_.close();
  }
  void answer_binds() {
    for (const auto& [name, error, port] : held_binds) REQUIRE(channel_.send(ipc::Bound{name, error, "bind", port}));
    held_binds.clear();
  }
  void restart_proxy() {
    end_proxy(0);
    begin_proxy();
  }
  void end_proxy(std::uint32_t delay_ms) {
    close_proxy_channel();
    REQUIRE(channel_.send(ipc::ProxyExited{1, SIGKILL, delay_ms}));
  }
  void begin_proxy() {
    proxy_epoch_++;
    versions.clear();
    start_proxy();
  }
  // The newest worker of a slot that the proxy knows, as the proxy sees it.
  std::optional<ipc::UpstreamState> upstream(std::uint32_t slot) const {
    if (state.apps.empty()) return {};
    for (const auto& one : state.apps[0].upstreams) {
      if (one.slot == slot) return one;
    }
    return {};
  }
  std::size_t ready() const {
    std::size_t n = 0;
    for (const auto& app : state.apps) {
      for (const auto& one : app.upstreams) n += one.phase == ipc::UpstreamPhase::ready ? 1 : 0;
    }
    return n;
  }

  // What it plays.
  Play play = Play::listens;
  bool proxy_applies = true;  // what it is told, at once
  bool holds_binds = false;   // until answer_binds()
  std::vector<std::tuple<std::string, int, std::uint16_t>> held_binds;
  int bind_error = 0;
  std::uint16_t refused_port = 0;  // 0: bind_error is of every port
  bool die_on_term = true;
  std::string earlier_state;                     // told by list
  std::vector<std::uint64_t> earlier_processes;  // of `workers`
  std::map<std::uint64_t, int> earlier_exits;    // of these the ones that have ended, with their status
  std::map<std::string, bool> shelf;             // name -> listener
  std::map<std::string, UniqueFd> shelved_fds;   // what stands on it: "lock", "config"

  // What it saw.
  std::map<std::uint64_t, Worker> workers;
  std::vector<std::uint64_t> spawned;
  std::vector<std::string> bound_names;  // shelf names
  std::vector<std::string> unshelved;    // shelf names
  std::vector<ipc::Signal> signals;
  std::vector<std::uint64_t> acknowledged;
  std::vector<std::string> notified;
  std::vector<std::uint64_t> killed_proxies;
  std::optional<supervisor::SavedState> saved;
  std::string saved_bytes;
  ipc::ProxyState first_state;
  ipc::ProxyState state;  // the last the proxy was told
  std::vector<std::uint64_t> versions;
  std::vector<std::uint64_t> asked_in_flight;  // upstreams, by the proxy's channel
  std::vector<std::uint64_t> gone_when_asked;  // of these the ones that the last state had left out already
  std::optional<int> exit_code;
  int log_format = -1;

 private:
  void on_timer(uv::Timer&) override {
    if (wanted_() || std::chrono::steady_clock::now() >= give_up_) loop_.stop();
  }
  void on_readable(uv::FdWatcher& watcher) override {
    if (&watcher == &watcher_) {
      read_all(channel_, [this](ipc::Packet& packet) { on_supervisor(packet); });
    } else {
      read_all(proxy_, [this](ipc::Packet& packet) { on_state(packet); });
    }
  }
  template <class Use>
  void read_all(ipc::Channel& channel, Use use) {
    for (;;) {
      auto packet = channel.receive();
      if (!packet) {
        (&channel == &channel_ ? watcher_ : *proxy_watcher_).stop();
        return;
      }
      if (!*packet) return;
      use(**packet);
    }
  }
  void on_state(ipc::Packet& packet) {
    ipc::WorkerDied died;
    if (ipc::decode_message(packet.bytes, died)) {
      asked_in_flight.push_back(died.upstream);
      bool there = false;
      for (const auto& app : state.apps) {
        for (const auto& one : app.upstreams) there = there || one.id == died.upstream;
      }
      if (!there) gone_when_asked.push_back(died.upstream);
    }
    ipc::StateChanged message;
    if (!ipc::decode_message(packet.bytes, message)) return;
    auto bulk = ipc::read_bulk(packet.fds[0].get());
    REQUIRE(bulk);
    REQUIRE(ipc::decode_bulk(*bulk, state));
    REQUIRE(state.version == message.version);
    if (!versions.empty()) REQUIRE(message.version > versions.back());
    if (versions.empty()) first_state = state;
    versions.push_back(message.version);
    if (proxy_applies) proxy_says(ipc::Applied{message.version});
  }
  template <class M>
  M get(const ipc::Packet& packet) {
    M message;
    REQUIRE(ipc::decode_message(packet.bytes, message));
    return message;
  }
  std::string bulk(const ipc::Packet& packet) {
    REQUIRE(packet.fd_count == 1);
    auto bytes = ipc::read_bulk(packet.fds[0].get());
    REQUIRE(bytes);
    return *bytes;
  }
  void on_supervisor(ipc::Packet& packet) {
    using enum ipc::KeeperMessage;
    switch (static_cast<ipc::KeeperMessage>(packet.type())) {
      case hello:
        REQUIRE(channel_.send(ipc::Hello{ipc::kProtocolVersion, epoch_, static_cast<std::uint32_t>(::getpid())}));
        break;
      case list: tell_all(); break;
      case bind: {
        auto message = get<ipc::Bind>(packet);
        int error = refused_port == 0 || message.port == refused_port ? bind_error : 0;
        if (error == 0) shelf[std::string(message.name)] = true;
        bound_names.emplace_back(message.name);
        held_binds.emplace_back(std::string(message.name), error, message.port != 0 ? message.port : kAnyPort);
        if (!holds_binds) answer_binds();
        break;
      }
      case shelve: {
        auto name = std::string(get<ipc::Shelve>(packet).name);
        shelf[name] = false;
        shelved_fds[name] = std::move(packet.fds[0]);
        break;
      }
      case unshelve: {
        auto name = std::string(get<ipc::Unshelve>(packet).name);
        REQUIRE(shelf.erase(name) == 1);
        unshelved.push_back(name);
        break;
      }
      case save_state:
        saved_bytes = bulk(packet);
        saved = supervisor::decode_state(saved_bytes);
        REQUIRE(saved);
        break;
      case spawn: on_spawn(get<ipc::Spawn>(packet).id, bulk(packet)); break;
      case ipc::KeeperMessage::signal: on_signal(get<ipc::Signal>(packet)); break;
      case acknowledge_exit:
        acknowledged.push_back(get<ipc::AcknowledgeExit>(packet).id);
        CHECK_FALSE(saved_knows(acknowledged.back()));  // what a later supervisor would take for running
        break;
      case notify: notified.emplace_back(get<ipc::Notify>(packet).text); break;
      case proxy_recipe: start_proxy(); break;
      case kill_proxy: killed_proxies.push_back(get<ipc::KillProxy>(packet).epoch); break;
      case log_settings: log_format = get<ipc::LogSettings>(packet).format; break;
      case proxy_state: break;
      case shutdown: exit_code = get<ipc::ShutDown>(packet).exit_code; break;
      default: FAIL("unexpected message " << packet.type());
    }
  }
  void tell_all() {
    for (std::uint64_t id : earlier_processes) {
      Worker& worker = workers.at(id);
      auto [out, err] = open_pipes(worker);
      std::array<int, 2> fds = {out.get(), err.get()};
      auto ended = earlier_exits.find(id);
      bool exited = ended != earlier_exits.end();
      REQUIRE(channel_.send(ipc::Listed{id, worker.pid, exited, exited ? ended->second : 0}, fds));
    }
    for (const auto& [name, listener] : shelf) {
      auto known = shelved_fds.find(name);
      std::array<int, 1> fds = {known != shelved_fds.end() ? known->second.get() : 0};
      REQUIRE(channel_.send(ipc::Shelved{name, false, listener, listener ? kAnyPort : std::uint16_t{0}}, fds));
    }
    if (!earlier_state.empty()) {
      auto memory = ipc::make_bulk("state", earlier_state);
      std::array<int, 1> fds = {memory->get()};
      REQUIRE(channel_.send(ipc::SavedState{}, fds));
    }
    REQUIRE(channel_.send(ipc::ListEnd{}));
  }
  std::pair<UniqueFd, UniqueFd> open_pipes(Worker& worker) {
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(err.data(), O_CLOEXEC) == 0);
    worker.out = UniqueFd(out[1]);
    worker.err = UniqueFd(err[1]);
    return {UniqueFd(out[0]), UniqueFd(err[0])};
  }
  bool saved_knows(std::uint64_t id) const {
    if (!saved) return false;
    for (const auto& app : saved->apps) {
      for (const auto& one : app.workers) {
        if (one.spawn_id == id) return true;
      }
    }
    return false;
  }
  void on_spawn(std::uint64_t id, const std::string& spec) {
    Worker& worker = workers[id];
    REQUIRE(ipc::decode_bulk(spec, worker.spec));
    worker.pid = 1'000'000'000 + static_cast<int>(id);  // no process anywhere
    worker.saved_before = saved_knows(id);
    spawned.push_back(id);
    auto [out, err] = open_pipes(worker);
    std::array<int, 2> fds = {out.get(), err.get()};
    REQUIRE(channel_.send(ipc::Spawned{id, worker.pid}, fds));
    if (play == Play::listens) listen(worker);
    if (play == Play::dies) {
      REQUIRE(::write(worker.err.get(), "no database\n", 12) == 12);
      exit(id, 1 << 8);
    }
  }

 public:
  static std::string socket_of(const Worker& worker) {
    for (const std::string& entry : worker.spec.env) {
      if (entry.starts_with("PORT=")) return entry.substr(5);
    }
    return {};
  }
  static void listen(Worker& worker) {
    auto listening = sys::listen_unix(socket_of(worker), 0700);
    REQUIRE(listening.error == 0);
    worker.listener = std::move(listening.fd);
  }

 private:
  void on_signal(const ipc::Signal& message) {
    signals.push_back(message);
    if (workers.contains(message.id) && (die_on_term || message.number == SIGKILL)) exit(message.id, message.number);
  }
  void start_proxy() {
    if (proxy_) return;
    auto pair = ipc::Channel::make_pair();
    REQUIRE(pair);
    proxy_ = ipc::Channel(std::move(pair->first));
    proxy_watcher_ = std::make_unique<uv::FdWatcher>(loop_, proxy_.fd(), static_cast<uv::FdListener&>(*this));
    proxy_watcher_->start();
    REQUIRE(proxy_.send(ipc::ProxyHello{}));
    std::array<int, 1> fds = {pair->second.get()};
    REQUIRE(channel_.send(ipc::ProxyStarted{1, proxy_epoch_}, fds));
  }

  uv::Loop& loop_;
  std::uint64_t epoch_;
  ipc::Channel channel_;
  uv::FdWatcher watcher_;
  uv::Timer look_;
  std::uint64_t proxy_epoch_ = 77;
  ipc::Channel proxy_;
  std::unique_ptr<uv::FdWatcher> proxy_watcher_;
  std::function<bool()> wanted_;
  TimePoint give_up_{};
};

}  // namespace rota::test
