// The runtime directory: its lock, one directory per app, the workers' socket files, the log files rota opens by path.
// Knows paths, owners and modes; nothing of lifecycles.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rota/base/unique_fd.h"
#include "rota/supervisor/start_failure.h"

namespace rota::supervisor {

class RuntimeDir {
 public:
  // Makes the directory when it is missing and refuses one that others may write to.
  Failure open(const std::string& path, bool for_other_users);
  // One rota per directory. keeper_pid is written into the lock file, for the sentence a second one is refused with.
  Failure lock(int keeper_pid);
  void adopt_lock(UniqueFd lock) { lock_ = std::move(lock); }
  int lock_fd() const { return lock_.get(); }

  // Owned by the workers' user; the proxy's group may connect. keep_sockets: workers of an earlier supervisor live
  // there.
  Failure make_app(const std::string& name, uid_t worker, gid_t proxy, bool keep_sockets);

  const std::string& path() const { return path_; }
  // "web/0-12.sock"
  static std::string relative_socket(const std::string& app, std::uint32_t slot, std::uint64_t sequence);
  std::string absolute(const std::string& relative) const { return path_ + "/" + relative; }
  void remove(const std::string& relative) const;

  // Every socket and directory of the apps; the lock file stays (see sys/lock.h).
  void clean_up();

 private:
  std::string path_;
  UniqueFd fd_;
  UniqueFd lock_;
  std::vector<std::string> apps_;
};

// For appending; a link in the last component is refused.
struct OpenedLog {
  UniqueFd fd;
  Failure failure;
};
OpenedLog open_log_file(const std::string& path);

}  // namespace rota::supervisor
