// A connected TCP or Unix socket: reads into the loop's scratch buffer, writes at once and queues only what the kernel
// did not take. Knows bytes and back-pressure; nothing of HTTP.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::uv {

class Loop;
class ReadySet;
class Stream;

// The listener may destroy or retire the stream's owner inside any of these only by Loop::retire(); closing the Stream
// itself inside its own callback is allowed (the callback is the last thing that touches it).
class StreamListener {
 public:
  // Bytes in the scratch buffer, gone after the return.
  virtual void on_read(Stream& stream, std::string_view bytes) = 0;
  // The peer will send no more. Reading has stopped.
  virtual void on_end(Stream& stream) = 0;
  // Read or write failed (an errno value). The stream is of no further use.
  virtual void on_error(Stream& stream, int error) = 0;
  // What was queued cannot be sent any more, nor anything later. What the peer had sent before may still be there to be
  // read: who cares goes on reading, for others it is on_error.
  virtual void on_write_error(Stream& stream, int error) { on_error(stream, error); }
  // The queue, once above kHighMark, has fallen to kLowMark or less; or it became empty after anything was queued; or
  // there is the room that was awaited.
  virtual void on_writable(Stream& stream) = 0;

 protected:
  ~StreamListener() = default;
};

class Stream {
 public:
  static constexpr std::size_t kHighMark = 128 * 1024;  // queued memory above which the producer must stop
  static constexpr std::size_t kLowMark = 32 * 1024;

  Stream() = default;
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Takes the connected fd and starts reading. Fails only when the kernel watches no more descriptors.
  Result<void> open(Loop& loop, UniqueFd fd, StreamListener& listener);
  bool is_open() const { return fd_ >= 0; }
  // No callback comes afterwards. What is queued is lost.
  void close();

  void set_listener(StreamListener& listener) { listener_ = &listener; }

  // Idempotent. Stopping costs system calls later: only for real back-pressure.
  void start_reading();
  void stop_reading();
  bool reading() const { return reading_; }
  // So much at most in one on_read() from now on, at least 1 byte; kReadMax until then.
  void limit_reads(std::size_t bytes);
  static constexpr std::size_t kReadMax = 65536;  // the loop's scratch buffer

  // Sends now what the kernel takes, copies the rest. Returns 0, or the errno of a connection that is gone (on_error is
  // not called for it).
  int write(std::span<const iovec> parts);
  int write(std::string_view bytes);
  std::size_t queued() const { return queue_ == nullptr ? 0 : queue_->bytes; }
  // By memory, so that many tiny writes count for what they cost.
  bool congested() const { return queue_ != nullptr && queue_->memory > kHighMark; }
  // Bytes that the kernel has taken, modulo 2^32: for differences.
  std::uint32_t accepted() const { return accepted_; }

  // About how much the kernel would take at once; one system call.
  std::size_t room() const;
  // Calls on_writable() when the kernel has a good deal of room, though nothing is queued.
  void await_room();
  // Something is queued, or room is awaited.
  bool waits() const { return queue_ != nullptr || awaits_room_; }

  // Grows while the peer takes bytes out of the kernel's hands: TCP acknowledgements, reads of a Unix peer. Modulo
  // 2^32, for differences too.
  std::uint32_t progress() const;

  // The peer has left something of ours in the kernel: unread (Unix) or not acknowledged (TCP).
  bool untaken() const;

  // FIN after what is queued.
  void shut_down_writing();
  // The next close sends RST (TCP), so that a cut response cannot look complete.
  void reset_on_close();
  int fd() const { return fd_; }

 private:
  friend class ReadySet;
  struct Cell;  // the rest of one write
  // Only while there is something in it.
  struct Queue {
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue();
    void took(std::size_t bytes);
    Cell* first = nullptr;
    Cell* last = nullptr;
    std::size_t bytes = 0;
    std::size_t memory = 0;
    bool was_congested = false;
  };
  static constexpr int kReadsAtOnce = 16;  // then others get their turn
  static constexpr std::size_t kPartsAtOnce = 16;

  void on_ready(std::uint32_t events);
  void read_some();
  void flush();
  int queue(std::span<const iovec> parts, std::size_t skip);
  std::uint32_t wanted() const;
  void settle();  // tells the kernel what is wanted

  StreamListener* listener_ = nullptr;
  Loop* loop_ = nullptr;
  std::unique_ptr<Queue> queue_;
  std::uint32_t accepted_ = 0;
  int fd_ = -1;
  std::uint16_t read_limit_ = kReadMax - 1;  // less one
  std::uint8_t told_ = 0;                    // what the kernel believes is wanted
  bool reading_ = false;
  bool failed_ = false;  // on_write_error was called
  bool shut_down_wanted_ = false;
  bool awaits_room_ = false;
};

}  // namespace rota::uv
