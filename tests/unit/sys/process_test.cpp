#include "rota/sys/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "rota/base/units.h"
#include "rota/sys/proc.h"

using namespace rota;
using namespace rota::sys;

namespace {

// Runs `body` in a child and returns its wait status. The child leaves with _exit, so nothing of the test runs twice.
template <class Body>
int in_child(Body body) {
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

// A child that waits until it is killed.
struct Sleeper {
  pid_t pid;
  explicit Sleeper(pid_t group = -1) {
    // A signal must not meet the test framework's handlers in the child: it waits until they are gone.
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    pid = ::fork();
    if (pid != 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid == 0) {
      reset_signals();
      if (group >= 0) ::setpgid(0, group);
      for (;;) ::pause();
    }
    if (group >= 0) ::setpgid(pid, group);  // whoever comes first
  }
  ~Sleeper() {
    if (::waitpid(pid, nullptr, WNOHANG) != 0) return;  // reaped: the number may be another's by now
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

bool has_others(pid_t group) {
  GroupQuery query[] = {{group}};
  find_others(query);
  return query[0].has_others;
}

bool eventually(const auto& condition) {
  for (int i = 0; i < 5000 && !condition(); i++) std::this_thread::sleep_for(2ms);
  return condition();
}

}  // namespace

TEST_CASE("signals have names") {
  CHECK(signal_name(SIGTERM) == "TERM");
  CHECK(signal_name(SIGRTMIN + 3) == "RTMIN+3");
  CHECK(signal_name(0).empty());
  CHECK(signal_name(4711).empty());
  for (const char* name : {"TERM", "term", "SIGTERM", "15"}) CHECK(signal_number(name) == SIGTERM);
  CHECK(signal_number("RTMIN+3") == SIGRTMIN + 3);
  for (const char* bad : {"", "SIG", "TERMINATE", "0", "-9", "99", "15x"}) CHECK_FALSE(signal_number(bad));
}

TEST_CASE("a status is told in words") {
  CHECK(describe_status(in_child([] { return 3; })) == "exit code 3");
  CHECK(describe_status(SIGKILL) == "signal 9 (KILL)");
  CHECK(describe_status(SIGSEGV | 0x80) == "signal 11 (SEGV), core dumped");
}

TEST_CASE("a child's end is seen through its pidfd, first without reaping") {
  Sleeper child;
  auto pidfd = open_pidfd(child.pid);
  REQUIRE(pidfd);
  auto status = child_status(pidfd->get(), false);
  REQUIRE(status);
  CHECK_FALSE(*status);
  REQUIRE(send_signal_to(pidfd->get(), SIGTERM));
  REQUIRE(eventually([&] { return child_status(pidfd->get(), false)->has_value(); }));
  CHECK(**child_status(pidfd->get(), false) == SIGTERM);
  CHECK(read_proc_stat(child.pid)->state == 'Z');
  CHECK(peek_dead_child() == child.pid);
  CHECK(**child_status(pidfd->get(), true) == SIGTERM);
  CHECK_FALSE(read_proc_stat(child.pid));
  CHECK_FALSE(child_status(pidfd->get(), true));
  CHECK_FALSE(send_signal_to(pidfd->get(), SIGTERM));
  CHECK_FALSE(peek_dead_child());
  CHECK_FALSE(open_pidfd(child.pid));
}

TEST_CASE("the members of a process group are found, zombies apart") {
  Sleeper leader(0);
  CHECK(group_members(leader.pid) == std::vector<pid_t>{leader.pid});
  CHECK_FALSE(has_others(leader.pid));
  Sleeper member(leader.pid);
  CHECK(has_others(leader.pid));
  CHECK(group_members(leader.pid).size() == 2);
  std::vector<pid_t> children = own_children();
  CHECK(std::count(children.begin(), children.end(), member.pid) == 1);
  ::kill(member.pid, SIGKILL);
  CHECK(eventually([&] { return !has_others(leader.pid); }));
  CHECK(group_members(leader.pid).size() == 2);  // the zombie is still one
  CHECK(*reap_child(member.pid) == SIGKILL);
  CHECK_FALSE(reap_child(leader.pid));
}

TEST_CASE("many groups are looked at in one walk") {
  Sleeper alone(0), pair(0), pair_member(pair.pid), crowd(0), crowd_member(crowd.pid), crowd_third(crowd.pid);
  constexpr pid_t kNobody = 0x3FFFFFFF;
  GroupQuery queries[] = {{kNobody}, {crowd.pid}, {alone.pid, true}, {pair.pid}};
  find_others(queries);
  for (const GroupQuery& query : queries) {
    CHECK(query.has_others == (query.group == crowd.pid || query.group == pair.pid));
  }
  find_others({});
}

TEST_CASE("a group counts as having others while /proc cannot be read") {
  Sleeper alone(0);
  CHECK_FALSE(has_others(alone.pid));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  int lowest = ::dup(0);
  REQUIRE(lowest >= 0);
  ::close(lowest);
  const rlimit none_left{static_cast<rlim_t>(lowest), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
  bool others = has_others(alone.pid);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(others);
}

TEST_CASE("a stat line is read whatever the program calls itself") {
  auto stat = parse_proc_stat("42 (a) b (c) 1 2 3) S 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1\n");
  REQUIRE(stat);
  CHECK(stat->pid == 42);
  CHECK(stat->state == 'S');
  CHECK(stat->parent == 7);
  CHECK(stat->group == 8);
  CHECK(stat->start_time == 12345);
  for (const char* bad : {"", "42", "42 (x)", "42 (x) S 1", "x (y) S 1 2 3"}) CHECK_FALSE(parse_proc_stat(bad));
  CHECK(read_proc_stat(::getpid())->group == ::getpgrp());
  CHECK(resident_bytes(::getpid()) > 4096);
}

TEST_CASE("a change of user is complete and final") {
  if (::geteuid() != 0) SKIP("needs root");
  int status = in_child([] {
    std::uint32_t groups[] = {1234};
    const char* step = "";
    if (change_user({65534, 65533, groups}, &step) != 0) return 1;
    uid_t r = 0, e = 0, s = 0;
    if (::getresuid(&r, &e, &s) != 0 || r != 65534 || e != 65534 || s != 65534) return 2;
    if (::getresgid(&r, &e, &s) != 0 || r != 65533 || e != 65533 || s != 65533) return 3;
    gid_t got[4];
    if (::getgroups(4, got) != 1 || got[0] != 1234) return 4;
    if (::setuid(0) == 0) return 5;
    // From here it is somebody who may not.
    if (change_user({1, 65533, groups}, &step) != EPERM || std::string_view(step) != "user") return 6;
    if (change_user({65534, 1, groups}, &step) != EPERM || std::string_view(step) != "group") return 7;
    std::uint32_t others[] = {77};
    if (change_user({1, 1, others}, &step) != EPERM || std::string_view(step) != "groups") return 8;
    return change_user({65534, 65533, groups}, &step) == 0 ? 0 : 9;  // no change is no offence
  });
  CHECK(describe_status(status) == "exit code 0");
}

TEST_CASE("capabilities go, the bounding set included") {
  if (::geteuid() != 0) SKIP("needs root");
  int status = in_child([] {
    drop_bounding_set();
    if (drop_capabilities() != 0) return 1;
    return ::setgid(4711) != 0 && errno == EPERM ? 0 : 2;
  });
  CHECK(describe_status(status) == "exit code 0");
}

TEST_CASE("a process dies with its parent, or learns that it has none") {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  int status = in_child([&] {
    pid_t parent = ::getpid();
    if (::fork() == 0) {
      reset_signals();  // the test framework's handlers
      if (die_with_parent(SIGTERM, parent + 1) != ESRCH) ::_exit(1);
      ::close(fds[0]);
      if (die_with_parent(SIGTERM, parent) == 0 && ::write(fds[1], "x", 1) == 1) ::pause();
      ::_exit(2);
    }
    char c = 0;
    return ::read(fds[0], &c, 1) == 1 ? 0 : 3;
  });
  CHECK(status == 0);
  ::close(fds[1]);
  char c = 0;
  CHECK(::read(fds[0], &c, 1) == 0);  // the last writer has gone
  ::close(fds[0]);
}

TEST_CASE("signals are reset and descriptors close at exec") {
  int status = in_child([] {
    ::signal(SIGTERM, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    int high = ::fcntl(0, F_DUPFD, 100);
    close_on_exec_from(50);
    if (::fcntl(high, F_GETFD) != FD_CLOEXEC || ::fcntl(0, F_GETFD) != 0) return 1;
    reset_signals();
    ::raise(SIGPIPE);
    return 2;
  });
  CHECK(status == SIGPIPE);
}

TEST_CASE("the limit of open files goes up and the old one is told") {
  int status = in_child([] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 123;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (raise_open_files().rlim_cur != 123) return 1;
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur == limit.rlim_max ? 0 : 2;
  });
  CHECK(status == 0);
}
