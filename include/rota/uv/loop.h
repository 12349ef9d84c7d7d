// A loop of events and the retirement of what lives on it: connections in a ReadySet, everything else in a libuv loop
// inside it, which is run when it has something to do. <uv.h> is included in src/uv only.
// One Loop per thread; nothing here is thread-safe except Wakeup::wake().
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "rota/base/intrusive_list.h"
#include "rota/base/units.h"

struct uv_loop_s;

namespace rota::uv {

class ReadySet;

// Whatever may have to die while its own method is still on the stack derives from this and is handed to
// Loop::retire().
class Retirable {
 public:
  virtual ~Retirable() = default;
};

// Work to be done from the loop's top level, once, in this turn: what must not run inside the callback that found it.
class Deferred : public ListLink {
 public:
  virtual void run_deferred() = 0;

 protected:
  ~Deferred() = default;
};

class Loop {
 public:
  explicit Loop(std::string label);
  // Every handle's owner must be gone. Runs until libuv has closed them all; CHECKs that none is left and names those
  // that are.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop(), or until nothing is left that could call anybody
  void stop();  // from the loop's own thread
  // One turn that waits for nothing. True: the next one has work already, whatever its descriptors say.
  bool run_once();
  // Readable when a turn would find a descriptor ready: for poll(2).
  int descriptor() const;
  // Time at the start of this turn, from the same clock as std::chrono::steady_clock.
  TimePoint now() const;
  // Time as now() tells it stands still from here on, until the next call: for whoever plays hours within a moment.
  // Timers go on by the clock.
  void hold_time(TimePoint at) { held_time_ = at; }

  // One read buffer for everything on the loop: a reader consumes or copies before it returns.
  std::span<char> scratch();

  // Frees the object from the loop's top level, when no method of it can be on the stack. Its owner has made it silent
  // already.
  void retire(std::unique_ptr<Retirable> object);

  // Calls work.run_deferred() from the loop's top level. Already waiting: nothing changes. A destroyed Deferred is
  // forgotten. Whatever connections had become ready before this call has been seen by then.
  void defer(Deferred& work);

  uv_loop_s* raw() { return loop_.get(); }
  ReadySet& connections();

 private:
  struct Parts;
  void turn(int patience);  // in milliseconds; negative: without end
  void catch_up();
  bool alive() const;
  int patience() const;  // how long the next wait may be

  std::string label_;
  std::unique_ptr<uv_loop_s> loop_;
  std::unique_ptr<char[]> scratch_;
  std::unique_ptr<Parts> parts_;
  std::optional<TimePoint> held_time_;
};
inline constexpr std::size_t kScratchBytes = 65536;

}  // namespace rota::uv
