// One of the two roles as the keeper sees it: a process that is started again whenever it ends, and the channel to it.
// Knows how to throttle restarts and how to talk; what is said is its users' business.
#pragma once

#include <poll.h>

#include <optional>
#include <span>
#include <string>

#include "rota/base/log.h"
#include "rota/base/units.h"
#include "rota/ipc/channel.h"
#include "rota/keeper/launch.h"

namespace rota::keeper {

struct Throttle {
  Duration first;  // the second start in a row waits so long, the next ones twice as long each
  Duration cap;
  Duration stable;  // a life of this length makes the next restart immediate again
};

class Role {
 public:
  Role(const char* name, const Throttle& throttle) : name_(name), throttle_(throttle) {}
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  // Starts it and says hello. False: it could not be started, and the next attempt is due at restart_at().
  bool start(Launcher& launcher, int spec, TimePoint now);

  bool running() const { return pid_ > 0; }
  bool greeted() const { return greeted_; }
  pid_t pid() const { return pid_; }
  std::uint64_t epoch() const { return epoch_; }
  const char* name() const { return name_; }
  ipc::Channel& channel() { return channel_; }

  // The process if it has ended: reaped, and its next start scheduled. Call it when the pidfd is readable, after the
  // last messages were read.
  struct Ended {
    pid_t pid = 0;
    int status = 0;
    Duration delay{};  // until the next start
    bool never_executed = false;
  };
  std::optional<Ended> reap(TimePoint now);

  // False: no channel, or the role does not read (it is killed then: a new one will read).
  template <class M>
  bool say(const M& message, std::span<const int> fds = {}) {
    return channel_ && sent(channel_.send(message, fds));
  }
  // The same, but a full channel is no fault: the caller tries again when it is writable.
  template <class M>
  bool try_say(const M& message, std::span<const int> fds = {}) {
    if (!channel_) return false;
    Result<void> result = channel_.send(message, fds);
    if (!result && result.error().code == Errc::would_block) return false;
    return sent(result);
  }

  // Checks the greeting. False: it broke the protocol and is being killed.
  bool greet(std::string_view bytes);
  // The role did what ours never does: log and kill.
  void broke_protocol(const char* what);

  void signal(int number);
  // KILL at this time unless it has ended by then; an earlier appointment stays.
  void kill_by(TimePoint when);

  std::optional<TimePoint> restart_at() const { return running() ? std::nullopt : restart_at_; }
  void start_by(TimePoint when) { restart_at_ = when; }
  void never_again() { restart_at_.reset(); }

  // What poll(2) watches: channel, pidfd, report. Always three entries.
  void watch(std::vector<pollfd>& set, bool writable) const;
  void read_report();

  // Kills when the appointment has come. The next time to call it, or `next` when that is earlier.
  TimePoint tick(TimePoint now, TimePoint next);

 private:
  bool sent(const Result<void>& result);
  Duration delay_after(TimePoint now);

  // set at construction
  const char* name_;
  Throttle throttle_;

  // of the process that runs
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  UniqueFd report_;
  ipc::Channel channel_;
  bool greeted_ = false;
  bool never_executed_ = false;
  TimePoint started_at_{};
  std::optional<TimePoint> kill_at_;

  // over all its lives
  std::uint64_t epoch_ = 0;
  unsigned quick_ends_ = 0;
  std::optional<TimePoint> restart_at_;
};

// The words of a failed start, from its report pipe. Empty: nothing (yet), or a success.
std::optional<Failure> read_failure(UniqueFd& report);

}  // namespace rota::keeper
