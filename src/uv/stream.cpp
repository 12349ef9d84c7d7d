#include "rota/uv/stream.h"

#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "rota/base/check.h"
#include "rota/uv/loop.h"
#include "rota/uv/ready_set.h"

namespace rota::uv {

// The bytes follow it in the same piece of memory.
struct Stream::Cell {
  Cell* next = nullptr;
  std::size_t size = 0;
  std::size_t sent = 0;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
};

Stream::Queue::~Queue() {
  while (first != nullptr) std::free(std::exchange(first, first->next));
}

// The kernel has taken so many from the front.
void Stream::Queue::took(std::size_t count) {
  bytes -= count;
  while (count > 0) {
    const std::size_t part = std::min(count, first->size - first->sent);
    first->sent += part;
    count -= part;
    if (first->sent < first->size) return;
    memory -= first->size + sizeof(Cell);
    std::free(std::exchange(first, first->next));
  }
}

Result<void> Stream::open(Loop& loop, UniqueFd fd, StreamListener& listener) {
  ROTA_CHECK(!is_open());
  if (int error = loop.connections().add(fd.get(), *this); error != 0) {
    return os_error("cannot watch a connection", error);
  }
  told_ = EPOLLIN;
  loop_ = &loop;
  listener_ = &listener;
  fd_ = fd.release();
  accepted_ = 0;
  read_limit_ = kReadMax - 1;
  reading_ = true;
  failed_ = shut_down_wanted_ = awaits_room_ = false;
  return {};
}

void Stream::close() {
  if (!is_open()) return;
  reading_ = awaits_room_ = false;
  queue_.reset();
  loop_->connections().remove(fd_, *this);
  ::close(std::exchange(fd_, -1));
}

// --- what the kernel tells
// ------------------------------------------------------------------------------------------------------

std::uint32_t Stream::wanted() const {
  return (reading_ ? static_cast<std::uint32_t>(EPOLLIN) : 0) | (waits() ? static_cast<std::uint32_t>(EPOLLOUT) : 0);
}

void Stream::settle() {
  const std::uint32_t now = wanted();
  if (now == told_) return;
  loop_->connections().want(fd_, *this, now);
  told_ = static_cast<std::uint8_t>(now);
}

// An error or the end of both directions is told of unasked: whoever waits for anything finds it.
void Stream::on_ready(std::uint32_t events) {
  const ReadySet& set = loop_->connections();
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (reading_ && (broken || (events & EPOLLIN) != 0)) read_some();
  if (set.current() != this) return;
  if (waits() && (broken || (events & EPOLLOUT) != 0)) flush();
  if (set.current() != this) return;
  // What is not wanted any more and has just been told of would be told again at once.
  if ((events & ~wanted()) != 0) settle();
}

void Stream::read_some() {
  const ReadySet& set = loop_->connections();
  for (int i = 0; i < kReadsAtOnce; i++) {
    const std::span<char> scratch =
        loop_->scratch().first(std::size_t{read_limit_} + 1);  // a callback may change the limit
    const ssize_t n = ::recv(fd_, scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return;
      reading_ = false;
      return listener_->on_error(*this, errno);
    }
    if (n == 0) {
      reading_ = false;
      return listener_->on_end(*this);
    }
    const auto size = static_cast<std::size_t>(n);
    listener_->on_read(*this, std::string_view(scratch.data(), size));
    if (set.current() != this || !reading_ || size < scratch.size()) return;
  }
}

void Stream::start_reading() {
  if (reading_) return;
  reading_ = true;
  if ((told_ & EPOLLIN) == 0) settle();
}

// The kernel is told when it next tells us: often reading has begun again by then.
void Stream::stop_reading() { reading_ = false; }

void Stream::limit_reads(std::size_t bytes) {
  read_limit_ = static_cast<std::uint16_t>(std::clamp<std::size_t>(bytes, 1, kReadMax) - 1);
}

// --- writing
// -----------------------------------------------------------------------------------------------------------

namespace {

// send rather than write: no SIGPIPE, and a shorter way through the kernel. Negative: a negated errno value.
ssize_t send_now(int fd, std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  while (true) {
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace

int Stream::write(std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return write(std::span<const iovec>(&part, 1));
}

int Stream::write(std::span<const iovec> parts) {
  std::size_t sent = 0;
  if (queue_ == nullptr) {
    const ssize_t n = send_now(fd_, parts);
    if (n < 0) return static_cast<int>(-n);
    sent = static_cast<std::size_t>(n);
    accepted_ += static_cast<std::uint32_t>(sent);
  }
  return queue(parts, sent);
}

int Stream::queue(std::span<const iovec> parts, std::size_t skip) {
  std::size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  if (total == skip) return 0;
  const std::size_t rest = total - skip;
  void* memory = std::malloc(sizeof(Cell) + rest);
  if (memory == nullptr) return ENOMEM;
  Cell* cell = new (memory) Cell{nullptr, rest, 0};
  char* at = cell->bytes();
  for (const iovec& part : parts) {
    const std::size_t skipped = std::min(skip, part.iov_len);
    skip -= skipped;
    if (part.iov_len == skipped) continue;
    std::memcpy(at, static_cast<const char*>(part.iov_base) + skipped, part.iov_len - skipped);
    at += part.iov_len - skipped;
  }
  if (queue_ == nullptr) {
    queue_ = std::make_unique<Queue>();
    queue_->first = cell;
    if ((told_ & EPOLLOUT) == 0) settle();
  } else {
    queue_->last->next = cell;
  }
  queue_->last = cell;
  queue_->bytes += rest;
  queue_->memory += rest + sizeof(Cell);
  if (congested()) queue_->was_congested = true;
  return 0;
}

void Stream::await_room() {
  awaits_room_ = true;
  if ((told_ & EPOLLOUT) == 0) settle();
}

void Stream::flush() {
  if (std::exchange(awaits_room_, false) && queue_ == nullptr) return listener_->on_writable(*this);
  std::array<iovec, kPartsAtOnce> parts;
  std::size_t count = 0;
  for (Cell* cell = queue_->first; cell != nullptr && count < parts.size(); cell = cell->next) {
    parts[count++] = {cell->bytes() + cell->sent, cell->size - cell->sent};
  }
  const ssize_t n = send_now(fd_, {parts.data(), count});
  if (n < 0) {
    queue_.reset();
    if (std::exchange(failed_, true)) return;
    return listener_->on_write_error(*this, static_cast<int>(-n));
  }
  accepted_ += static_cast<std::uint32_t>(n);
  queue_->took(static_cast<std::size_t>(n));
  const bool relieved = queue_->was_congested && queue_->memory <= kLowMark;
  if (relieved) queue_->was_congested = false;
  const bool empty = queue_->first == nullptr;
  if (empty) {
    queue_.reset();
    if (shut_down_wanted_) ::shutdown(fd_, SHUT_WR);
  }
  if (relieved || empty) listener_->on_writable(*this);
}

std::size_t Stream::room() const {
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (::getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return kReadMax;
  const std::uint32_t used = std::max(memory[SK_MEMINFO_WMEM_QUEUED], memory[SK_MEMINFO_WMEM_ALLOC]);
  const std::uint32_t free = memory[SK_MEMINFO_SNDBUF] > used ? memory[SK_MEMINFO_SNDBUF] - used : 0;
  return free / 2;  // the kernel counts its own bookkeeping too
}

std::uint32_t Stream::progress() const {
  int in_kernel = 0;
  ::ioctl(fd_, SIOCOUTQ, &in_kernel);
  return accepted_ - static_cast<std::uint32_t>(in_kernel);
}

bool Stream::untaken() const {
  int in_kernel = 0;
  return ::ioctl(fd_, SIOCOUTQ, &in_kernel) == 0 && in_kernel > 0;
}

void Stream::shut_down_writing() {
  shut_down_wanted_ = true;
  // uv_shutdown would wait a turn even with an empty queue.
  if (queue_ == nullptr) ::shutdown(fd_, SHUT_WR);
}

void Stream::reset_on_close() {
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace rota::uv
