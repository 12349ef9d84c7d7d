// The runtime directory: its lock, one directory per app, the workers' socket files, the log files rota opens by path.
// Knows paths, owners and modes; nothing of lifecycles.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "rota/base/unique_fd.h"
#include "rota/supervisor/start_failure.h"

namespace rota::supervisor {

inline constexpr std::uint64_t kSequenceMax = 9'999'999'999;  // as config/ measures paths by
inline constexpr std::uint64_t kReservedSequences = 64;       // per write of the lock file

class RuntimeDir {
 public:
  // Makes the directory when it is missing and refuses one that others may write to.
  Failure open(const std::string& path, bool for_other_users);
  // One rota per directory. keeper_pid is written into the lock file, for the sentence a second one is refused with.
  Failure lock(int keeper_pid);
  void adopt_lock(UniqueFd lock);
  void unlock() { lock_.reset(); }
  int lock_fd() const { return lock_.get(); }

  // Owned by the workers' user; the proxy's group may connect. in_use: workers of an earlier supervisor live there, and
  // it stays as it is.
  Failure make_app(const std::string& name, uid_t worker, gid_t proxy, bool in_use);
  bool has_app(const std::string& name) const { return apps_.contains(name); }
  // Before a start: workers of two users may share it for a while, and only the one who starts makes a file in it.
  void give_app(const std::string& name, uid_t worker);
  void remove_app(const std::string& name);

  const std::string& path() const { return path_; }
  // For a socket path: never given before in this directory, by this rota or an earlier one. A worker that outlives its
  // rota, or is slow to end, unlinks the path it was given: that must not be a later worker's. The lock file remembers
  // (it is never removed); the wall clock is there for those who remove it.
  std::uint64_t next_sequence();
  // "web/0-12.sock"
  static std::string relative_socket(const std::string& app, std::uint32_t slot, std::uint64_t sequence);
  std::string absolute(const std::string& relative) const { return path_ + "/" + relative; }
  void remove(const std::string& relative) const;

  // Every socket and directory of the apps; the lock file stays (see sys/lock.h).
  void clean_up();

 private:
  void begin_sequence();
  void write_lock() const;

  std::string path_;
  UniqueFd fd_;
  UniqueFd lock_;
  std::string keeper_pid_;      // as written into the lock file
  std::uint64_t sequence_ = 0;  // the last one given
  std::uint64_t reserved_ = 0;  // and the last one the lock file allows for
  struct Owner {
    uid_t worker = 0;
    gid_t proxy = 0;
  };
  std::map<std::string, Owner> apps_;
};

// For appending; see open_for_append() for links.
struct OpenedLog {
  UniqueFd fd;
  Failure failure;
};
OpenedLog open_log_file(const std::string& path);

}  // namespace rota::supervisor
