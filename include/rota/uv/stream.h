// A connected TCP or Unix stream: reads into the loop's scratch buffer, writes at once and queues only what the kernel
// did not take. Knows bytes and back-pressure; nothing of HTTP.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"
#include "rota/uv/handles.h"

struct uv_stream_s;

namespace rota::uv {

template <>
void CloseLater<uv_stream_s>::operator()(uv_stream_s* raw) const noexcept;  // a uv_tcp_t or a uv_pipe_t

class Stream;
// The listener may destroy or retire the stream's owner inside any of these only by Loop::retire(); destroying the
// Stream itself inside its own callback is allowed (the callback is the last thing that touches it).
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
  // The queue, once above kHighMark, has fallen to kLowMark or less; or it became empty after anything was queued.
  virtual void on_writable(Stream& stream) = 0;

 protected:
  ~StreamListener() = default;
};

class Stream {
 public:
  enum class Kind : std::uint8_t { tcp, unix_socket };
  static constexpr std::size_t kHighMark = 128 * 1024;  // queued memory above which the producer must stop
  static constexpr std::size_t kLowMark = 32 * 1024;

  // Takes the connected fd and starts reading. Fails only when libuv refuses the fd.
  static Result<std::unique_ptr<Stream>> open(Loop& loop, Kind kind, UniqueFd fd, StreamListener& listener);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

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
  std::size_t queued() const { return queued_; }
  // By memory, so that many tiny writes count for what they cost.
  bool congested() const { return memory_ > kHighMark; }
  std::uint64_t accepted() const {
    return accepted_;
  }  // bytes in writes that the kernel has taken wholly, and at once in part

  // About how much the kernel would take at once; one system call.
  std::size_t room() const;

  // Grows while the peer takes bytes out of the kernel's hands: TCP acknowledgements, reads of a Unix peer. For
  // comparing with an earlier value only.
  std::int64_t progress() const;

  // The peer has left something of ours in the kernel: unread (Unix) or not acknowledged (TCP).
  bool untaken() const;

  // FIN after what is queued.
  void shut_down_writing();
  // The next close sends RST (TCP), so that a cut response cannot look complete.
  void reset_on_close();
  int fd() const { return fd_; }

 private:
  struct Queued;
  Stream(StreamListener& listener, int fd) : listener_(&listener), fd_(fd) {}
  friend struct StreamCallbacks;
  int queue(std::span<const iovec> parts, std::size_t skip);

  StreamListener* listener_;
  int fd_;
  std::uint32_t read_limit_ = kReadMax;
  bool reading_ = false;
  bool was_congested_ = false;
  bool failed_ = false;  // on_write_error was called
  bool shut_down_wanted_ = false;
  std::size_t queued_ = 0;
  std::size_t memory_ = 0;  // of what is queued
  std::uint64_t accepted_ = 0;
  std::uint64_t given_ = 0;  // accepted at once or queued, ever
  Cell<uv_stream_s> raw_;
};

}  // namespace rota::uv
