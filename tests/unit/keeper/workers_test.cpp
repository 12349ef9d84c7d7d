#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "rota/sys/proc.h"
#include "unit/keeper/daemon.h"

using namespace rota;
using namespace rota::keeper::test;

namespace {

struct Worker {
  pid_t pid = 0;
  UniqueFd out, err;
};

Worker spawn(RoleEnd& supervisor, std::uint64_t id, const ipc::SpawnSpec& spec) {
  ipc::Spawn request;
  request.id = id;
  supervisor.say_bulk(request, ipc::encode_bulk(spec));
  auto spawned = supervisor.expect<ipc::Spawned>();
  CHECK(spawned.id == id);
  REQUIRE(supervisor.fd_count() == 2);
  return Worker{spawned.pid, supervisor.take_fd(0), supervisor.take_fd(1)};
}

void acknowledge(RoleEnd& supervisor, std::uint64_t id) {
  ipc::AcknowledgeExit message;
  message.id = id;
  supervisor.say(message);
}

void send_signal(RoleEnd& supervisor, std::uint64_t id, int number, bool group = false) {
  ipc::Signal message;
  message.id = id;
  message.number = number;
  message.group = group;
  supervisor.say(message);
}

// How many processes the keeper lists.
std::size_t listed(RoleEnd& supervisor) {
  supervisor.say(ipc::List{});
  std::size_t count = 0;
  while (supervisor.peek() != static_cast<std::uint16_t>(ipc::KeeperMessage::list_end)) {
    supervisor.expect<ipc::Listed>();
    count++;
  }
  supervisor.expect<ipc::ListEnd>();
  return count;
}

// Asks for the end and answers pings until it has come.
void shut_down(Daemon& daemon, RoleEnd& supervisor, int code = 0) {
  ipc::ShutDown message;
  message.exit_code = code;
  supervisor.say(message);
  supervisor.exit(0);
  CHECK(daemon.wait() == code);
}

ipc::ExecFailed expect_failure(RoleEnd& supervisor, std::uint64_t id, const ipc::SpawnSpec& spec, int exit_code) {
  Worker worker = spawn(supervisor, id, spec);
  auto failed = supervisor.expect<ipc::ExecFailed>();
  CHECK(failed.id == id);
  static std::string step, detail;  // the views die with the next message
  step = failed.step;
  detail = failed.detail;
  failed.step = step;
  failed.detail = detail;
  auto exited = supervisor.expect<ipc::Exited>();
  CHECK(exited.id == id);
  CHECK(WIFEXITED(exited.status));
  CHECK(WEXITSTATUS(exited.status) == exit_code);
  acknowledge(supervisor, id);
  return failed;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("a worker's output and exit code arrive, and its record goes once acknowledged") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  CHECK(supervisor.epoch() == 1);
  Worker worker = spawn(supervisor, 7, shell("echo hello; echo trouble >&2; exit 3"));
  CHECK(read_pipe(worker.out) == "hello\n");
  CHECK(read_pipe(worker.err) == "trouble\n");
  auto exited = supervisor.expect<ipc::Exited>();
  CHECK(exited.id == 7);
  CHECK(exited.pid == worker.pid);
  CHECK(WEXITSTATUS(exited.status) == 3);
  CHECK(listed(supervisor) == 1);
  acknowledge(supervisor, 7);
  CHECK(listed(supervisor) == 0);
  acknowledge(supervisor, 7);  // unknown by now
  send_signal(supervisor, 7, SIGKILL);
  send_signal(supervisor, 99, SIGKILL, true);
  CHECK(listed(supervisor) == 0);
  shut_down(daemon, supervisor);
}

TEST_CASE("a program that cannot be executed is reported with step, errno and name") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  ipc::SpawnSpec spec = shell("");

  spec.argv = {"no-such-program-anywhere"};
  auto failed = expect_failure(supervisor, 1, spec, 127);
  CHECK(failed.step == "exec");
  CHECK(failed.error == ENOENT);
  CHECK(failed.detail == "no-such-program-anywhere");

  spec.argv = {"/etc/passwd"};
  failed = expect_failure(supervisor, 2, spec, 126);
  CHECK(failed.step == "exec");
  CHECK(failed.error == EACCES);

  spec.argv = {"only-here"};
  REQUIRE(::symlink("/bin/true", daemon.directory().path("only-here").c_str()) == 0);
  failed = expect_failure(supervisor, 3, spec, 127);
  CHECK(failed.error == ENOENT);
  spec.env = {"PATH=" + daemon.directory().path("")};  // the program's PATH counts, not the keeper's
  Worker worker = spawn(supervisor, 4, spec);
  CHECK(supervisor.expect<ipc::Exited>().status == 0);

  spec = shell("exit 0");
  spec.directory = "/no/such/directory";
  failed = expect_failure(supervisor, 5, spec, 127);
  CHECK(failed.step == "chdir");
  CHECK(failed.detail == "/no/such/directory");

  spec = shell("exit 0");
  spec.limits.push_back({9999, 1, 1});
  failed = expect_failure(supervisor, 6, spec, 127);
  CHECK(failed.step == "limits");
  CHECK(failed.error == EINVAL);

  spec = shell("exit 0");
  spec.program = ipc::Program::self;
  failed = expect_failure(supervisor, 8, spec, 127);
  CHECK(failed.step == "spec");

  spec = shell("exit 0");
  spec.argv.clear();
  failed = expect_failure(supervisor, 9, spec, 127);
  CHECK(failed.step == "spec");
  shut_down(daemon, supervisor);
}

TEST_CASE("the trampoline sets what the spec says") {
  if (::geteuid() != 0) SKIP("needs root");
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  ipc::SpawnSpec spec = shell(
      "echo uid $(id -u) gid $(id -g) groups $(id -G); echo umask $(umask); echo files $(ulimit -n) $(ulimit -Hn);"
      "echo core $(ulimit -c); echo oom $(cat /proc/self/oom_score_adj); echo dir $(pwd); echo env $MINE $HOME;"
      "grep -E '^(NoNewPrivs|CapBnd|CapEff|CapPrm|SigBlk|SigIgn):' /proc/self/status;"
      "echo fds $(ls /proc/self/fd); echo session $(cut -d' ' -f1,5,6 /proc/$$/stat); readlink /proc/self/fd/0");
  spec.env = {"PATH=/usr/bin:/bin", "MINE=yes"};
  spec.change_user = true;
  spec.uid = 65534;
  spec.gid = 65533;
  spec.groups = {65533, 1234};
  spec.umask = 0027;
  spec.limits = {{RLIMIT_NOFILE, 200, 300}, {RLIMIT_CORE, 0, 0}};
  spec.set_oom_score_adj = true;
  spec.oom_score_adj = 321;
  spec.no_new_privileges = true;
  spec.directory = "/usr";
  Worker worker = spawn(supervisor, 1, spec);
  std::string text = read_pipe(worker.out);
  INFO(text);
  CHECK(has_line(text, "uid 65534 gid 65533 groups 65533 1234"));
  CHECK(has_line(text, "umask 0027"));
  CHECK(has_line(text, "files 200 300"));
  CHECK(has_line(text, "core 0"));
  CHECK(has_line(text, "oom 321"));
  CHECK(has_line(text, "dir /usr"));
  CHECK(has_line(text, "env yes"));  // and nothing of the keeper's own environment
  CHECK(has_line(text, "NoNewPrivs:\t1"));
  for (const char* set : {"CapBnd:\t", "CapEff:\t", "CapPrm:\t", "SigBlk:\t", "SigIgn:\t"}) {
    CHECK(has_line(text, set + std::string(16, '0')));
  }
  CHECK(has_line(text, "fds 0 1 2 3"));  // 3 is ls's own
  std::string pid = std::to_string(worker.pid);
  CHECK(has_line(text, "session " + pid + " " + pid + " " + pid));
  CHECK(has_line(text, "/dev/null"));
  CHECK(supervisor.expect<ipc::Exited>().status == 0);
  shut_down(daemon, supervisor);
}

TEST_CASE("what rota may do beyond its user is not its workers'") {
  if (::geteuid() != 0) SKIP("needs root");
  DaemonOptions options;
  options.uid = 65534;
  options.capability = CAP_NET_BIND_SERVICE;
  Daemon daemon(options);
  RoleEnd supervisor = daemon.supervisor();
  std::string status = read_file("/proc/" + std::to_string(daemon.pid()) + "/status");
  REQUIRE(has_line(status, "CapAmb:\t0000000000000400"));
  Worker worker = spawn(supervisor, 1, shell("grep ^Cap /proc/self/status"));
  std::string text = read_pipe(worker.out);
  INFO(text);
  for (const char* set : {"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapAmb:\t"}) {
    CHECK(has_line(text, set + std::string(16, '0')));
  }
  supervisor.expect<ipc::Exited>();
  shut_down(daemon, supervisor);
}

TEST_CASE("a worker gets back the limit of open files and the oom score that the keeper changed for itself") {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit small = before;
  small.rlim_cur = 512;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &small) == 0);
  std::string oom = read_file("/proc/self/oom_score_adj");
  Daemon daemon;
  ::setrlimit(RLIMIT_NOFILE, &before);
  RoleEnd supervisor = daemon.supervisor();
  Worker worker = spawn(supervisor, 1, shell("ulimit -n; cat /proc/self/oom_score_adj"));
  CHECK(read_pipe(worker.out) == "512\n" + oom);
  supervisor.expect<ipc::Exited>();
  std::string limits = read_file("/proc/" + std::to_string(daemon.pid()) + "/limits");
  std::string hard = std::to_string(before.rlim_max);
  CHECK(limits.find("Max open files            " + hard) != std::string::npos);
  shut_down(daemon, supervisor);
}

TEST_CASE("a user that may not be taken is a failure with its step") {
  if (::geteuid() != 0) SKIP("needs root");
  DaemonOptions options;
  options.uid = 65534;
  Daemon daemon(options);
  RoleEnd supervisor = daemon.supervisor();
  ipc::SpawnSpec spec = shell("id -u");
  spec.change_user = true;
  spec.uid = 1;
  spec.gid = 1;
  spec.groups = {1};
  auto failed = expect_failure(supervisor, 1, spec, 127);
  CHECK(failed.step == "groups");
  CHECK(failed.error == EPERM);
  spec.uid = 65534;  // what it is already is no change
  spec.gid = ::getgid();
  Worker worker = spawn(supervisor, 2, spec);
  CHECK(read_pipe(worker.out) == "65534\n");
  supervisor.expect<ipc::Exited>();
  shut_down(daemon, supervisor);
}

TEST_CASE("signals go to the leader or to the whole group") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  Worker worker = spawn(supervisor, 1, shell("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.01; done"));
  std::string text = read_pipe(worker.out, "ready");
  send_signal(supervisor, 1, SIGUSR1);
  read_pipe(worker.out, "usr1");
  send_signal(supervisor, 1, SIGKILL, true);
  CHECK(supervisor.expect<ipc::Exited>().status == SIGKILL);
  shut_down(daemon, supervisor);
}

TEST_CASE("what a dead leader leaves in its group is ended before the leader is reaped") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  Worker worker = spawn(supervisor, 1, shell("sleep 1000 & echo $!; exit 5"));
  pid_t left = std::stoi(read_pipe(worker.out, "\n"));
  auto exited = supervisor.expect<ipc::Exited>();
  CHECK(WEXITSTATUS(exited.status) == 5);
  CHECK(eventually([&] { return !alive(left); }));
  CHECK(supervisor.answer_until([&] { return !sys::read_proc_stat(worker.pid); }));
  acknowledge(supervisor, 1);
  CHECK(listed(supervisor) == 0);

  // One that ignores TERM is killed; the leader stays a zombie until then.
  worker = spawn(supervisor, 2, shell("trap '' TERM; sleep 1000 & echo $!; exit 5"));
  left = std::stoi(read_pipe(worker.out, "\n"));
  supervisor.expect<ipc::Exited>();
  acknowledge(supervisor, 2);
  CHECK(sys::read_proc_stat(worker.pid)->state == 'Z');
  CHECK(alive(left));
  CHECK(supervisor.answer_until([&] { return !alive(left) && !sys::read_proc_stat(worker.pid); }));
  shut_down(daemon, supervisor);
}

TEST_CASE("a worker behind a shell that was asked to stop has ended when its group is empty") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  std::string done = daemon.directory().path("done");
  REQUIRE(::mkfifo(done.c_str(), 0600) == 0);
  // The shell in front dies of TERM at once; the app cleans up until it is told that it has.
  std::string app = "trap 'echo got it; read x < " + done + "; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
  Worker worker = spawn(supervisor, 1, shell("sh -c \"" + app + "\"; true"));
  read_pipe(worker.out, "ready");
  send_signal(supervisor, 1, SIGTERM);
  read_pipe(worker.out, "got it");
  CHECK(supervisor.answer_until([&] { return sys::read_proc_stat(worker.pid)->state == 'Z'; }));
  // Longer than what a worker leaves behind that ended by itself is given.
  CHECK_FALSE(supervisor.answer_until([&] { return !sys::read_proc_stat(worker.pid); }, 2500ms));
  acknowledge(supervisor, 1);  // of no effect: it has not ended
  supervisor.say(ipc::List{});
  CHECK(!supervisor.expect<ipc::Listed>().exited);
  supervisor.expect<ipc::ListEnd>();
  SECTION("it ends") { std::ofstream(done) << "go" << std::endl; }
  SECTION("its grace ends") { send_signal(supervisor, 1, SIGKILL, true); }
  CHECK(supervisor.expect<ipc::Exited>().status == SIGTERM);
  CHECK(!sys::read_proc_stat(worker.pid));
  acknowledge(supervisor, 1);
  CHECK(listed(supervisor) == 0);
  shut_down(daemon, supervisor);
}

TEST_CASE("what lingers is killed when the supervisor who had asked has gone") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  Worker worker = spawn(first, 1, shell("sh -c 'trap : TERM; echo ready; while :; do sleep 0.01; done'; true"));
  read_pipe(worker.out, "ready");
  send_signal(first, 1, SIGTERM);
  CHECK(first.answer_until([&] { return sys::read_proc_stat(worker.pid)->state == 'Z'; }));
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  RoleEnd second = daemon.supervisor();
  second.say(ipc::List{});
  CHECK(!second.expect<ipc::Listed>().exited);
  second.expect<ipc::ListEnd>();
  CHECK(second.expect<ipc::Exited>().status == SIGTERM);
  shut_down(daemon, second);
}

TEST_CASE("orphans are reaped, also while a dead leader is kept") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  // Keeps a zombie leader for two seconds.
  Worker kept = spawn(supervisor, 1, shell("trap '' TERM; sleep 1000 & echo $!; exit 0"));
  supervisor.expect<ipc::Exited>();
  Worker worker =
      spawn(supervisor, 2, shell("i=0; while [ $i -lt 300 ]; do (true &); i=$((i+1)); done; echo done; read x"));
  read_pipe(worker.out);  // stdin is empty, so it ends
  supervisor.expect<ipc::Exited>();
  auto zombies = [&] {
    std::size_t count = 0;
    std::string path = "/proc/" + std::to_string(daemon.pid()) + "/task/" + std::to_string(daemon.pid()) + "/children";
    std::stringstream children(read_file(path));
    for (pid_t pid = 0; children >> pid;) {
      std::optional<sys::ProcStat> stat = sys::read_proc_stat(pid);
      if (stat && stat->state == 'Z' && pid != kept.pid) count++;
    }
    return count;
  };
  CHECK(sys::read_proc_stat(kept.pid)->state == 'Z');
  CHECK(supervisor.answer_until([&] { return zombies() == 0; }));
  shut_down(daemon, supervisor);
}

TEST_CASE("the end of everything: groups, those that left their group, and the exit code") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  Worker worker = spawn(supervisor, 1, shell("trap '' TERM; sleep 1000 & setsid sleep 1001 & echo ready; wait"));
  read_pipe(worker.out, "ready");
  shut_down(daemon, supervisor, 69);
  CHECK(!alive(worker.pid));
  // ~Daemon checks that the two sleeps are gone.
}

TEST_CASE("ids that are 0 or in use end the supervisor, and its workers are listed to the next") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  Worker worker = spawn(first, 5, shell("sleep 1000"));
  ipc::Spawn request;
  request.id = 5;
  first.say_bulk(request, ipc::encode_bulk(shell("true")));
  RoleEnd second = daemon.supervisor();
  CHECK(second.epoch() == 2);
  second.say(ipc::List{});
  auto entry = second.expect<ipc::Listed>();
  CHECK(entry.id == 5);
  CHECK(entry.pid == worker.pid);
  CHECK(!entry.exited);
  CHECK(second.fd_count() == 2);
  second.expect<ipc::ListEnd>();
  send_signal(second, 5, SIGTERM);
  CHECK(second.expect<ipc::Exited>().status == SIGTERM);
  shut_down(daemon, second);
}

TEST_CASE("an end that no supervisor saw is told to the next, with the output that was written") {
  Daemon daemon;
  RoleEnd first = daemon.supervisor();
  Worker early = spawn(first, 1, shell("exit 9"));
  first.expect<ipc::Exited>();  // not acknowledged
  std::string fifo = daemon.directory().path("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  Worker late = spawn(first, 2, shell("read x < " + fifo + "; echo last words; exit 4"));
  late.out.reset();
  late.err.reset();
  REQUIRE(::kill(first.pid(), SIGKILL) == 0);
  RoleEnd second = daemon.supervisor();
  // Nobody but the keeper holds a read end now, and nobody has asked.
  std::ofstream(fifo) << "go" << std::endl;
  CHECK(second.answer_until([&] { return !sys::read_proc_stat(late.pid); }));
  second.say(ipc::List{});
  auto entry = second.expect<ipc::Listed>();
  CHECK(entry.id == 1);
  CHECK(entry.exited);
  CHECK(WEXITSTATUS(entry.status) == 9);
  entry = second.expect<ipc::Listed>();
  CHECK(entry.id == 2);
  CHECK(entry.exited);
  CHECK(WEXITSTATUS(entry.status) == 4);
  CHECK(read_pipe(second.take_fd(0)) == "last words\n");
  second.expect<ipc::ListEnd>();
  acknowledge(second, 1);
  CHECK(listed(second) == 1);
  acknowledge(second, 2);
  CHECK(listed(second) == 0);
  shut_down(daemon, second);
}

TEST_CASE("many ends are told, listed and forgotten") {
  Daemon daemon;
  RoleEnd supervisor = daemon.supervisor();
  constexpr std::uint64_t kWorkers = 40;
  for (std::uint64_t id = 1; id <= kWorkers; id++) {
    ipc::Spawn request;
    request.id = id;
    supervisor.say_bulk(request, ipc::encode_bulk(shell("exit 1")));
  }
  std::size_t spawned = 0;
  std::size_t exited = 0;
  while (exited < kWorkers) {
    if (supervisor.peek() == static_cast<std::uint16_t>(ipc::KeeperMessage::spawned)) {
      supervisor.expect<ipc::Spawned>();
      spawned++;
    } else {
      CHECK(WEXITSTATUS(supervisor.expect<ipc::Exited>().status) == 1);
      exited++;
    }
  }
  CHECK(spawned == kWorkers);
  CHECK(listed(supervisor) == kWorkers);
  for (std::uint64_t id = 1; id <= kWorkers; id++) acknowledge(supervisor, id);
  CHECK(listed(supervisor) == 0);
  shut_down(daemon, supervisor);
}
