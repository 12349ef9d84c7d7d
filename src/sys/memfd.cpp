#include "rota/sys/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rota::sys {

namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

int create(const char* name) {
  int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  // vm.memfd_noexec=2 (kernel 6.3 on) refuses memfds that could be executed; MFD_NOEXEC_SEAL is unknown to older
  // headers.
  if (fd < 0 && errno == EACCES) fd = ::memfd_create(name, MFD_CLOEXEC | 0x0008U);
  return fd;
}

}  // namespace

Result<UniqueFd> make_sealed_memfd(const std::string& name, std::string_view bytes) {
  UniqueFd fd(create(name.c_str()));
  if (!fd) return os_error("cannot make a memfd");
  while (!bytes.empty()) {
    ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return os_error("cannot fill a memfd");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return os_error("cannot seal a memfd");
  return fd;
}

Result<std::size_t> check_sealed_memfd(int fd, std::size_t max) {
  int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return Error{Errc::protocol, 0, "a descriptor is not a sealed memfd"};
  struct stat about {};
  if (::fstat(fd, &about) != 0) return os_error("cannot tell the size of a memfd");
  auto size = static_cast<std::size_t>(about.st_size);
  if (size > max) return Error{Errc::limit, 0, "a memfd is larger than " + std::to_string(max) + " bytes"};
  return size;
}

Result<std::string> read_sealed_memfd(int fd, std::size_t max) {
  Result<std::size_t> size = check_sealed_memfd(fd, max);
  if (!size) return size.error();
  std::string bytes(*size, '\0');
  for (std::size_t at = 0; at < bytes.size();) {
    ssize_t got = ::pread(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return os_error("cannot read a memfd");
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace rota::sys
