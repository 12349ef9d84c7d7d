#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rota/sys/proc.h"
#include "rota/sys/socket.h"
#include "unit/keeper/daemon.h"

using namespace rota;
using namespace rota::keeper::test;

namespace {

void shut_down(Daemon& daemon, RoleEnd& supervisor, int code = 0) {
  ipc::ShutDown message;
  message.exit_code = code;
  supervisor.say(message);
  supervisor.exit(0);
  CHECK(daemon.wait() == code);
}

void expect_signal(RoleEnd& supervisor, int number, std::uint32_t count) {
  auto signalled = supervisor.expect<ipc::Signalled>();
  CHECK(signalled.number == number);
  CHECK(signalled.count == count);
}

struct Datagrams {
  UniqueFd fd;
  explicit Datagrams(const std::string& path) : fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    auto address = sys::unix_address(path);
    REQUIRE(::bind(fd.get(), address->get(), address->size) == 0);
    timeval limit{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  std::string next() {
    char text[256];
    ssize_t got = ::recv(fd.get(), text, sizeof text, 0);
    REQUIRE(got > 0);
    return std::string(text, static_cast<std::size_t>(got));
  }
  // The next one that is no sign of life.
  std::string next_news() {
    std::string text = next();
    while (text == "WATCHDOG=1") text = next();
    return text;
  }
};

}  // namespace

TEST_CASE("signals are told to the supervisor, and those to stop again to the next one") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  daemon.signal(SIGHUP);
  expect_signal(first, SIGHUP, 0);
  daemon.signal(SIGUSR1);
  expect_signal(first, SIGUSR1, 0);
  daemon.signal(SIGTERM);
  expect_signal(first, SIGTERM, 1);
  daemon.signal(SIGINT);
  expect_signal(first, SIGINT, 2);
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  RoleEnd second = daemon.supervisor();
  expect_signal(second, SIGTERM, 2);
  expect_signal(second, SIGINT, 2);
  second.say(ipc::List{});
  second.expect<ipc::ListEnd>();  // HUP and USR1 were dealt with
  shut_down(daemon, second);
}

TEST_CASE("asked for the third time the keeper kills everything") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  ipc::Spawn request;
  request.id = 1;
  supervisor.say_bulk(request, ipc::encode_bulk(shell("trap '' TERM INT; setsid sleep 1000 & echo ready; sleep 1000")));
  auto spawned = supervisor.expect<ipc::Spawned>();
  pid_t worker = spawned.pid;
  UniqueFd out = supervisor.take_fd(0);
  read_pipe(out, "ready");
  daemon.signal(SIGTERM);
  expect_signal(supervisor, SIGTERM, 1);
  daemon.signal(SIGINT);
  expect_signal(supervisor, SIGINT, 2);
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 1);
  CHECK(!alive(worker));
  CHECK(!alive(supervisor.pid()));
}

TEST_CASE("asked to stop while no supervisor stays alive the keeper stops by itself") {
  DaemonOptions options;
  options.crash = true;
  Daemon daemon(options);
  REQUIRE(eventually([&] { return daemon.log().find("the supervisor") != std::string::npos; }));
  daemon.signal(SIGTERM);
  CHECK(daemon.wait() == 0);
}

TEST_CASE("supervisors that die over a request to stop do not count as one that lives, and one that lives decides") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  daemon.signal(SIGTERM);
  expect_signal(first, SIGTERM, 1);
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  for (int death = 2; death <= 5; death++) {
    RoleEnd next = daemon.supervisor();
    expect_signal(next, SIGTERM, 1);  // pings are answered meanwhile
    REQUIRE(::kill(next.pid(), SIGKILL) == 0);
  }
  RoleEnd last = daemon.supervisor();
  expect_signal(last, SIGTERM, 1);
  SECTION("it lives") { shut_down(daemon, last, 42); }
  SECTION("it dies, too") {
    REQUIRE(::kill(last.pid(), SIGKILL) == 0);
    CHECK(daemon.wait() == 0);
  }
}

TEST_CASE("systemd is told, and its variables are nobody else's") {
  TemporaryDirectory directory;
  std::string path = directory.path("notify");
  SECTION("a path") {}
  SECTION("an abstract name") { path = "@rota-test-" + std::to_string(::getpid()); }
  Datagrams manager(path);
  DaemonOptions options;
  options.environment = {"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=100000", "LISTEN_FDS=1", "LISTEN_PID=1"};
  Daemon daemon(options);
  RoleEnd supervisor = daemon.supervisor();
  CHECK(manager.next() == "WATCHDOG=1");
  CHECK(manager.next() == "WATCHDOG=1");
  ipc::Notify notify;
  notify.text = "READY=1\nSTATUS=fine";
  supervisor.say(notify);
  CHECK(manager.next_news() == "READY=1\nSTATUS=fine");
  std::string environment = read_file("/proc/" + std::to_string(supervisor.pid()) + "/environ");
  CHECK(environment.find("PATH=") != std::string::npos);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"}) {
    CHECK(environment.find(name) == std::string::npos);
  }
  shut_down(daemon, supervisor);
  CHECK(manager.next_news() == "STOPPING=1");
}

TEST_CASE("as process 1 it reaps what nobody else does") {
  if (::geteuid() != 0) SKIP("needs root");
  DaemonOptions options;
  options.process_one = true;
  Daemon daemon(options);
  if (eventually([&] { return !alive(daemon.pid()); }, 300ms)) {
    daemon.wait();
    SKIP("no pid namespace may be made here");
  }
  RoleEnd supervisor = daemon.supervisor();
  ipc::Spawn request;
  request.id = 1;
  std::string script =
      "i=0; while [ $i -lt 500 ]; do (true &); i=$((i+1)); done; while :; do n=0; for s in /proc/[0-9]*/stat;"
      " do read -r line < $s && case $line in *') Z '*) n=$((n+1));; esac; done 2>/dev/null;"
      " [ $n -eq 0 ] && break; done; cat /proc/1/cmdline | tr '\\0' '\\n' | head -1";
  supervisor.say_bulk(request, ipc::encode_bulk(shell(script)));
  auto spawned = supervisor.expect<ipc::Spawned>();
  CHECK(spawned.pid > 1);
  UniqueFd out = supervisor.take_fd(0);
  CHECK(read_pipe(out) == std::string(ipc::kKeeperName) + "\n");
  CHECK(supervisor.expect<ipc::Exited>().status == 0);
  shut_down(daemon, supervisor, 42);
}
