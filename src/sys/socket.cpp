#include "rota/sys/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "rota/base/check.h"

namespace rota::sys {

namespace {

constexpr int kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

template <class T>
T& as(SocketAddress& address) {
  return *reinterpret_cast<T*>(&address.storage);
}
template <class T>
const T& as(const SocketAddress& address) {
  return *reinterpret_cast<const T*>(&address.storage);
}

bool is_tcp(const SocketAddress& address) { return address.family() == AF_INET || address.family() == AF_INET6; }

// Options a listener cannot do without; a kernel that refuses one of them is reported as a failure of "socket".
int set_flag(int fd, int level, int option, bool on) {
  int value = on ? 1 : 0;
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

Listen failed(const char* step, int error) { return Listen{UniqueFd(), error, step}; }

int retry_connect(int fd, const SocketAddress& address) {
  int result = 0;
  do {
    result = ::connect(fd, address.get(), address.size);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

}  // namespace

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(as<sockaddr_in>(*this).sin_port);
  if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(*this).sin6_port);
  return 0;
}

void SocketAddress::set_port(std::uint16_t port) {
  if (family() == AF_INET) as<sockaddr_in>(*this).sin_port = htons(port);
  if (family() == AF_INET6) as<sockaddr_in6>(*this).sin6_port = htons(port);
}

std::string SocketAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &as<sockaddr_in>(*this).sin_addr, host.data(), host.size());
    return std::string(host.data()) + ":" + std::to_string(port());
  }
  if (family() == AF_INET6) {
    ::inet_ntop(AF_INET6, &as<sockaddr_in6>(*this).sin6_addr, host.data(), host.size());
    return "[" + std::string(host.data()) + "]:" + std::to_string(port());
  }
  const auto& address = as<sockaddr_un>(*this);
  std::size_t offset = offsetof(sockaddr_un, sun_path);
  if (family() != AF_UNIX || size <= offset) return "unix:";
  std::size_t length = size - offset;
  if (address.sun_path[0] == '\0') return "unix:@" + std::string(address.sun_path + 1, length - 1);
  return "unix:" + std::string(address.sun_path, ::strnlen(address.sun_path, length));
}

Result<SocketAddress> unix_address(std::string_view path) {
  if (path.empty()) return Error{Errc::invalid, 0, "the path of a Unix socket is empty"};
  if (path.size() > kUnixPathMax) {
    return Error{Errc::invalid, ENAMETOOLONG, "the path of a Unix socket is longer than 107 bytes"};
  }
  SocketAddress result;
  auto& address = as<sockaddr_un>(result);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (path.front() == '@') {
    address.sun_path[0] = '\0';  // an abstract name has exactly its length and no terminator
  } else {
    result.size++;
  }
  return result;
}

Result<SocketAddress> tcp_address(std::string_view host, std::uint16_t port) {
  SocketAddress result;
  std::string text(host);
  auto& v4 = as<sockaddr_in>(result);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    result.size = sizeof v4;
    result.set_port(port);
    return result;
  }
  auto& v6 = as<sockaddr_in6>(result);
  std::string scope;
  if (std::size_t percent = text.find('%'); percent != std::string::npos) {
    scope = text.substr(percent + 1);
    text.resize(percent);
  }
  if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1) {
    return Error{Errc::invalid, 0, "'" + std::string(host) + "' is not a numeric address"};
  }
  v6.sin6_family = AF_INET6;
  if (!scope.empty()) {
    v6.sin6_scope_id = ::if_nametoindex(scope.c_str());
    if (v6.sin6_scope_id == 0) return os_error("no network interface '" + scope + "'");
  }
  result.size = sizeof v6;
  result.set_port(port);
  return result;
}

SocketAddress local_address(int fd) {
  SocketAddress result;
  result.size = sizeof result.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage), &result.size) != 0) result.size = 0;
  return result;
}

SocketAddress peer_address(int fd) {
  SocketAddress result;
  result.size = sizeof result.storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&result.storage), &result.size) != 0) result.size = 0;
  return result;
}

Connect connect_to(const SocketAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | kSocketFlags, 0));
  if (!fd) return Connect{UniqueFd(), errno};
  if (is_tcp(address)) set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY, true);
  int error = retry_connect(fd.get(), address);
  return Connect{std::move(fd), error};
}

Connect connect_unix(std::string_view path) {
  Result<SocketAddress> address = unix_address(path);
  if (!address) return Connect{UniqueFd(), ENAMETOOLONG};
  return connect_to(*address);
}

Connect connect_tcp(std::string_view host, std::uint16_t port) {
  Result<SocketAddress> address = tcp_address(host, port);
  if (!address) return Connect{UniqueFd(), EINVAL};
  return connect_to(*address);
}

int socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

Accept accept_connection(int listener) {
  Accept result;
  int fd = -1;
  do {
    result.peer.size = sizeof result.peer.storage;
    fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&result.peer.storage), &result.peer.size, kSocketFlags);
  } while (fd < 0 && errno == EINTR);
  result.error = fd < 0 ? errno : 0;
  result.fd.reset(fd);
  return result;
}

Listen bind_only(const SocketAddress& address, const ListenOptions& options) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | kSocketFlags, 0));
  if (!fd) return failed("socket", errno);
  int error = 0;
  if (is_tcp(address)) {
    if (options.reuse_address) error = set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR, true);
    if (error == 0 && options.reuse_port) error = set_flag(fd.get(), SOL_SOCKET, SO_REUSEPORT, true);
    if (error == 0 && options.no_delay) error = set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY, true);
    if (error == 0 && address.family() == AF_INET6)
      error = set_flag(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.v6only);
  }
  if (error != 0) return failed("socket", error);
  if (::bind(fd.get(), address.get(), address.size) != 0) return failed("bind", errno);
  return Listen{std::move(fd), 0, ""};
}

Listen listen_on(const SocketAddress& address, const ListenOptions& options) {
  Listen result = bind_only(address, options);
  if (result.error != 0) return result;
  if (::listen(result.fd.get(), options.backlog) != 0) return failed("listen", errno);
  return result;
}

Listen listen_unix(const std::string& path, std::uint32_t mode, int backlog) {
  Result<SocketAddress> address = unix_address(path);
  if (!address) return failed("bind", ENAMETOOLONG);
  ListenOptions options;
  options.backlog = backlog;
  // The mode is set by the umask before the file exists: a chmod afterwards would leave a moment in which it is wrong.
  auto attempt = [&] {
    mode_t before = ::umask(static_cast<mode_t>(0777U & ~mode));
    Listen result = listen_on(*address, options);
    ::umask(before);
    return result;
  };
  Listen result = attempt();
  if (result.error != EADDRINUSE || path.front() == '@') return result;
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return result;
  if (connect_to(*address).error != ECONNREFUSED) return result;
  if (::unlink(path.c_str()) != 0) return failed("bind", errno);
  return attempt();
}

Result<std::pair<UniqueFd, UniqueFd>> packet_pair(int buffer_bytes) {
  int fds[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | kSocketFlags, 0, fds) != 0) return os_error("cannot make a socket pair");
  // The kernel doubles the value and caps it at net.core.wmem_max, which FORCE passes by for those who may.
  for (int fd : fds) {
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0) {
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    }
  }
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<void> send_packet(int fd, std::string_view bytes, std::span<const int> fds) {
  ROTA_CHECK(fds.size() <= kPacketFdsMax);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kPacketFdsMax)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {};
  if (errno == ETOOMANYREFS) return Error{Errc::limit, errno, "cannot send a packet"};
  return os_error("cannot send a packet");
}

Result<ReceivedPacket> receive_packet(int fd, std::span<char> buffer, std::span<UniqueFd> fds) {
  ROTA_CHECK(fds.size() <= kPacketFdsMax);
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kPacketFdsMax)> control{};
  msghdr message{};
  ssize_t got = 0;
  do {
    message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = fds.empty() ? 0 : CMSG_SPACE(fds.size() * sizeof(int));
    got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // ECONNRESET says that the peer died with packets of ours unread; it is told once, before the peer's own last
    // packets.
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0) return os_error("cannot receive a packet");

  ReceivedPacket result;
  result.size = static_cast<std::size_t>(got);
  result.truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof received);
      UniqueFd owned(received);
      // Alignment may leave room for one fd more than was asked for.
      if (result.truncated || result.fd_count >= fds.size()) {
        result.truncated = true;
      } else {
        fds[result.fd_count++] = std::move(owned);
      }
    }
  }
  if (result.truncated) {
    for (std::size_t i = 0; i < result.fd_count; i++) fds[i].reset();
    result.fd_count = 0;
  }
  if (got == 0 && !result.truncated && result.fd_count == 0) return Error{Errc::closed, 0, "the peer is gone"};
  return result;
}

Result<PeerCredentials> peer_credentials(int fd) {
  ucred found{};
  socklen_t size = sizeof found;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0)
    return os_error("cannot tell who is at the other end");
  return PeerCredentials{found.pid, found.uid, found.gid};
}

Result<void> send_datagram(std::string_view path, std::string_view bytes) {
  Result<SocketAddress> address = unix_address(path);
  if (!address) return address.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | kSocketFlags, 0));
  if (!fd) return os_error("cannot make a socket");
  ssize_t sent = ::sendto(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL, address->get(), address->size);
  if (sent < 0) return os_error("cannot send to " + address->text());
  return {};
}

Result<void> set_nonblocking(int fd, bool on) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return os_error("cannot read the flags of a descriptor");
  int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  if (wanted != flags && ::fcntl(fd, F_SETFL, wanted) != 0) return os_error("cannot set the flags of a descriptor");
  return {};
}

Result<void> set_close_on_exec(int fd, bool on) {
  if (::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) != 0) return os_error("cannot set the flags of a descriptor");
  return {};
}

}  // namespace rota::sys
