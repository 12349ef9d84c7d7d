#include "rota/sys/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "unit/sys/temporary.h"

using namespace rota;
using namespace rota::sys;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat about {};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  return about.st_mode & 07777U;
}

}  // namespace

TEST_CASE("addresses are read and written") {
  CHECK(tcp_address("127.0.0.1", 80)->text() == "127.0.0.1:80");
  CHECK(tcp_address("::1", 443)->text() == "[::1]:443");
  CHECK(tcp_address("fe80::1%lo", 1)->port() == 1);
  for (const char* bad : {"", "localhost", "1.2.3", "[::1]", "::1%nosuchinterface"}) CHECK_FALSE(tcp_address(bad, 80));
  CHECK(unix_address("/run/a.sock")->text() == "unix:/run/a.sock");
  CHECK(unix_address("@name")->text() == "unix:@name");
  CHECK(unix_address(std::string(107, 'x'))->text() == "unix:" + std::string(107, 'x'));
  CHECK_FALSE(unix_address(std::string(108, 'x')));
  CHECK_FALSE(unix_address(""));
}

TEST_CASE("a TCP listener is bound as asked") {
  ListenOptions options;
  auto address = tcp_address("127.0.0.1", 0);
  Listen listener = listen_on(*address, options);
  REQUIRE(listener.error == 0);
  std::uint16_t port = local_address(listener.fd.get()).port();
  CHECK(port != 0);
  CHECK((::fcntl(listener.fd.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK(::fcntl(listener.fd.get(), F_GETFD) == FD_CLOEXEC);
  CHECK(accept_connection(listener.fd.get()).error == EAGAIN);

  address->set_port(port);
  Listen second = bind_only(*address, options);
  CHECK(second.error == EADDRINUSE);
  CHECK(std::string_view(second.step) == "bind");
  CHECK_FALSE(second.fd);

  Connect client = connect_tcp("127.0.0.1", port);
  REQUIRE((client.error == 0 || client.error == EINPROGRESS));
  pollfd wait{listener.fd.get(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 10000) == 1);
  Accept accepted = accept_connection(listener.fd.get());
  REQUIRE(accepted.error == 0);
  CHECK(accepted.peer.port() == local_address(client.fd.get()).port());
  CHECK(socket_error(client.fd.get()) == 0);
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ::getsockopt(accepted.fd.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
  CHECK(no_delay != 0);  // inherited
}

TEST_CASE("a Unix connect says refused, missing and full apart") {
  test::TemporaryDirectory directory;
  std::string path = directory.path("s");
  CHECK(connect_unix(path).error == ENOENT);
  Listen listener = listen_unix(path, 0600, 0);
  REQUIRE(listener.error == 0);
  Connect first = connect_unix(path);
  CHECK(first.error == 0);
  CHECK(connect_unix(path).error == EAGAIN);  // the backlog of one is taken
  auto peer = peer_credentials(first.fd.get());
  REQUIRE(peer);
  CHECK(peer->pid == ::getpid());
  listener.fd.reset();
  CHECK(connect_unix(path).error == ECONNREFUSED);
  CHECK(connect_unix(std::string(108, 'x')).error == ENAMETOOLONG);
}

TEST_CASE("a Unix listener has exactly its mode and replaces only what is stale") {
  test::TemporaryDirectory directory;
  std::string path = directory.path("s");
  mode_t before = ::umask(0);
  Listen listener = listen_unix(path, 0620);
  CHECK(::umask(before) == 0);  // put back
  REQUIRE(listener.error == 0);
  CHECK(mode_of(path) == 0620);
  CHECK(listen_unix(path, 0600).error == EADDRINUSE);  // somebody answers
  listener.fd.reset();
  CHECK(listen_unix(path, 0600).error == 0);
  CHECK(mode_of(path) == 0600);
  REQUIRE(::unlink(path.c_str()) == 0);
  UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK(listen_unix(path, 0600).error == EADDRINUSE);  // not a socket: not ours to remove
  CHECK(::access(path.c_str(), F_OK) == 0);
  CHECK(listen_unix(directory.path("no/such/directory"), 0600).error == ENOENT);
}
