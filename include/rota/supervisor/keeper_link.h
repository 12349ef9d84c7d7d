// The supervisor's end of the channel to the keeper: verbs out, reports in. Knows the protocol and no policy.
// The keeper is part of rota and trusted: a message that breaks the protocol is a mistake of ours and ends this
// process, as does a keeper that takes nothing for kSendPatience.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/exit_code.h"
#include "rota/base/log.h"
#include "rota/base/unique_fd.h"
#include "rota/ipc/channel.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::supervisor {

inline constexpr Duration kSendPatience{5s};
inline constexpr std::size_t kNotifyMax = 1000;  // bytes; a longer text is cut

using Fds = std::vector<UniqueFd>;

// Views in the messages die with the return.
class KeeperListener {
 public:
  virtual void on_hello(const ipc::Hello& hello) = 0;
  virtual void on_spawned(const ipc::Spawned& message, Fds fds) = 0;
  virtual void on_exec_failed(const ipc::ExecFailed& message) = 0;
  virtual void on_exited(const ipc::Exited& message) = 0;
  virtual void on_bound(const ipc::Bound& message) = 0;
  virtual void on_listed(const ipc::Listed& message, Fds fds) = 0;
  virtual void on_shelved(const ipc::Shelved& message, Fds fds) = 0;
  virtual void on_saved_state(std::string bytes) = 0;
  virtual void on_list_end() = 0;
  virtual void on_signalled(const ipc::Signalled& message) = 0;
  virtual void on_proxy_started(const ipc::ProxyStarted& message, UniqueFd channel) = 0;
  virtual void on_proxy_exited(const ipc::ProxyExited& message) = 0;
  // The keeper is gone, and with it everything.
  virtual void on_keeper_gone() = 0;

 protected:
  ~KeeperListener() = default;
};

class KeeperLink final : uv::FdListener {
 public:
  KeeperLink(uv::Loop& loop, UniqueFd channel, KeeperListener& listener);

  void hello();
  void list();
  void spawn(std::uint64_t id, const ipc::SpawnSpec& spec);
  void signal(std::uint64_t id, int number, bool group);
  // The keeper forgets the end of a process then. Sent by send_acknowledgements(), once what knows of it is saved: else
  // a supervisor that dies in between would take it with it.
  void acknowledge_exit(std::uint64_t id);
  void send_acknowledgements();
  void bind(const ipc::Bind& bind);
  void shelve(std::string_view name, bool for_proxy, int fd);
  void unshelve(std::string_view name);
  void save_state(std::string_view bytes);
  void proxy_recipe(const ipc::SpawnSpec& spec);
  void save_proxy_state(int bulk);
  void kill_proxy(std::uint64_t epoch);
  void log_settings(log::Level level, log::Format format);
  void notify(std::string_view text);
  void shut_down(ExitCode code);

 private:
  void on_readable(uv::FdWatcher& watcher) override;
  void dispatch(ipc::Packet& packet);
  template <class M>
  void send(const M& message, std::span<const int> fds = {});

  ipc::Channel channel_;
  KeeperListener& listener_;
  uv::FdWatcher watcher_;
  std::vector<std::uint64_t> acknowledged_;  // at most one for each process the keeper has told of
};

}  // namespace rota::supervisor
