#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "rota/ipc/proxy_protocol.h"
#include "rota/sys/proc.h"
#include "rota/sys/socket.h"
#include "unit/keeper/daemon.h"

using namespace rota;
using namespace rota::keeper::test;

namespace {

void send_recipe(Daemon& daemon, RoleEnd& supervisor) {
  supervisor.say_bulk(ipc::ProxyRecipe{}, ipc::encode_bulk(daemon.proxy_recipe()));
}

void shut_down(Daemon& daemon, RoleEnd& supervisor, int code = 0) {
  ipc::ShutDown message;
  message.exit_code = code;
  supervisor.say(message);
  supervisor.exit(0);
  CHECK(daemon.wait() == code);
}

std::uint16_t bind_any(RoleEnd& supervisor, const char* name, std::uint32_t sockets) {
  ipc::Bind request;
  request.name = name;
  request.host = "127.0.0.1";
  request.sockets = sockets;
  supervisor.say(request);
  auto bound = supervisor.expect<ipc::Bound>();
  CHECK(bound.error == 0);
  CHECK(bound.name == name);
  CHECK(bound.port != 0);
  return bound.port;
}

bool readable(int fd) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, 10000) == 1;
}

// The two ends are of one pair.
void check_connected(UniqueFd left, UniqueFd right) {
  ipc::Channel a(std::move(left));
  ipc::Channel b(std::move(right));
  ipc::ProxyPing ping;
  ping.number = 42;
  REQUIRE(a.send(ping));
  REQUIRE(readable(b.fd()));
  auto packet = b.receive();
  REQUIRE(packet);
  REQUIRE(*packet);
  ipc::ProxyPing got;
  CHECK(ipc::decode_message((**packet).bytes, got));
  CHECK(got.number == 42);
}

}  // namespace

TEST_CASE("a supervisor that dies is started again with the state and the shelf of the one before") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  first.say_bulk(ipc::SaveState{}, "what I know");
  int pipe_fds[2];
  REQUIRE(::pipe(pipe_fds) == 0);
  UniqueFd read_end(pipe_fds[0]), write_end(pipe_fds[1]);
  ipc::Shelve shelve;
  shelve.name = "lock";
  first.say(shelve, {write_end.get()});
  std::uint16_t port = bind_any(first, "web", 2);
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);

  RoleEnd second = daemon.supervisor();
  CHECK(second.epoch() == 2);
  CHECK(second.pid() != first.pid());
  second.say(ipc::List{});
  auto lock = second.expect<ipc::Shelved>();
  CHECK(lock.name == "lock");
  CHECK(!lock.for_proxy);
  CHECK(!lock.listener);
  REQUIRE(second.fd_count() == 1);
  UniqueFd kept = second.take_fd(0);
  CHECK(::write(kept.get(), "x", 1) == 1);
  CHECK(readable(read_end.get()));
  auto web = second.expect<ipc::Shelved>();
  CHECK(web.name == "web");
  CHECK(web.listener);
  CHECK(web.for_proxy);
  CHECK(web.port == port);
  CHECK(second.fd_count() == 2);
  second.expect<ipc::SavedState>();
  UniqueFd state = second.take_fd(0);
  auto bytes = ipc::read_bulk(state.get());
  REQUIRE(bytes);
  CHECK(*bytes == "what I know");
  second.expect<ipc::ListEnd>();

  // Bound again under the same name: what is there stays.
  ipc::Bind request;
  request.name = "web";
  request.host = "127.0.0.1";
  second.say(request);
  CHECK(second.expect<ipc::Bound>().port == port);
  ipc::Unshelve unshelve;
  unshelve.name = "web";
  second.say(unshelve);
  second.say(ipc::List{});
  CHECK(second.expect<ipc::Shelved>().name == "lock");
  second.expect<ipc::SavedState>();
  second.expect<ipc::ListEnd>();
  shut_down(daemon, second);
}

TEST_CASE("a proxy gets listeners, state and a pair; the next one gets the same") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  std::uint16_t port = bind_any(supervisor, "web", 2);
  supervisor.say_bulk(ipc::ProxyStateSaved{}, "the state");
  send_recipe(daemon, supervisor);
  std::optional<pid_t> last;
  for (std::uint64_t epoch = 1; epoch <= 2; epoch++) {
    RoleEnd proxy = daemon.role("proxy");
    CHECK(proxy.epoch() == epoch);
    if (epoch == 2) {
      auto exited = supervisor.expect<ipc::ProxyExited>();
      CHECK(exited.pid == *last);
      CHECK(exited.status == SIGKILL);
      CHECK(exited.delay_ms == 0);
    }
    auto started = supervisor.expect<ipc::ProxyStarted>();
    CHECK(started.pid == proxy.pid());
    CHECK(started.epoch == epoch);
    UniqueFd supervisor_end = supervisor.take_fd(0);

    auto web = proxy.expect<ipc::ProxyFd>();
    CHECK(web.name == "web");
    CHECK(web.listener);
    REQUIRE(proxy.fd_count() == 2);
    UniqueFd one = proxy.take_fd(0), other = proxy.take_fd(1);
    CHECK(sys::local_address(one.get()).port() == port);
    CHECK(sys::local_address(other.get()).port() == port);
    if (epoch == 2) {
      // Somebody who came while no proxy lived has not been refused.
      pollfd wait[2] = {{one.get(), POLLIN, 0}, {other.get(), POLLIN, 0}};
      CHECK(::poll(wait, 2, 10000) == 1);
    }
    proxy.expect<ipc::InitialState>();
    UniqueFd state = proxy.take_fd(0);
    CHECK(*ipc::read_bulk(state.get()) == "the state");
    proxy.expect<ipc::SupervisorChannel>();
    check_connected(std::move(supervisor_end), proxy.take_fd(0));

    // A later change reaches the proxy that runs.
    ipc::Shelve shelve;
    shelve.name = "log";
    shelve.for_proxy = true;
    supervisor.say(shelve, {2});
    auto log = proxy.expect<ipc::ProxyFd>();
    CHECK(log.name == "log");
    CHECK(!log.listener);
    ipc::Unshelve unshelve;
    unshelve.name = "log";
    supervisor.say(unshelve);
    CHECK(proxy.expect<ipc::ProxyFdGone>().name == "log");
    last = proxy.pid();
    if (epoch == 2) break;
    REQUIRE(::kill(proxy.pid(), SIGKILL) == 0);
    sys::Connect client = sys::connect_tcp("127.0.0.1", port);
    CHECK((client.error == 0 || client.error == EINPROGRESS));
    // Kept open until the process ends, so that it still waits for the next proxy.
    (void)client.fd.release();
  }
  shut_down(daemon, supervisor, 0);
}

TEST_CASE("a new supervisor and a proxy that runs get a fresh pair, and a silent proxy is killed on demand") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  send_recipe(daemon, first);
  RoleEnd proxy = daemon.role("proxy");
  first.expect<ipc::ProxyStarted>();
  proxy.expect<ipc::SupervisorChannel>();
  UniqueFd old_end = proxy.take_fd(0);
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  RoleEnd second = daemon.supervisor();
  auto started = second.expect<ipc::ProxyStarted>();
  CHECK(started.pid == proxy.pid());
  CHECK(started.epoch == 1);
  proxy.expect<ipc::SupervisorChannel>();
  check_connected(second.take_fd(0), proxy.take_fd(0));

  ipc::KillProxy stale;
  stale.epoch = 7;
  second.say(stale);
  ipc::KillProxy kill;
  kill.epoch = 1;
  second.say(kill);
  CHECK(second.expect<ipc::ProxyExited>().status == SIGKILL);
  RoleEnd next = daemon.role("proxy");
  CHECK(next.epoch() == 2);
  CHECK(second.expect<ipc::ProxyStarted>().epoch == 2);
  shut_down(daemon, second);
}

TEST_CASE("supervisor and proxy get their pair as soon as there are descriptors for it") {
  DaemonOptions options;
  options.environment = {"ROTA_TEST_NO_PAIR=3"};  // after those of the two roles
  Daemon daemon(options);
  RoleEnd supervisor = daemon.supervisor();
  send_recipe(daemon, supervisor);
  RoleEnd proxy = daemon.role("proxy");
  CHECK(supervisor.expect<ipc::ProxyStarted>().pid == proxy.pid());
  proxy.expect<ipc::SupervisorChannel>();
  check_connected(supervisor.take_fd(0), proxy.take_fd(0));
  CHECK(daemon.log().find("cannot connect") != std::string::npos);
  shut_down(daemon, supervisor);
}

TEST_CASE("a proxy is started while no supervisor lives") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  first.say_bulk(ipc::ProxyStateSaved{}, "s");
  send_recipe(daemon, first);
  first.expect<ipc::ProxyStarted>();
  RoleEnd proxy = daemon.role("proxy");
  proxy.expect<ipc::InitialState>();
  proxy.expect<ipc::SupervisorChannel>();
  // The sixth supervisor in a row waits for 800 ms: meanwhile there is none.
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  for (std::uint64_t epoch = 2; epoch <= 5; epoch++) {
    RoleEnd supervisor = daemon.supervisor();
    CHECK(supervisor.epoch() == epoch);
    proxy.expect<ipc::SupervisorChannel>();
    REQUIRE(::kill(supervisor.pid(), SIGKILL) == 0);
  }
  REQUIRE(::kill(proxy.pid(), SIGKILL) == 0);
  RoleEnd next = daemon.role("proxy");  // and not a supervisor
  next.expect<ipc::InitialState>();
  UniqueFd state = next.take_fd(0);
  CHECK(*ipc::read_bulk(state.get()) == "s");
  RoleEnd last = daemon.supervisor();
  CHECK(last.expect<ipc::ProxyStarted>().pid == next.pid());
  next.expect<ipc::SupervisorChannel>();
  shut_down(daemon, last);
}

TEST_CASE("role processes ignore what the terminal sends and die with TERM") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  std::string status = read_file("/proc/" + std::to_string(supervisor.pid()) + "/status");
  std::size_t at = status.find("SigIgn:\t");
  REQUIRE(at != std::string::npos);
  std::uint64_t ignored = std::stoull(status.substr(at + 8, 16), nullptr, 16);
  for (int number : {SIGINT, SIGQUIT, SIGHUP, SIGTSTP}) CHECK((ignored >> (number - 1) & 1U) == 1);
  CHECK((ignored >> (SIGTERM - 1) & 1U) == 0);
  CHECK(sys::read_proc_stat(supervisor.pid())->group == supervisor.pid());
  std::string command = read_file("/proc/" + std::to_string(supervisor.pid()) + "/cmdline");
  CHECK(command.starts_with(ipc::kSupervisorName));
  // The keeper's death takes everything with it; ~Daemon checks it.
  daemon.signal(SIGKILL);
  CHECK(daemon.wait() == -SIGKILL);
}

TEST_CASE("a supervisor that breaks the protocol is killed and started again") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  SECTION("an unknown type") { REQUIRE(first.channel().send_bytes("\x7f\x7f", {})); }
  SECTION("a message cut short") { REQUIRE(first.channel().send_bytes(std::string_view("\x02\x00\x01", 3), {})); }
  SECTION("what only the keeper says") { first.say(ipc::ListEnd{}); }
  SECTION("bulk that is not sealed") { first.say(ipc::SaveState{}, {2}); }
  SECTION("descriptors where none belong") { first.say(ipc::List{}, {2}); }
  SECTION("descriptors missing") { first.say(ipc::ProxyRecipe{}); }
  RoleEnd second = daemon.supervisor();
  CHECK(second.epoch() == 2);
  CHECK(eventually([&] { return !alive(first.pid()); }));
  shut_down(daemon, second);
}

TEST_CASE("a supervisor that cannot start ends the keeper with its exit code") {
  for (int code : {2, 73, 75, 77, 78}) {
    DaemonOptions options;
    options.exit_code = code;
    Daemon daemon(options);
    CHECK(daemon.wait() == code);
  }
}

TEST_CASE("once it has wanted a proxy no exit code of the supervisor is final") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  send_recipe(daemon, first);
  RoleEnd proxy = daemon.role("proxy");
  first.expect<ipc::ProxyStarted>();
  first.exit(78);
  RoleEnd second = daemon.supervisor();
  CHECK(second.epoch() == 2);
  shut_down(daemon, second);
}

TEST_CASE("a silent supervisor is killed and started again") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  first.be_silent();
  CHECK(first.answer_until([&] { return !alive(first.pid()); }, 30s));
  RoleEnd second = daemon.supervisor();
  CHECK(second.epoch() == 2);
  CHECK(daemon.log().find("silent") != std::string::npos);
  shut_down(daemon, second);
}

TEST_CASE("roles and workers are started from the binary that runs, whatever is at its place on disk") {
  TemporaryDirectory directory;
  DaemonOptions options;
  options.binary = directory.path("rota");
  std::filesystem::copy_file("/proc/self/exe", options.binary);
  Daemon daemon(options);
  RoleEnd first = daemon.supervisor();
  SECTION("nothing") { REQUIRE(std::filesystem::remove(options.binary)); }
  SECTION("another one") {
    std::filesystem::copy_file("/bin/false", directory.path("new"));
    std::filesystem::rename(directory.path("new"), options.binary);
  }
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  RoleEnd second = daemon.supervisor();
  send_recipe(daemon, second);
  RoleEnd proxy = daemon.role("proxy");
  second.expect<ipc::ProxyStarted>();
  ipc::Spawn request;
  request.id = 1;
  second.say_bulk(request, ipc::encode_bulk(shell("exit 7")));
  second.expect<ipc::Spawned>();
  CHECK(WEXITSTATUS(second.expect<ipc::Exited>().status) == 7);
  shut_down(daemon, second);
}

TEST_CASE("an unprivileged keeper needs to see no processes but its own") {
  if (::geteuid() != 0) SKIP("needs root");
  DaemonOptions options;
  options.uid = 65534;
  options.process_one = true;
  options.hide_processes = true;
  Daemon daemon(options);
  if (eventually([&] { return !alive(daemon.pid()); }, 300ms)) {
    daemon.wait();
    SKIP("no pid namespace may be made here");
  }
  RoleEnd first = daemon.supervisor();
  first.exit(1);
  RoleEnd second = daemon.supervisor();
  ipc::Spawn request;
  request.id = 1;
  second.say_bulk(request, ipc::encode_bulk(shell("sleep 1000 & [ -e /proc/self/stat ] || exit 1; exit 7")));
  second.expect<ipc::Spawned>();
  CHECK(WEXITSTATUS(second.expect<ipc::Exited>().status) == 7);
  shut_down(daemon, second);
}
