#include "rota/sys/append.h"

#include <sys/stat.h>
#include <unistd.h>

namespace rota::sys {

// The offset of a file opened for appending is where our own last write ended.
bool take_back_half_line(int fd, std::string_view written) {
  std::size_t half = written.size() - (written.rfind('\n') + 1);  // npos + 1 is 0
  if (half == 0) return true;
  struct stat about {};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return false;
  off_t end = ::lseek(fd, 0, SEEK_CUR);
  if (end != about.st_size || end < static_cast<off_t>(half)) return false;
  return ::ftruncate(fd, end - static_cast<off_t>(half)) == 0;
}

}  // namespace rota::sys
