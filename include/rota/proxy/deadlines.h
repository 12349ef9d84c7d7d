// All timeouts of one loop behind one coarse timer: a FIFO list per duration, because equal durations expire in the
// order they were armed. Arming, re-arming and disarming are O(1) and make no system call. Expiry is late by at most
// one tick. Knows nothing of what waits. Single-threaded.
#pragma once

#include <memory>
#include <vector>

#include "rota/base/intrusive_list.h"
#include "rota/base/units.h"

namespace rota::proxy {

class DeadlineNode : public ListLink {
 public:
  // The node is disarmed already; it may be armed again or destroyed here.
  virtual void on_deadline() = 0;
  bool armed() const { return linked(); }
  void disarm() { unlink(); }
  TimePoint due() const { return due_; }  // of an armed one

 protected:
  ~DeadlineNode() = default;

 private:
  friend class Deadlines;
  TimePoint due_{};
};

class Deadlines {
 public:
  // Restarts the node's wait when it has one.
  void arm(DeadlineNode& node, Duration after, TimePoint now);
  // For the few waits that share no duration: O(number of them).
  void arm_at(DeadlineNode& node, TimePoint due);
  // Fires what is due, at most kExpiredMax nodes; true: more are due.
  bool expire(TimePoint now);
  // Something waits.
  bool any() const;

  static constexpr int kExpiredMax = 256;
  static constexpr Duration kTick{100};

 private:
  struct Class {
    Duration duration;
    IntrusiveList<DeadlineNode, ListLink> waiting;
  };
  Class& class_of(Duration duration);
  static bool fire(IntrusiveList<DeadlineNode, ListLink>& list, TimePoint now, int& fired);

  IntrusiveList<DeadlineNode, ListLink> odd_;    // by due time
  std::vector<std::unique_ptr<Class>> classes_;  // as many as different durations are in use
};

}  // namespace rota::proxy
