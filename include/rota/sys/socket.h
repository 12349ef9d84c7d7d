// Sockets as thin wrappers: make, connect, accept, and whole packets with fds. Every fd is close-on-exec and
// non-blocking. What is ordinary on a data path (EAGAIN, EINPROGRESS, ECONNREFUSED) is an errno value here, never an
// Error.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::sys {

// sockaddr_un.sun_path with its terminating 0: the longest path is 107 bytes.
inline constexpr std::size_t kUnixPathMax = 107;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;  // 0 for Unix
  void set_port(std::uint16_t port);
  std::string text() const;  // "1.2.3.4:80", "[::1]:80", "unix:/path", "unix:"
};
// Absolute, relative or "@abstract". invalid: empty, or longer than kUnixPathMax.
Result<SocketAddress> unix_address(std::string_view path);
// A numeric IPv4 or IPv6 address (with %scope), without brackets; nothing is looked up.
Result<SocketAddress> tcp_address(std::string_view host, std::uint16_t port);
// getsockname(2), getpeername(2); size 0 when the system refuses.
SocketAddress local_address(int fd);
SocketAddress peer_address(int fd);

// A socket whose connect(2) was called once. error 0: connected; EINPROGRESS: TCP, wait for writable, then
// socket_error(); EAGAIN: a Unix listener's backlog is full (busy, not dead: try again on a new socket); anything else:
// failed.
struct Connect {
  UniqueFd fd;
  int error = 0;
};
Connect connect_to(const SocketAddress& address);
Connect connect_unix(std::string_view path);
Connect connect_tcp(std::string_view host, std::uint16_t port);  // TCP_NODELAY set
// SO_ERROR, and clears it.
int socket_error(int fd);

// accept4(2). error EAGAIN: none waits; EMFILE, ENFILE: out of descriptors; ECONNABORTED and network errors: try the
// next.
struct Accept {
  UniqueFd fd;
  SocketAddress peer;
  int error = 0;
};
Accept accept_connection(int listener);

struct ListenOptions {
  int backlog = 4096;
  bool reuse_address = true;
  bool reuse_port = false;
  bool v6only = true;    // AF_INET6 only
  bool no_delay = true;  // TCP; accepted sockets inherit it
};
// A stream listener. On failure `step` ("socket", "bind", "listen") says where, `error` the errno.
struct Listen {
  UniqueFd fd;
  int error = 0;
  const char* step = "";
};
Listen listen_on(const SocketAddress& address, const ListenOptions& options);
// Binds (and does not listen), for finding out whether an address is free.
Listen bind_only(const SocketAddress& address, const ListenOptions& options);

// Listens on a path. A stale socket file (one that refuses connections) is removed first; any other file, or a socket
// that answers, is EADDRINUSE. The file has exactly `mode` from its first moment. Sets the process's umask for that
// moment: single thread.
Listen listen_unix(const std::string& path, std::uint32_t mode, int backlog = 4096);

// The most fds that send_packet() and receive_packet() carry (the kernel's own limit is 253).
inline constexpr std::size_t kPacketFdsMax = 64;

// A connected SOCK_SEQPACKET pair.
Result<std::pair<UniqueFd, UniqueFd>> packet_pair(int buffer_bytes);

// One packet with fds (the kernel duplicates them). would_block, closed, limit (fds in flight: ETOOMANYREFS), os.
Result<void> send_packet(int fd, std::string_view bytes, std::span<const int> fds);

// One packet into `buffer`; fds into `fds`, close-on-exec. truncated: bytes or fds were lost (those received are
// closed).
struct ReceivedPacket {
  std::size_t size = 0;
  std::size_t fd_count = 0;
  bool truncated = false;
};
// would_block: nothing there. closed: the peer is gone.
Result<ReceivedPacket> receive_packet(int fd, std::span<char> buffer, std::span<UniqueFd> fds);

// pid and uid of the process behind a connected Unix socket (SO_PEERCRED).
struct PeerCredentials {
  std::int32_t pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
Result<PeerCredentials> peer_credentials(int fd);

// One datagram to a Unix socket ("/path" or "@abstract"), as sd_notify(3) does.
Result<void> send_datagram(std::string_view path, std::string_view bytes);

// Fails only for a bad fd.
Result<void> set_nonblocking(int fd, bool on);
Result<void> set_close_on_exec(int fd, bool on);

}  // namespace rota::sys
