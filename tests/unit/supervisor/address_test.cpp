// Where clients connect, and where a worker listens that should listen elsewhere.
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <set>

#include "rota/supervisor/listeners.h"
#include "rota/supervisor/where_listens.h"
#include "rota/sys/socket.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

config::Address tcp(const std::string& host, std::uint16_t port) {
  config::Address address;
  address.host = host;
  address.port = port;
  return address;
}

PlannedListeners planned(const std::vector<config::Address>& addresses) {
  ResolvedNames names;
  std::vector<config::Listener> wanted;
  for (const config::Address& address : addresses) {
    names[address.host] = look_up(address.host);
    wanted.push_back({.address = address});
  }
  return plan_listeners(wanted, names);
}

}  // namespace

TEST_CASE("each configured address becomes the sockets it needs") {
  config::Address path;
  path.kind = config::Address::Kind::unix_path;
  path.path = "/run/web.sock";
  auto plan = planned({tcp("", 8080), tcp("127.0.0.1", 0), tcp("127.0.0.1", 0), tcp("::1", 9), path});
  REQUIRE_FALSE(plan.failure);
  REQUIRE(plan.listeners.size() == 5);
  REQUIRE(plan.listeners[0].kind == ipc::BindKind::tcp6);
  REQUIRE_FALSE(plan.listeners[0].v6only);
  REQUIRE(plan.listeners[1].kind == ipc::BindKind::tcp4);
  REQUIRE(plan.listeners[1].name != plan.listeners[2].name);
  REQUIRE(plan.listeners[3].kind == ipc::BindKind::tcp6);
  REQUIRE(plan.listeners[3].v6only);
  REQUIRE(plan.listeners[4].kind == ipc::BindKind::unix_path);
  REQUIRE(text_of(plan.listeners[3]) == "[::1]:9");

  auto unknown = planned({tcp("no-such-host.invalid", 80)});
  REQUIRE(unknown.failure);
  REQUIRE(unknown.failure->code == ExitCode::cannot_create);
}

TEST_CASE("an address has the same name on the shelf wherever it stands in the file") {
  auto names = [](const std::vector<config::Address>& addresses) {
    std::vector<std::string> found;
    for (const Listener& one : planned(addresses).listeners) found.push_back(one.name);
    return found;
  };
  config::Address path;
  path.kind = config::Address::Kind::unix_path;
  path.path = "/run/" + std::string(config::kSocketPathMax - 5, 'x');
  auto before = names({tcp("", 8080), tcp("127.0.0.1", 0), tcp("127.0.0.1", 0), tcp("::1", 9), path});
  auto after = names({path, tcp("::1", 9), tcp("10.0.0.1", 80), tcp("127.0.0.1", 0), tcp("", 8080)});
  REQUIRE(std::set<std::string>(before.begin(), before.end()).size() == 5);
  REQUIRE(after[0] == before[4]);
  REQUIRE(after[1] == before[3]);
  REQUIRE(after[3] == before[1]);
  REQUIRE(after[4] == before[0]);
  for (const std::string& name : before) REQUIRE(name.size() <= ipc::kShelfNameMax);
}

TEST_CASE("an address that two names stand for is listened on once") {
  auto plan = planned({tcp("127.0.0.1", 8080), tcp("localhost", 8080), tcp("127.0.0.1", 8081)});
  REQUIRE_FALSE(plan.failure);
  auto same = [](const Listener& one) { return one.host == "127.0.0.1" && one.port == 8080; };
  REQUIRE(std::count_if(plan.listeners.begin(), plan.listeners.end(), same) == 1);
  REQUIRE(plan.listeners.back().port == 8081);
}

TEST_CASE("one address cannot be listened on with the PROXY protocol and without") {
  auto both = [](bool first, bool second) {
    ResolvedNames names{{"127.0.0.1", {{"127.0.0.1"}, {}}}, {"shop.example", {{"127.0.0.1"}, {}}}};
    return plan_listeners({{tcp("127.0.0.1", 8080), first}, {tcp("shop.example", 8080), second}}, names);
  };
  REQUIRE_FALSE(both(true, true).failure);
  REQUIRE_FALSE(both(false, false).failure);
  auto plan = both(true, false);
  REQUIRE(plan.failure);
  REQUIRE(plan.failure->code == ExitCode::configuration);
  REQUIRE(plan.failure->text ==
          "cannot listen on 127.0.0.1:8080 and on shop.example:8080: they are one address (127.0.0.1:8080), with "
          "proxy_protocol and without; name it once, or the same with both");
  REQUIRE(both(false, true).failure);
}

TEST_CASE("every refusal to bind has its exit code and says what to do") {
  Listener web = planned({tcp("127.0.0.1", 80)}).listeners.at(0);
  Listener high = planned({tcp("127.0.0.1", 8080)}).listeners.at(0);
  REQUIRE(explain_bind(web, EADDRINUSE, "bind").code == ExitCode::cannot_create);
  StartFailure denied = explain_bind(web, EACCES, "bind");
  REQUIRE(denied.code == ExitCode::not_permitted);
  REQUIRE(denied.text.find("CAP_NET_BIND_SERVICE") != std::string::npos);
  REQUIRE(explain_bind(high, EACCES, "bind").text.find("CAP_NET_BIND_SERVICE") == std::string::npos);
  for (int error : {EADDRINUSE, EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, ENOENT, EMFILE}) {
    REQUIRE(explain_bind(web, error, "bind").text.starts_with("cannot listen on 127.0.0.1:80: "));
  }
}

TEST_CASE("a process that listens on a port instead of its socket is found out") {
  // A group of this process's own: that of a test run may hold anything. (A session's leader has one already.)
  ::setpgid(0, 0);
  auto address = sys::tcp_address("127.0.0.1", 0);
  auto listening = sys::listen_on(*address, {});
  REQUIRE(listening.error == 0);
  auto port = sys::local_address(listening.fd.get()).port();
  std::string text = explain_listening(::getpgrp(), "/s");
  REQUIRE(text.find("tcp port " + std::to_string(port)) != std::string::npos);

  listening.fd.reset();
  std::string own = "/tmp/rota-own-" + std::to_string(::getpid()) + ".sock";
  auto own_socket = sys::listen_unix(own, 0700);
  REQUIRE(own_socket.error == 0);
  REQUIRE(explain_listening(::getpgrp(), "/elsewhere").find(own) != std::string::npos);
  REQUIRE(explain_listening(::getpgrp(), own).find(own) == std::string::npos);
  ::unlink(own.c_str());

  std::string table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4321 1 0 100 0 0 10 "
      "0\n"
      "   1: 0100007F:0BB9 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4322 1 0 100 0 0 10 "
      "0\n";
  REQUIRE(listening_tcp(table, {4321, 4322}) == std::vector<std::string>{"tcp port 3000"});
  REQUIRE(listening_tcp(table, {1}).empty());
  std::string paths =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 777 /tmp/other.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 778 /tmp/connected.sock\n"
      "0000000000000000: 00000003 00000000 00010000 0001 01 779\n";
  REQUIRE(listening_unix(paths, {777, 778, 779}) == std::vector<std::string>{"unix:/tmp/other.sock"});
  for (std::size_t cut = 0; cut < table.size(); cut++) listening_tcp(table.substr(0, cut), {4321});
}
