// Writes to a descriptor that is not ours alone, such as stderr, and never waits for its reader. O_NONBLOCK is not ours
// to set there, since it belongs to everybody who shares the open file; and asking poll(2) first is not enough, since
// another process may take the room between the two calls. So it depends on what the descriptor is:
//   socket           send(MSG_DONTWAIT)
//   pipe, terminal   an open file of our own on the same pipe, by /proc/self/fd, which may be non-blocking
//   pipe of another user's, which may not be opened: splice(SPLICE_F_NONBLOCK) from a pipe of our own
//   file             a plain write: a file takes what it is given as long as its disk answers
// Only a terminal that may not be opened is asked with poll(2) and then written to.
// Not thread-safe. Knows bytes, no lines.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string_view>

#include "rota/base/unique_fd.h"

namespace rota {

class NowaitWriter {
 public:
  enum class Reopen : std::uint8_t { if_possible, never };  // never: for tests, as if it were another user's

  // `fd` stays whose it is. It may come to mean another file at any time.
  explicit NowaitWriter(int fd, Reopen reopen = Reopen::if_possible) : fd_(fd), reopen_(reopen) {}

  struct Written {
    std::size_t bytes = 0;  // taken
    int error = 0;          // why not all: EAGAIN where there is no room
  };
  // A pipe takes all or nothing of up to PIPE_BUF bytes and does not mix them with others'.
  Written write(std::string_view bytes);

 private:
  // Found out when the descriptor means another file than before.
  enum class Way : std::uint8_t { unknown, send, own_file, splice, ask_first, plain };
  void find_way(const struct stat& about);
  Written write_piece(std::string_view bytes);

  int fd_;
  Reopen reopen_;
  Way way_ = Way::unknown;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  UniqueFd own_file_;
  UniqueFd pipe_in_, pipe_out_;  // for splice; empty between two writes
};

}  // namespace rota
