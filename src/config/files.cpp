#include "files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "rota/base/unique_fd.h"

namespace rota::config {

std::string read_file(const std::string& path, std::size_t most, std::string& text) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // O_NONBLOCK: a FIFO must not hang us
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return errno == ENOENT ? "there is no such file" : fmt::format("cannot be read: {}", std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) return "is a directory, not a file";
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  char chunk[16384];
  while (text.size() <= most) {
    ssize_t n = ::read(fd.get(), chunk, std::min(sizeof chunk, most + 1 - text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fmt::format("cannot be read: {}", std::strerror(errno));
    if (n == 0) break;
    text.append(chunk, static_cast<std::size_t>(n));
  }
  return "";
}

}  // namespace rota::config
