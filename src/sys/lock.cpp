#include "rota/sys/lock.h"

#include <fcntl.h>
#include <sys/file.h>

namespace rota::sys {

Result<UniqueFd> take_lock(int directory, const std::string& name) {
  UniqueFd fd(::openat(directory, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return os_error("cannot open the lock file '" + name + "'");
  int result = 0;
  do {
    result = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return fd;
  if (errno == EWOULDBLOCK) return Error{Errc::in_use, 0, "another process holds the lock '" + name + "'"};
  return os_error("cannot lock '" + name + "'");
}

}  // namespace rota::sys
