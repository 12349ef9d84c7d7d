// One thread for one log file, so that a disk that is full, slow or gone stalls nothing but that file: what it does not
// take in time is dropped and counted. (The supervisor carries no traffic, but it answers the keeper's and the proxies'
// pings and every check is timed by its loop.)
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "rota/base/units.h"
#include "rota/supervisor/log_file.h"

namespace rota::supervisor {

// Where worker lines go. put() never waits.
class LineTarget {
 public:
  virtual ~LineTarget() = default;
  // Whole lines; or, last, the piece of one, whose rest comes with a later put of the same `stream`.
  virtual void put(std::string_view lines, const void* stream) = 0;
};

// The threads of any number of writers, which outlive their writers by what was pending: so that all of them can be
// waited for together. Shared by them and by who waits.
class LogThreads {
 public:
  // Until the last one has ended. False: some have not; they hang, and are left to themselves.
  bool wait(Duration patience);

 private:
  friend class LogWriter;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_ = 0;
};

class LogWriter final : public LineTarget {
 public:
  static constexpr std::size_t kPendingMax = 4 * 1024 * 1024;
  static constexpr Duration kCalmAfter{1000};  // without a loss: an episode of losses is over

  // `file` need not be open. `what`: "the log of app web", for messages.
  LogWriter(LogFile file, std::string what, std::string path, std::shared_ptr<LogThreads> threads);
  ~LogWriter() override { stop(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void put(std::string_view lines, const void* stream) override;
  void open_again();
  void set_limits(LogFile::Limits limits);
  void stop();  // its thread writes what is pending and ends; nobody waits for it here

 private:
  struct Shared;
  static void work(Shared& s);
  void start();                     // tried again with each put, should the system have no thread to give
  std::shared_ptr<Shared> shared_;  // with the thread, which may outlive this object
  bool started_ = false;
  bool want_told_ = false;
};

}  // namespace rota::supervisor
