#include "unit/keeper/daemon.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "rota/sys/proc.h"
#include "rota/sys/socket.h"

namespace rota::keeper::test {

bool eventually(const std::function<bool()>& condition, Duration within) {
  auto end = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(2ms);  // between two looks at the condition, not for a result
  }
  return true;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

namespace {

bool make_ambient(int capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  std::uint32_t bit = 1U << capability;  // one of the first 32
  sets[0] = {bit, bit, bit};
  if (::syscall(SYS_capset, &header, sets) != 0) return false;
  return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0;
}

}  // namespace

bool alive(pid_t pid) {
  std::optional<sys::ProcStat> stat = sys::read_proc_stat(pid);
  return stat && stat->state != 'Z' && stat->state != 'X';
}

std::string read_pipe(const UniqueFd& fd, const std::string& until) {
  std::string text;
  auto end = std::chrono::steady_clock::now() + 20s;
  while (until.empty() || text.find(until) == std::string::npos) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    pollfd wait{fd.get(), POLLIN, 0};
    ::poll(&wait, 1, 100);
    char buffer[4096];
    ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got == 0) break;
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  char name[] = "/tmp/rota-keeper-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  path_ = name;
  std::filesystem::permissions(path_, std::filesystem::perms(0777));
}

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

RoleEnd::RoleEnd(std::string name, pid_t pid, UniqueFd control, UniqueFd channel)
    : name_(std::move(name)), pid_(pid), control_(std::move(control)), channel_(std::move(channel)) {
  auto hello = expect<ipc::Hello>();
  CHECK(hello.version == ipc::kProtocolVersion);
  epoch_ = hello.epoch;
  say(hello);
}

bool RoleEnd::receive(Duration within) {
  auto end = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < end) {
    Result<std::optional<ipc::Packet>> packet = channel_.receive();
    if (!packet) return false;
    if (!*packet) {
      pollfd wait{channel_.fd(), POLLIN, 0};
      ::poll(&wait, 1, 50);
      continue;
    }
    ipc::Ping ping;
    if (!ipc::decode_message((**packet).bytes, ping)) {
      packet_ = std::move(**packet);
      return true;
    }
    ipc::Pong pong;
    pong.number = ping.number;
    if (!silent_) (void)channel_.send(pong);
  }
  return false;
}

std::uint16_t RoleEnd::peek() {
  if (!waiting_ && !receive(20s)) return 0;
  waiting_ = true;
  return packet_->type();
}

void RoleEnd::next(std::uint16_t type) {
  REQUIRE(peek() == type);
  waiting_ = false;
}

bool RoleEnd::answer_until(const std::function<bool()>& condition, Duration within) {
  return eventually([&] { return (!waiting_ && (waiting_ = receive(1ms))), condition(); }, within);
}

void RoleEnd::exit(int code) {
  std::string order = std::to_string(code);
  REQUIRE(::send(control_.get(), order.data(), order.size(), MSG_NOSIGNAL) > 0);
}

Daemon::Daemon(const DaemonOptions& options) {
  // Whatever the keeper should have ended and has not becomes a child of the test, where it is noticed.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  auto address = sys::unix_address(directory_.path("control"));
  REQUIRE(::bind(listener_.get(), address->get(), address->size) == 0);
  REQUIRE(::chmod(directory_.path("control").c_str(), 0777) == 0);
  REQUIRE(::listen(listener_.get(), 16) == 0);
  start(options);
}

void Daemon::start(const DaemonOptions& options) {
  std::vector<std::string> arguments = {ipc::kKeeperName, directory_.path("control"), "supervisor"};
  if (options.crash) arguments.emplace_back("crash");
  if (options.exit_code >= 0) arguments.push_back(std::to_string(options.exit_code));
  std::vector<std::string> environment = options.environment;
  for (char** variable = environ; *variable != nullptr; variable++) environment.emplace_back(*variable);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  std::string log_path = directory_.path("log");
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ > 0) return;
  int log = ::open(log_path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
  ::dup2(log, 2);
  if (options.process_one) {
    // The first child of this process is process 1 of the namespace; this one only waits for it.
    if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) ::_exit(90);
    pid_t inner = ::fork();
    if (inner > 0) {
      int status = 0;
      ::waitpid(inner, &status, 0);
      ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 91);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(90);
    if (::mount("proc", "/proc", "proc", 0, options.hide_processes ? "hidepid=2" : nullptr) != 0) ::_exit(90);
  }
  if (options.capability >= 0) ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (options.uid != 0 && ::setresuid(options.uid, options.uid, options.uid) != 0) ::_exit(92);
  if (options.capability >= 0 && !make_ambient(options.capability)) ::_exit(94);
  ::execve(options.binary.c_str(), argv.data(), envp.data());
  ::_exit(93);
}

Daemon::~Daemon() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // Roles and workers follow the keeper; what is a zombie of ours then is reaped here.
  bool nothing_left = eventually([] {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return sys::own_children().empty();
  });
  if (!nothing_left) {
    for (pid_t left : sys::own_children()) {
      UNSCOPED_INFO("left behind: process " << left << " " << read_file("/proc/" + std::to_string(left) + "/cmdline"));
      ::kill(left, SIGKILL);
      ::waitpid(left, nullptr, 0);
    }
  }
  CHECK(nothing_left);
}

RoleEnd Daemon::role(const std::string& name) {
  pollfd wait{listener_.get(), POLLIN, 0};
  INFO(log());
  REQUIRE(::poll(&wait, 1, 20000) == 1);
  UniqueFd control(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(control);
  auto who = sys::peer_credentials(control.get());
  pollfd ready{control.get(), POLLIN, 0};
  REQUIRE(::poll(&ready, 1, 20000) == 1);
  char text[64];
  UniqueFd fds[1];
  auto packet = sys::receive_packet(control.get(), text, fds);
  REQUIRE(packet);
  REQUIRE(packet->fd_count == 1);
  REQUIRE(std::string(text, packet->size) == name);
  return RoleEnd(name, who->pid, std::move(control), std::move(fds[0]));
}

ipc::SpawnSpec Daemon::proxy_recipe() const {
  ipc::SpawnSpec spec;
  spec.program = ipc::Program::self;
  spec.argv = {ipc::kProxyName, directory_.path("control"), "proxy"};
  for (char** variable = environ; *variable != nullptr; variable++) spec.env.emplace_back(*variable);
  return spec;
}

void Daemon::signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }

int Daemon::wait() {
  int status = 0;
  bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, 30s);
  INFO(log());
  REQUIRE(ended);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

ipc::SpawnSpec shell(const std::string& script) {
  ipc::SpawnSpec spec;
  spec.argv = {"sh", "-c", script};
  spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin"};
  return spec;
}

}  // namespace rota::keeper::test
