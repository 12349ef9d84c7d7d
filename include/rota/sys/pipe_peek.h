// Reads a pipe without emptying it, so that what a reader had not finished with is still there for the next one when it
// dies. For pipes with one reader.
#pragma once

#include <sys/types.h>

#include <span>

#include "rota/base/unique_fd.h"

namespace rota::sys {

class PipePeek {
 public:
  PipePeek();

  // Copies what is next in the pipe, at most into.size() and 64 KiB. 0: its end, negative: errno is set. Where peeking
  // is impossible (no pipe, or no descriptor was left for us) this is a read, and `taken` says so.
  ssize_t peek(int pipe, std::span<char> into, bool& taken);
  // Takes the `bytes` that were peeked at; `scratch` is overwritten.
  static void take(int pipe, std::size_t bytes, std::span<char> scratch);

 private:
  UniqueFd in_;  // of a pipe of our own, empty between calls
  UniqueFd out_;
};

}  // namespace rota::sys
