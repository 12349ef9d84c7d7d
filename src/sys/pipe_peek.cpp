#include "rota/sys/pipe_peek.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace rota::sys {

namespace {

constexpr int kTries = 16;

ssize_t read_some(int fd, std::span<char> into) {
  ssize_t n = 0;
  do {
    n = ::read(fd, into.data(), into.size());
  } while (n < 0 && errno == EINTR);
  return n;
}

// Of bytes that are known to be there: whatever interrupts a call, the next one gets them.
ssize_t read_there(int fd, std::span<char> into) {
  ssize_t n = -1;
  for (int i = 0; i < kTries && n < 0; i++) n = read_some(fd, into);
  return n;
}

}  // namespace

PipePeek::PipePeek() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  out_ = UniqueFd(fds[0]);
  in_ = UniqueFd(fds[1]);
}

ssize_t PipePeek::peek(int pipe, std::span<char> into, bool& taken) {
  taken = false;
  ssize_t copied = -1;
  if (in_) {
    do {
      copied = ::tee(pipe, in_.get(), into.size(), SPLICE_F_NONBLOCK);
    } while (copied < 0 && errno == EINTR);
    if (copied == 0 || (copied < 0 && errno == EAGAIN)) return copied;
  }
  if (copied < 0) {
    taken = true;
    return read_some(pipe, into);
  }
  for (auto left = into.first(static_cast<std::size_t>(copied)); !left.empty();) {
    ssize_t n = read_there(out_.get(), left);
    if (n <= 0) {
      // The next peek would find the rest of this one: from now on there are reads only.
      in_.reset();
      errno = EAGAIN;
      return -1;
    }
    left = left.subspan(static_cast<std::size_t>(n));
  }
  return copied;
}

void PipePeek::take(int pipe, std::size_t bytes, std::span<char> scratch) {
  while (bytes > 0) {
    ssize_t n = read_there(pipe, scratch.first(std::min(bytes, scratch.size())));
    if (n <= 0) return;
    bytes -= static_cast<std::size_t>(n);
  }
}

}  // namespace rota::sys
