// Where the lines of an app's workers go, and how they look there: to rota's own stderr or to a file of the app's, as
// text, JSON or untouched. Never waits for who reads them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/nowait_writer.h"
#include "rota/config/config.h"
#include "rota/supervisor/lines.h"
#include "rota/supervisor/log_writer.h"
#include "rota/supervisor/start_failure.h"

namespace rota::supervisor {

// Writes to an fd that others read and write too as long as that takes it; what it does not take is dropped and
// counted.
class SharedStream final : public LineTarget {
 public:
  explicit SharedStream(int fd) : writer_(fd) {}
  void put(std::string_view lines, const void* stream) override;

 private:
  std::size_t send(std::string_view bytes) { return writer_.write(bytes).bytes; }
  bool tell_dropped();

  NowaitWriter writer_;
  std::string rest_;           // of the line that was begun when there was no more room
  std::uint64_t dropped_ = 0;  // lines since the last one that was written
  const void* unfinished_ = nullptr;
};

// Of one app. Lines are collected and leave with flush(), which each reader of a pipe calls when it has read.
class WorkerLog {
 public:
  static constexpr std::size_t kBatchMax = 64 * 1024;

  WorkerLog(const LineStyle& style, std::shared_ptr<LineTarget> target, bool beside_the_log)
      : style_(style), target_(std::move(target)), beside_the_log_(beside_the_log) {}
  void change(const LineStyle& style, std::shared_ptr<LineTarget> target, bool beside_the_log);

  void write_line(const WorkerTag& tag, OutputKind kind, std::string_view line, bool continues, const void* stream);
  void flush(const void* stream);
  // What workers print stands in rota's own log anyway.
  bool beside_the_log() const { return beside_the_log_; }

 private:
  LineStyle style_;
  std::shared_ptr<LineTarget> target_;
  bool beside_the_log_;
  std::string batch_;
};

// Of all apps; belongs to the supervisor's Role and outlives nothing: who writes holds a share of its app's.
class WorkerLogs {
 public:
  struct Settings {
    int fd = 2;
    bool journald_prefix = false;
    Colours colours = Colours::strip;
  };
  static constexpr Duration kLastPatience{1000};  // at the end, for what all the files together have not taken yet

  explicit WorkerLogs(const Settings& settings);
  ~WorkerLogs();
  WorkerLogs(const WorkerLogs&) = delete;
  WorkerLogs& operator=(const WorkerLogs&) = delete;

  // From now on these apps' settings, for running workers too. A file that cannot be opened, or is another app's or the
  // access log as well: a failure, and nothing has changed; with `anyway` it is said, the lines of one that is not open
  // are lost until it is, and it goes on. Waits for no file that is left.
  Failure use(const std::vector<config::App>& apps, const config::AccessLog& access_log, bool anyway);
  std::shared_ptr<WorkerLog> of(const std::string& app);
  // An app that is no more keeps its log as long as one of its workers holds it: here it is let go.
  void forget_unused();
  // Of every file that has been written to; they may outlive this object.
  std::shared_ptr<LogThreads> threads() const { return threads_; }
  // Every file, as somebody may have renamed them. False: there is none.
  bool open_again();

 private:
  using Writers = std::map<std::string, std::shared_ptr<LogWriter>>;  // by path
  Failure open_file(const config::App& app, bool anyway, Writers& writers);
  static Failure find_shared_file(const std::vector<config::App>& apps, const config::AccessLog& access_log);
  LineStyle style_of(const config::AppLog& log) const;

  Settings settings_;
  std::shared_ptr<SharedStream> stderr_;
  std::shared_ptr<LogThreads> threads_ = std::make_shared<LogThreads>();
  Writers writers_;
  std::vector<std::weak_ptr<LogWriter>> left_;              // of apps that are going
  std::map<std::string, std::shared_ptr<WorkerLog>> logs_;  // by app
};

}  // namespace rota::supervisor
