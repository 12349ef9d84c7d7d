// Small libuv handles as RAII: after a destructor returns, no callback of that object runs. Owners are neither copied
// nor moved. The raw struct lives in a heap cell of its own and outlives its owner until libuv has closed it.
#pragma once

#include <memory>

#include "rota/base/units.h"

struct uv_timer_s;
struct uv_poll_s;
struct uv_async_s;

namespace rota::uv {

class Loop;

template <class Raw>
struct CloseLater {
  void operator()(Raw* raw) const noexcept;
};
template <class Raw>
using Cell = std::unique_ptr<Raw, CloseLater<Raw>>;

class Timer;
class TimerListener {
 public:
  virtual void on_timer(Timer& timer) = 0;

 protected:
  ~TimerListener() = default;
};
// For few long-lived timers; connections use Deadlines instead.
class Timer {
 public:
  Timer(Loop& loop, TimerListener& listener);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void start(Duration after, Duration repeat = Duration::zero());  // restarts when running
  void stop();
  bool active() const;

 private:
  TimerListener& listener_;
  Cell<uv_timer_s> raw_;
};

class FdWatcher;
class FdListener {
 public:
  // Readable, or in error (the next read tells). Level-triggered: read until it would block, or be called again.
  virtual void on_readable(FdWatcher& watcher) = 0;

 protected:
  ~FdListener() = default;
};
// Watches an fd that somebody else owns and keeps open longer than this. For long-lived fds only (channels, listeners,
// pipes).
class FdWatcher {
 public:
  FdWatcher(Loop& loop, int fd, FdListener& listener);
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;
  int fd() const { return fd_; }
  void start();
  void stop();

 private:
  FdListener& listener_;
  int fd_;
  Cell<uv_poll_s> raw_;
};

class Wakeup;
class WakeupListener {
 public:
  virtual void on_wakeup(Wakeup& wakeup) = 0;

 protected:
  ~WakeupListener() = default;
};
// Calls on_wakeup on the loop's thread at least once after each wake().
class Wakeup {
 public:
  Wakeup(Loop& loop, WakeupListener& listener);
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  void wake();  // any thread

 private:
  WakeupListener& listener_;
  Cell<uv_async_s> raw_;
};

}  // namespace rota::uv
