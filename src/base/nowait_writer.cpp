#include "rota/base/nowait_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace rota {

namespace {

bool is_writable(int fd) {
  pollfd room{fd, POLLOUT, 0};
  int ready = 0;
  do {
    ready = ::poll(&room, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready == 1 && (room.revents & POLLOUT) != 0;
}

template <class Call>
NowaitWriter::Written result_of(Call call) {
  ssize_t n = 0;
  do {
    n = call();
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return {0, n < 0 ? errno : EIO};
  return {static_cast<std::size_t>(n), 0};
}

NowaitWriter::Written write_once(int fd, std::string_view bytes) {
  return result_of([&] { return ::write(fd, bytes.data(), bytes.size()); });
}

// From one pipe to another pages are moved, without waiting whatever the flags of the other say; up to PIPE_BUF bytes
// that were written to an empty pipe are one page.
NowaitWriter::Written splice_once(int in, int out, int to, std::string_view bytes) {
  if (auto put = write_once(in, bytes); put.error != 0) return {0, put.error};
  auto done = result_of([&] { return ::splice(out, nullptr, to, nullptr, bytes.size(), SPLICE_F_NONBLOCK); });
  std::array<char, PIPE_BUF> rest;
  for (std::size_t left = bytes.size() - done.bytes; left > 0;) {
    auto taken_back = result_of([&] { return ::read(out, rest.data(), left); });
    if (taken_back.bytes == 0) break;
    left -= taken_back.bytes;
  }
  return done;
}

}  // namespace

void NowaitWriter::find_way(const struct stat& about) {
  device_ = about.st_dev;
  inode_ = about.st_ino;
  own_file_.reset();
  if (S_ISSOCK(about.st_mode)) {
    way_ = Way::send;
    return;
  }
  if (!S_ISFIFO(about.st_mode) && !S_ISCHR(about.st_mode)) {
    way_ = Way::plain;
    return;
  }
  if (reopen_ == Reopen::if_possible) {
    std::string path = fmt::format("/proc/self/fd/{}", fd_);
    own_file_.reset(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  }
  way_ = own_file_ ? Way::own_file : S_ISFIFO(about.st_mode) ? Way::splice : Way::ask_first;
  if (way_ != Way::splice || pipe_in_) return;
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    way_ = Way::unknown;  // out of descriptors; tried again
    return;
  }
  pipe_out_.reset(ends[0]);
  pipe_in_.reset(ends[1]);
}

NowaitWriter::Written NowaitWriter::write_piece(std::string_view bytes) {
  switch (way_) {
    case Way::send:
      return result_of([&] { return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL); });
    case Way::own_file: return write_once(own_file_.get(), bytes);
    case Way::splice: return splice_once(pipe_in_.get(), pipe_out_.get(), fd_, bytes.substr(0, PIPE_BUF));
    case Way::ask_first:
      if (!is_writable(fd_)) return {0, EAGAIN};
      return write_once(fd_, bytes.substr(0, PIPE_BUF));
    case Way::plain: return write_once(fd_, bytes);
    case Way::unknown: break;
  }
  return {0, EAGAIN};
}

NowaitWriter::Written NowaitWriter::write(std::string_view bytes) {
  struct stat about {};
  if (::fstat(fd_, &about) != 0) return {0, errno};
  if (way_ == Way::unknown || about.st_dev != device_ || about.st_ino != inode_) find_way(about);
  Written all;
  while (all.bytes < bytes.size() && all.error == 0) {
    Written piece = write_piece(bytes.substr(all.bytes));
    all.bytes += piece.bytes;
    all.error = piece.error;
  }
  return all;
}

}  // namespace rota
