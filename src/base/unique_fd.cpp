#include "rota/base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace rota {

void UniqueFd::reset(int fd) noexcept {
  // Linux releases the descriptor even when close(2) reports EINTR: a retry could close somebody else's.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

UniqueFd UniqueFd::duplicate() const {
  if (fd_ < 0) return UniqueFd();
  return UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 3));
}

}  // namespace rota
