// The connections of one loop in an epoll set of the loop's own: libuv's handle for one takes a quarter of a kilobyte
// and a system call to forget; an entry here takes nothing beside its Stream. Knows nothing of what is read or written.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "rota/base/unique_fd.h"

namespace rota::uv {

class Stream;

class ReadySet {
 public:
  ReadySet() = default;
  ReadySet(const ReadySet&) = delete;
  ReadySet& operator=(const ReadySet&) = delete;

  // Before anything else. `other`: a descriptor that wait() shall tell about beside the streams. 0 or an errno value.
  int open(int other);

  // EPOLLIN is wanted of a stream's descriptor. Returns 0 or an errno value: nothing else here can fail, so that a
  // connection that has been taken is never lost for want of an entry.
  int add(int fd, Stream& stream);
  // EPOLLIN, EPOLLOUT, both or none from now on.
  void want(int fd, Stream& stream, std::uint32_t events);
  // No event reaches the stream any more, though the kernel may have told of one already.
  void remove(int fd, Stream& stream);

  // Waits until something is ready, for at most so many milliseconds (negative: for ever). True: `other` is ready.
  bool wait(int milliseconds);
  // More may have been ready than wait() has told of.
  bool full() const { return found_ == kBatch; }
  // Calls the streams that wait() has found.
  void dispatch();
  // The stream being called; null when it has been forgotten meanwhile.
  const Stream* current() const { return current_; }

  std::size_t size() const { return size_; }
  int descriptor() const { return fd_.get(); }

 private:
  void forget(Stream& stream);

  static constexpr int kBatch = 256;  // so that who else is on the loop gets his turn
  UniqueFd fd_;
  std::array<epoll_event, kBatch> events_;
  int found_ = 0;
  int next_ = 0;  // of events_, to be called
  Stream* current_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace rota::uv
