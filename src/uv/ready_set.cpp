#include "rota/uv/ready_set.h"

#include <cerrno>

#include "rota/base/check.h"
#include "rota/uv/stream.h"

namespace rota::uv {

ReadySet::ReadySet(int other) : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  ROTA_CHECK(fd_ && ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, other, &event) == 0);
}

int ReadySet::want(int fd, Stream& stream, std::uint32_t before, std::uint32_t now) {
  if (before == now) return 0;
  epoll_event event{};
  event.events = now;
  event.data.ptr = &stream;
  const int change = before == 0 ? EPOLL_CTL_ADD : now == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (::epoll_ctl(fd_.get(), change, fd, &event) != 0) {
    ROTA_CHECK(change == EPOLL_CTL_ADD);
    return errno;
  }
  if (before == 0) size_++;
  if (now == 0) size_--;
  return 0;
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
