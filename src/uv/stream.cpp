#include "rota/uv/stream.h"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "rota/base/check.h"
#include "rota/uv/loop.h"

namespace rota::uv {

template <>
void CloseLater<uv_stream_s>::operator()(uv_stream_s* raw) const noexcept {
  raw->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(raw), [](uv_handle_t* handle) {
    if (handle->type == UV_TCP) {
      delete reinterpret_cast<uv_tcp_t*>(handle);
    } else {
      delete reinterpret_cast<uv_pipe_t*>(handle);
    }
  });
}

// One write the kernel did not take at once: the request and a copy of its bytes in one cell that frees itself.
struct Stream::Queued {
  uv_write_t request;
  std::size_t size;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

struct StreamCallbacks {
  static void allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
    auto* loop = static_cast<Loop*>(uv_loop_get_data(handle->loop));
    std::span<char> scratch = loop->scratch();
    auto* self = static_cast<Stream*>(handle->data);
    std::size_t limit = self == nullptr ? scratch.size() : self->read_limit_;
    *buffer = uv_buf_init(scratch.data(), static_cast<unsigned>(std::min(scratch.size(), limit)));
  }

  static void read(uv_stream_t* raw, ssize_t n, const uv_buf_t* buffer) noexcept {
    auto* self = static_cast<Stream*>(raw->data);
    if (self == nullptr || n == 0) return;
    if (n > 0) {
      self->listener_->on_read(*self, std::string_view(buffer->base, static_cast<std::size_t>(n)));
    } else {
      self->reading_ = false;
      uv_read_stop(raw);
      if (n == UV_EOF) {
        self->listener_->on_end(*self);
      } else {
        self->listener_->on_error(*self, static_cast<int>(-n));
      }
    }
  }

  static void written(uv_write_t* request, int status) noexcept {
    auto* queued = reinterpret_cast<Stream::Queued*>(request);
    uv_stream_t* raw = request->handle;
    std::size_t size = queued->size;
    std::free(queued);
    // A closed stream's writes end here too, with any status: only the road back tells whether an owner is left.
    auto* self = static_cast<Stream*>(raw->data);
    if (self == nullptr) return;
    self->queued_ -= size;
    self->memory_ -= size + sizeof(Stream::Queued);
    if (status != 0) {
      if (!self->failed_) {
        self->failed_ = true;
        self->listener_->on_write_error(*self, -status);
      }
      return;
    }
    self->accepted_ += size;
    bool relieved = self->was_congested_ && self->memory_ <= Stream::kLowMark;
    if (relieved) self->was_congested_ = false;
    if (self->queued_ == 0 && self->shut_down_wanted_) ::shutdown(self->fd_, SHUT_WR);
    if (relieved || self->queued_ == 0) self->listener_->on_writable(*self);
  }
};

Result<std::unique_ptr<Stream>> Stream::open(Loop& loop, Kind kind, UniqueFd fd, StreamListener& listener) {
  uv_loop_set_data(loop.raw(), &loop);
  // Not make_unique: the constructor is private.
  std::unique_ptr<Stream> stream(new Stream(listener, fd.get()));
  int error = 0;
  if (kind == Kind::tcp) {
    auto raw = std::make_unique<uv_tcp_t>();
    ROTA_CHECK(uv_tcp_init(loop.raw(), raw.get()) == 0);
    error = uv_tcp_open(raw.get(), fd.get());
    stream->raw_.reset(reinterpret_cast<uv_stream_t*>(raw.release()));
  } else {
    auto raw = std::make_unique<uv_pipe_t>();
    ROTA_CHECK(uv_pipe_init(loop.raw(), raw.get(), 0) == 0);
    error = uv_pipe_open(raw.get(), fd.get());
    stream->raw_.reset(reinterpret_cast<uv_stream_t*>(raw.release()));
  }
  if (error != 0) return os_error("cannot watch a connection", -error);
  // From here on the handle owns the descriptor.
  [[maybe_unused]] int owned = fd.release();
  stream->raw_->data = stream.get();
  stream->start_reading();
  return stream;
}

Stream::~Stream() = default;

void Stream::start_reading() {
  if (reading_) return;
  reading_ = true;
  ROTA_CHECK(uv_read_start(raw_.get(), StreamCallbacks::allocate, StreamCallbacks::read) == 0);
}

void Stream::stop_reading() {
  if (!reading_) return;
  reading_ = false;
  uv_read_stop(raw_.get());
}

void Stream::limit_reads(std::size_t bytes) {
  read_limit_ = static_cast<std::uint32_t>(std::clamp<std::size_t>(bytes, 1, kReadMax));
}

std::size_t Stream::room() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return kReadMax;
  const std::uint32_t used = std::max(memory[SK_MEMINFO_WMEM_QUEUED], memory[SK_MEMINFO_WMEM_ALLOC]);
  const std::uint32_t free = memory[SK_MEMINFO_SNDBUF] > used ? memory[SK_MEMINFO_SNDBUF] - used : 0;
  return free / 2;  // the kernel counts its own bookkeeping too
}

int Stream::write(std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return write(std::span<const iovec>(&part, 1));
}

int Stream::write(std::span<const iovec> parts) {
  std::size_t sent = 0;
  if (queued_ == 0) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    ssize_t n = 0;
    // send rather than write: no SIGPIPE, and a shorter way through the kernel.
    do {
      n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) return errno;
    if (n > 0) sent = static_cast<std::size_t>(n);
    accepted_ += sent;
    given_ += sent;
  }
  return queue(parts, sent);
}

int Stream::queue(std::span<const iovec> parts, std::size_t skip) {
  std::size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  if (total == skip) return 0;
  std::size_t rest = total - skip;
  void* memory = std::malloc(sizeof(Queued) + rest);
  if (memory == nullptr) return ENOMEM;
  auto* queued = new (memory) Queued{};
  queued->size = rest;
  char* at = queued->bytes();
  for (const iovec& part : parts) {
    std::size_t skipped = std::min(skip, part.iov_len);
    skip -= skipped;
    if (part.iov_len == skipped) continue;
    std::memcpy(at, static_cast<const char*>(part.iov_base) + skipped, part.iov_len - skipped);
    at += part.iov_len - skipped;
  }
  uv_buf_t buffer = uv_buf_init(queued->bytes(), static_cast<unsigned>(rest));
  int error = uv_write(&queued->request, raw_.get(), &buffer, 1, StreamCallbacks::written);
  if (error != 0) {
    std::free(queued);
    return -error;
  }
  queued_ += rest;
  given_ += rest;
  memory_ += rest + sizeof(Queued);
  if (congested()) was_congested_ = true;
  return 0;
}

std::int64_t Stream::progress() const {
  int in_kernel = 0;
  ::ioctl(fd_, SIOCOUTQ, &in_kernel);
  return static_cast<std::int64_t>(given_ - uv_stream_get_write_queue_size(raw_.get())) - in_kernel;
}

bool Stream::untaken() const {
  int in_kernel = 0;
  return ::ioctl(fd_, SIOCOUTQ, &in_kernel) == 0 && in_kernel > 0;
}

void Stream::shut_down_writing() {
  shut_down_wanted_ = true;
  // uv_shutdown would wait a turn even with an empty queue.
  if (queued_ == 0) ::shutdown(fd_, SHUT_WR);
}

void Stream::reset_on_close() {
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace rota::uv
