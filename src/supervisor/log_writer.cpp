#include "rota/supervisor/log_writer.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "rota/base/log.h"
#include "rota/sys/thread.h"

namespace rota::supervisor {

namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t count_ends(std::string_view lines) {
  return static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
}

// Says when lines begin to be lost and when that is over, not each time.
class Episode {
 public:
  void lost(std::uint64_t lines, const std::string& what, const std::string& why) {
    if (lines_ == 0) log::error("{} loses lines: {}", what, why);
    lines_ += lines;
    last_ = Clock::now();
  }
  void written(const std::string& what) {
    if (lines_ == 0 || Clock::now() - last_ < LogWriter::kCalmAfter) return;
    log::warning("{} is written again: {} lines were lost", what, lines_);
    lines_ = 0;
  }

 private:
  std::uint64_t lines_ = 0;
  Clock::time_point last_{};
};

}  // namespace

struct LogWriter::Shared {
  Shared(LogFile log_file, std::string about, std::string where, std::shared_ptr<LogThreads> all)
      : file(std::move(log_file)), what(std::move(about)), path(std::move(where)), threads(std::move(all)) {}

  std::mutex mutex;
  std::condition_variable changed;
  // under the mutex
  std::string pending;
  std::uint64_t overflowed = 0;      // lines
  const void* unfinished = nullptr;  // the stream whose piece of a line came last
  bool reopen = false;
  bool stopping = false;
  std::optional<LogFile::Limits> limits;
  // the thread's own
  LogFile file;
  const std::string what;
  const std::string path;
  const std::shared_ptr<LogThreads> threads;
};

bool LogThreads::wait(Duration patience) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, patience, [this] { return running_ == 0; });
}

LogWriter::LogWriter(LogFile file, std::string what, std::string path, std::shared_ptr<LogThreads> threads)
    : shared_(std::make_shared<Shared>(std::move(file), std::move(what), std::move(path), std::move(threads))) {
  start();
}

void LogWriter::start() {
  {
    std::lock_guard lock(shared_->threads->mutex_);
    shared_->threads->running_++;
  }
  auto ended = [shared = shared_] {
    std::lock_guard lock(shared->threads->mutex_);
    shared->threads->running_--;
    shared->threads->ended_.notify_all();
  };
  started_ = sys::start_detached([shared = shared_, ended] {
    work(*shared);
    ended();
  });
  if (started_) return;
  ended();
  if (!std::exchange(want_told_, true))
    log::error("{}: the system gives no thread to write it; its lines wait", shared_->what);
}

void LogWriter::stop() {
  if (!started_) start();
  std::lock_guard lock(shared_->mutex);
  shared_->stopping = true;
  shared_->changed.notify_all();
}

void LogWriter::put(std::string_view lines, const void* stream) {
  if (lines.empty()) return;
  if (!started_) start();
  std::lock_guard lock(shared_->mutex);
  Shared& s = *shared_;
  if (s.pending.size() + lines.size() + 1 > kPendingMax) {
    s.overflowed += count_ends(lines);
    if (s.unfinished == stream) s.unfinished = &s;  // the line that was begun stays without its end
  } else {
    if (s.unfinished != nullptr && s.unfinished != stream) s.pending += '\n';
    s.pending += lines;
    s.unfinished = lines.back() == '\n' ? nullptr : stream;
  }
  s.changed.notify_all();
}

void LogWriter::open_again() {
  std::lock_guard lock(shared_->mutex);
  shared_->reopen = true;
  shared_->changed.notify_all();
}

void LogWriter::set_limits(LogFile::Limits limits) {
  std::lock_guard lock(shared_->mutex);
  shared_->limits = limits;
}

void LogWriter::work(Shared& s) {
  Episode episode;
  std::string batch;
  std::unique_lock lock(s.mutex);
  while (true) {
    s.changed.wait(lock, [&] { return s.stopping || s.reopen || !s.pending.empty(); });
    bool reopen = std::exchange(s.reopen, false);
    bool last = s.stopping;
    std::uint64_t overflowed = std::exchange(s.overflowed, 0);
    if (s.limits) s.file.set_limits(*std::exchange(s.limits, {}));
    batch.clear();
    batch.swap(s.pending);
    lock.unlock();

    if (reopen) {
      if (auto opened = s.file.open(); opened) {
        log::info("{} ({}) opened again", s.what, s.path);
      } else {
        log::error("{} cannot be opened again ({}); the old file is still written to", s.what, opened.error().text());
      }
    }
    LogFile::Appended result;
    if (!batch.empty()) result = s.file.append(batch);
    if (result.lost_lines > 0) {
      episode.lost(result.lost_lines, s.what, result.why.text());
    } else if (overflowed == 0 && !batch.empty()) {
      episode.written(s.what);
    }
    if (overflowed > 0) episode.lost(overflowed, s.what, s.path + " takes them more slowly than they come");

    lock.lock();
    if (last && s.pending.empty()) return;
  }
}

}  // namespace rota::supervisor
