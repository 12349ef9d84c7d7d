#include "rota/keeper/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "rota/ipc/keeper_protocol.h"
#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

// Above every number that a child gives a meaning to, so that mapping one never overwrites another.
constexpr int kHighFd = 16;
constexpr int kOutputPipeBytes = 1024 * 1024;

struct Pipe {
  UniqueFd read, write;
};

// The read end does not block; the write end does, as programs expect of their stdout.
int make_pipe(Pipe& pipe) {
  int fds[2] = {-1, -1};
  if (::pipe2(fds, O_CLOEXEC) != 0) return errno;
  pipe.read.reset(fds[0]);
  pipe.write.reset(fds[1]);
  return ::fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

struct Mapping {
  int from = -1;
  int to = -1;
};

// In the child: makes each `to` a copy of its `from` without close-on-exec. Signal-safe.
bool map_descriptors(Mapping* mappings, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    if (mappings[i].from < 0) continue;
    mappings[i].from = ::fcntl(mappings[i].from, F_DUPFD_CLOEXEC, kHighFd);
    if (mappings[i].from < 0) return false;
  }
  for (std::size_t i = 0; i < count; i++) {
    if (mappings[i].from >= 0 && ::dup2(mappings[i].from, mappings[i].to) < 0) return false;
  }
  return true;
}

Launched not_started(const char* step, int error) {
  Launched result;
  result.step = step;
  result.error = error;
  return result;
}

}  // namespace

Failure make_failure(const char* step, int error, const char* detail) {
  Failure failure;
  failure.error = error;
  std::strncpy(failure.step.data(), step, failure.step.size() - 1);
  std::strncpy(failure.detail.data(), detail, failure.detail.size() - 1);
  return failure;
}

void write_failure(int fd, const Failure& failure) {
  while (::write(fd, &failure, sizeof failure) < 0 && errno == EINTR) {
  }
}

Result<Launcher> Launcher::open(const Originals& originals) {
  Launcher launcher;
  UniqueFd binary(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  if (!binary) return os_error("cannot open this program's own file (is /proc mounted?)");
  launcher.binary_.reset(::fcntl(binary.get(), F_DUPFD_CLOEXEC, kHighFd));
  launcher.null_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!launcher.binary_ || !launcher.null_) return os_error("cannot open /dev/null");
  launcher.pid_ = std::to_string(::getpid());
  launcher.soft_ = std::to_string(originals.open_files.rlim_cur);
  launcher.hard_ = std::to_string(originals.open_files.rlim_max);
  launcher.oom_ = std::to_string(originals.oom_score_adj);
  return launcher;
}

Launched Launcher::worker(int spec) { return launch(spec, -1); }
Launched Launcher::role(int spec, int channel) { return launch(spec, channel); }

Launched Launcher::launch(int spec, int channel) {
  bool is_role = channel >= 0;
  Pipe report, out, err;
  int error = make_pipe(report);
  if (error == 0 && !is_role) error = make_pipe(out);
  if (error == 0 && !is_role) error = make_pipe(err);
  if (error != 0) return not_started("pipe", error);
  if (!is_role) {
    // A full pipe would stop the worker while no supervisor reads: as large as an unprivileged user may have it.
    for (const Pipe* pipe : {&out, &err}) ::fcntl(pipe->write.get(), F_SETPIPE_SZ, kOutputPipeBytes);
  }
  std::string name = ipc::kTrampolineName;
  char kind[] = "worker";
  char role_kind[] = "role";
  char* const arguments[] = {name.data(), pid_.data(), is_role ? role_kind : kind, soft_.data(), hard_.data(),
                             oom_.data(), nullptr};
  Mapping mappings[] = {{null_.get(), 0},
                        {out.write.get(), 1},
                        {err.write.get(), 2},
                        {spec, kSpecFd},
                        {report.write.get(), kReportFd},
                        {channel, kRoleChannelFd}};

  pid_t pid = ::fork();
  if (pid < 0) return not_started("fork", errno);
  if (pid == 0) {
    // Until exec: system calls on this frame's values and nothing else.
    int report_fd = ::fcntl(report.write.get(), F_DUPFD_CLOEXEC, kHighFd);
    if (map_descriptors(mappings, std::size(mappings))) {
      ::execveat(binary_.get(), "", arguments, environ, AT_EMPTY_PATH);
    }
    write_failure(report_fd, make_failure("exec", errno, "rota itself"));
    ::_exit(127);
  }

  Result<UniqueFd> pidfd = sys::open_pidfd(pid);
  if (!pidfd) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return not_started("pidfd", pidfd.error().sys);
  }
  Launched result;
  result.pid = pid;
  result.pidfd = std::move(*pidfd);
  result.report = std::move(report.read);
  result.out = std::move(out.read);
  result.err = std::move(err.read);
  return result;
}

}  // namespace rota::keeper
