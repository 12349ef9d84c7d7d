// Wrong turns of the system, by chance: rota built with this file answers some system calls with a short count, EINTR,
// EAGAIN, EMFILE, ENOMEM or ECONNRESET, as tests/support/faults.h says. Its definitions stand before the C library's
// for the program and for libuv alike. Without settings it does nothing.
//
// ROTA_FAULTS names the settings. The proxy is given almost no environment, but TSAN_OPTIONS passes: a value that
// begins with a slash is the name then.
#include "faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

using namespace rota::faults;

const Settings kNone{};
const Settings* settings = nullptr;
std::uint32_t role = 0;

const Settings* map_settings() {
  const char* path = ::getenv("ROTA_FAULTS");
  if (path == nullptr) path = ::getenv("TSAN_OPTIONS");
  if (path == nullptr || path[0] != '/') return &kNone;
  auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
  if (fd < 0) return &kNone;
  void* mapped = ::mmap(nullptr, sizeof(Settings), PROT_READ, MAP_SHARED, fd, 0);
  ::syscall(SYS_close, fd);
  const auto* found = static_cast<const Settings*>(mapped);
  return mapped != MAP_FAILED && found->magic == kMagic ? found : &kNone;
}

// Before main(), in one thread. What runs before it runs without faults.
__attribute__((constructor)) void begin() {
  const char* name = program_invocation_name;
  if (std::strcmp(name, "rota: keeper") == 0) role = kKeeper;
  if (std::strcmp(name, "rota: supervisor") == 0) role = kSupervisor;
  if (std::strcmp(name, "rota: proxy") == 0) role = kProxy;
  settings = role == 0 ? &kNone : map_settings();
}

bool chance(std::uint32_t kind) {
  if (settings == nullptr || (settings->kinds & kind) == 0 || (settings->roles & role) == 0) return false;
  static thread_local std::uint32_t state = 0;
  if (state == 0) state = settings->seed * 2654435761U + static_cast<std::uint32_t>(::syscall(SYS_gettid)) + 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state % 1000 < settings->per_mille;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  int before = errno;
  if (::getsockopt(fd, SOL_SOCKET, name, &value, &size) != 0) value = -1;
  errno = before;
  return value;
}
bool is_stream(int fd) { return option(fd, SO_TYPE) == SOCK_STREAM; }
bool is_blocking(int fd, int flags) {
  return (flags & MSG_DONTWAIT) == 0 && (static_cast<int>(::syscall(SYS_fcntl, fd, F_GETFL)) & O_NONBLOCK) == 0;
}

template <class F>
F next(F, const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

int fails(int error) {
  errno = error;
  return -1;
}

// 0: go on. Else the errno of a transfer.
int transfer_fault(int fd, int flags, bool out) {
  if (chance(kInterrupted)) return EINTR;
  if (chance(kAgain) && is_stream(fd) && !is_blocking(fd, flags)) return EAGAIN;
  if (out && chance(kReset) && is_stream(fd)) return EPIPE;
  // On a Unix socket the kernel promises more by it than we could keep: that nothing was read (see broken()).
  if (!out && chance(kReset) && is_stream(fd) && option(fd, SO_DOMAIN) != AF_UNIX) return ECONNRESET;
  if (out && chance(kMemory) && is_stream(fd)) return ENOBUFS;
  return 0;
}

// The end of a connection to a worker instead of bytes.
bool broken(int fd) { return chance(kReset) && is_stream(fd) && option(fd, SO_DOMAIN) == AF_UNIX; }

bool is_short(int fd, std::size_t size) { return size > 1 && chance(kShort) && is_stream(fd); }

std::size_t total(const iovec* parts, std::size_t count) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; i++) sum += parts[i].iov_len;
  return sum;
}

// The first part alone, and half of it.
iovec half_of(const iovec* parts, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    if (parts[i].iov_len > 0) return {parts[i].iov_base, (parts[i].iov_len + 1) / 2};
  }
  return {nullptr, 0};
}

}  // namespace

extern "C" {

ssize_t read(int fd, void* data, size_t size) {
  static const auto real = next(&::read, "read");
  if (int error = transfer_fault(fd, 0, false)) return fails(error);
  if (broken(fd)) return 0;
  return real(fd, data, is_short(fd, size) ? 1 + size / 7 : size);
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  static const auto real = next(&::recv, "recv");
  if (int error = transfer_fault(fd, flags, false)) return fails(error);
  if (broken(fd)) return 0;
  return real(fd, data, is_short(fd, size) ? 1 + size / 7 : size, flags);
}

ssize_t readv(int fd, const iovec* parts, int count) {
  static const auto real = next(&::readv, "readv");
  if (int error = transfer_fault(fd, 0, false)) return fails(error);
  if (broken(fd)) return 0;
  if (!is_short(fd, total(parts, static_cast<std::size_t>(count)))) return real(fd, parts, count);
  iovec half = half_of(parts, static_cast<std::size_t>(count));
  return real(fd, &half, 1);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  static const auto real = next(&::recvmsg, "recvmsg");
  if (int error = transfer_fault(fd, flags, false)) return fails(error);
  if (broken(fd)) return 0;
  return real(fd, message, flags);
}

ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = next(&::write, "write");
  if (int error = transfer_fault(fd, 0, true)) return fails(error);
  return real(fd, data, is_short(fd, size) ? 1 + size / 7 : size);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  static const auto real = next(&::send, "send");
  if (int error = transfer_fault(fd, flags, true)) return fails(error);
  return real(fd, data, is_short(fd, size) ? 1 + size / 7 : size, flags);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = next(&::writev, "writev");
  if (int error = transfer_fault(fd, 0, true)) return fails(error);
  if (!is_short(fd, total(parts, static_cast<std::size_t>(count)))) return real(fd, parts, count);
  iovec half = half_of(parts, static_cast<std::size_t>(count));
  return real(fd, &half, 1);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto real = next(&::sendmsg, "sendmsg");
  if (int error = transfer_fault(fd, flags, true)) return fails(error);
  if (message->msg_controllen != 0 || !is_short(fd, total(message->msg_iov, message->msg_iovlen))) {
    return real(fd, message, flags);
  }
  iovec half = half_of(message->msg_iov, message->msg_iovlen);
  msghdr less = *message;
  less.msg_iov = &half;
  less.msg_iovlen = 1;
  return real(fd, &less, flags);
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  static const auto real = next(&::accept4, "accept4");
  if (chance(kInterrupted)) return fails(EINTR);
  if (chance(kAgain) && !is_blocking(fd, 0)) return fails(EAGAIN);
  if (chance(kDescriptors)) return fails(EMFILE);
  if (chance(kMemory)) return fails(ENOBUFS);
  return real(fd, address, size, flags);
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  static const auto real = next(&::connect, "connect");
  // A full backlog is a listener's: the proxy asks only workers that are known to have one.
  if (role == kProxy && chance(kAgain) && address->sa_family == AF_UNIX && is_stream(fd) && !is_blocking(fd, 0))
    return fails(EAGAIN);
  if (chance(kMemory)) return fails(ENOBUFS);
  return real(fd, address, size);
}

int socket(int family, int type, int protocol) {
  static const auto real = next(&::socket, "socket");
  if (chance(kDescriptors)) return fails(EMFILE);
  if (chance(kMemory)) return fails(ENOMEM);
  return real(family, type, protocol);
}

int socketpair(int family, int type, int protocol, int* fds) {
  static const auto real = next(&::socketpair, "socketpair");
  if (chance(kDescriptors)) return fails(EMFILE);
  return real(family, type, protocol, fds);
}

int pipe2(int* fds, int flags) {
  static const auto real = next(&::pipe2, "pipe2");
  if (chance(kDescriptors)) return fails(EMFILE);
  return real(fds, flags);
}

int open(const char* path, int flags, ...) {
  static const auto real = reinterpret_cast<int (*)(const char*, int, ...)>(::dlsym(RTLD_NEXT, "open"));
  va_list more;
  va_start(more, flags);
  int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, int) : 0;
  va_end(more);
  if (chance(kDescriptors)) return fails(EMFILE);
  return real(path, flags, mode);
}

int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
  static const auto real = next(&::epoll_wait, "epoll_wait");
  return chance(kInterrupted) ? fails(EINTR) : real(fd, events, count, timeout);
}

int epoll_pwait(int fd, epoll_event* events, int count, int timeout, const sigset_t* mask) {
  static const auto real = next(&::epoll_pwait, "epoll_pwait");
  return chance(kInterrupted) ? fails(EINTR) : real(fd, events, count, timeout, mask);
}

int poll(pollfd* set, nfds_t count, int timeout) {
  static const auto real = next(&::poll, "poll");
  return chance(kInterrupted) ? fails(EINTR) : real(set, count, timeout);
}

pid_t fork() {
  static const auto real = next(&::fork, "fork");
  return chance(kMemory) ? fails(EAGAIN) : real();
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  static const auto real = next(&::waitid, "waitid");
  return chance(kInterrupted) ? fails(EINTR) : real(type, id, info, options);
}

}  // extern "C"
