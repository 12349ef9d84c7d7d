#include "rota/keeper/shelf.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rota/sys/socket.h"
#include "unit/keeper/daemon.h"

using namespace rota;
using namespace rota::keeper;

namespace {

ipc::Bind tcp(const char* name, std::uint16_t port, std::uint32_t sockets = 1) {
  ipc::Bind request;
  request.name = name;
  request.host = "127.0.0.1";
  request.port = port;
  request.sockets = sockets;
  return request;
}

}  // namespace

TEST_CASE("with port 0 all sockets of a group share the port of the first") {
  Shelf shelf;
  auto result = shelf.bind(tcp("web", 0, 4));
  REQUIRE(result.error == 0);
  CHECK(result.made);
  REQUIRE(result.entry->fd_count == 4);
  CHECK(result.entry->port != 0);
  for (std::size_t i = 0; i < 4; i++) {
    CHECK(sys::local_address(result.entry->fds[i].get()).port() == result.entry->port);
    int on = 0;
    socklen_t size = sizeof on;
    ::getsockopt(result.entry->fds[i].get(), SOL_SOCKET, SO_ACCEPTCONN, &on, &size);
    CHECK(on == 1);
  }
  auto again = shelf.bind(tcp("web", 0, 4));
  CHECK_FALSE(again.made);
  CHECK(again.entry == result.entry);
}

TEST_CASE("an address in use is an error also when its holder shares it") {
  sys::ListenOptions options;
  SECTION("holder keeps it to itself") {}
  SECTION("holder would share it with us") { options.reuse_port = true; }
  auto address = sys::tcp_address("127.0.0.1", 0);
  sys::Listen foreign = sys::listen_on(*address, options);
  REQUIRE(foreign.error == 0);
  Shelf shelf;
  auto result = shelf.bind(tcp("web", sys::local_address(foreign.fd.get()).port(), 2));
  CHECK(result.entry == nullptr);
  CHECK(result.error == EADDRINUSE);
  CHECK(std::string_view(result.step) == "bind");
  CHECK(shelf.find("web") == nullptr);
}

TEST_CASE("a fixed port is bound as a group, and again at once after it was given up") {
  Shelf shelf;
  std::uint16_t port = shelf.bind(tcp("first", 0)).entry->port;
  bool for_proxy = false;
  REQUIRE(shelf.remove("first", for_proxy));
  CHECK(for_proxy);
  auto result = shelf.bind(tcp("second", port, 3));
  REQUIRE(result.error == 0);
  CHECK(result.entry->fd_count == 3);
  CHECK(result.entry->port == port);
}

TEST_CASE("a port of ours can be had at all addresses before it is given up at one") {
  Shelf shelf;
  std::uint16_t port = shelf.bind(tcp("one", 0, 2)).entry->port;
  ipc::Bind all = tcp("all", port, 2);
  all.host = "0.0.0.0";
  auto result = shelf.bind(all);
  REQUIRE(result.error == 0);
  CHECK(result.entry->port == port);
}

TEST_CASE("what cannot be an address is refused") {
  Shelf shelf;
  ipc::Bind request = tcp("web", 0);
  request.host = "not an address";
  CHECK(shelf.bind(request).error == EADDRNOTAVAIL);
  request.host = "::1";  // of the other kind
  CHECK(shelf.bind(request).error == EADDRNOTAVAIL);
  request = tcp("", 0);
  CHECK(shelf.bind(request).error != 0);
  request = tcp("web", 0, 65);
  CHECK(shelf.bind(request).error != 0);
  std::string longest(ipc::kShelfNameMax, 'n');
  CHECK(shelf.bind(tcp(longest.c_str(), 0)).error == 0);
  longest += 'n';
  CHECK(shelf.bind(tcp(longest.c_str(), 0)).error != 0);
}

TEST_CASE("a Unix listener's file goes with it, and only if it is its own") {
  test::TemporaryDirectory directory;
  std::string path = directory.path("s");
  ipc::Bind request;
  request.name = "control";
  request.kind = ipc::BindKind::unix_path;
  request.path = path;
  request.mode = 0660;
  {
    Shelf shelf;
    REQUIRE(shelf.bind(request).error == 0);
    struct stat about {};
    REQUIRE(::lstat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0660);
    bool for_proxy = false;
    REQUIRE(shelf.remove("control", for_proxy));
    CHECK(::access(path.c_str(), F_OK) != 0);
    REQUIRE(shelf.bind(request).error == 0);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
  {
    Shelf shelf;
    REQUIRE(shelf.bind(request).error == 0);
    REQUIRE(::unlink(path.c_str()) == 0);
    sys::Listen other = sys::listen_unix(path, 0600);
    REQUIRE(other.error == 0);
  }
  CHECK(::access(path.c_str(), F_OK) == 0);
}

TEST_CASE("the shelf has a limit and replaces what has the same name") {
  Shelf shelf;
  auto put = [&](const std::string& name) {
    UniqueFd fds[] = {UniqueFd(::dup(0)), UniqueFd(::dup(0))};
    return shelf.put(name, false, fds);
  };
  for (std::size_t i = 0; i < kShelfMax; i++) REQUIRE(put(std::to_string(i)) != nullptr);
  CHECK(put("one more") == nullptr);
  UniqueFd one[] = {UniqueFd(::dup(0))};
  const ShelfEntry* replaced = shelf.put("7", true, one);
  REQUIRE(replaced != nullptr);
  CHECK(replaced->fd_count == 1);
  CHECK(replaced->for_proxy);
  bool for_proxy = true;
  CHECK(shelf.remove("8", for_proxy));
  CHECK_FALSE(for_proxy);
  CHECK_FALSE(shelf.remove("8", for_proxy));
  CHECK(put("one more") != nullptr);
}
