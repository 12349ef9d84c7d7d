#include "rota/uv/ready_set.h"

#include <cerrno>

#include "rota/base/check.h"
#include "rota/uv/stream.h"

namespace rota::uv {

int ReadySet::open(int other) {
  fd_.reset(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  return fd_ && ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, other, &event) == 0 ? 0 : errno;
}

int ReadySet::add(int fd, Stream& stream) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &stream;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno;
  size_++;
  return 0;
}

// Errors and the end of both directions are told of unasked, which without EPOLLET would be again and again.
void ReadySet::want(int fd, Stream& stream, std::uint32_t events) {
  epoll_event event{};
  event.events = events != 0 ? events : static_cast<std::uint32_t>(EPOLLET);
  event.data.ptr = &stream;
  ROTA_CHECK(::epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void ReadySet::remove(int fd, Stream& stream) {
  ROTA_CHECK(::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  size_--;
  forget(stream);
}

void ReadySet::forget(Stream& stream) {
  if (current_ == &stream) current_ = nullptr;
  for (int i = next_; i < found_; i++) {
    epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &stream) event.data.ptr = nullptr;
  }
}

bool ReadySet::wait(int milliseconds) {
  found_ = ::epoll_wait(fd_.get(), events_.data(), kBatch, milliseconds);
  next_ = 0;
  if (found_ < 0) {
    ROTA_CHECK(errno == EINTR);
    found_ = 0;
  }
  bool other = false;
  for (int i = 0; i < found_; i++) other = other || events_[static_cast<std::size_t>(i)].data.ptr == nullptr;
  return other;
}

void ReadySet::dispatch() {
  while (next_ < found_) {
    const epoll_event& event = events_[static_cast<std::size_t>(next_++)];
    current_ = static_cast<Stream*>(event.data.ptr);
    if (current_ != nullptr) current_->on_ready(event.events);
  }
  current_ = nullptr;
}

}  // namespace rota::uv
