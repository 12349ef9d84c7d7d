// Starting a child: fork, then exec of the trampoline, which reads a SpawnSpec and does the rest in a process of its
// own. Knows nothing of ids, restarts or messages; the caller owns the child from the moment launch() returns.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::keeper {

// Descriptors of the trampoline. The program sees none of them; a role gets its channel as ipc::kChannelFd.
inline constexpr int kSpecFd = 3;
inline constexpr int kReportFd = 4;
inline constexpr int kRoleChannelFd = 5;

// What a child that could not become its program writes on its report pipe, whole (less than PIPE_BUF). Fixed in size,
// so that it can be written between fork and exec. An empty pipe that ends means that the program was executed.
struct Failure {
  std::int32_t error = 0;
  std::array<char, 24> step{};
  std::array<char, 996> detail{};
};
Failure make_failure(const char* step, int error, const char* detail);
void write_failure(int fd, const Failure& failure);

// What workers get back although the keeper has changed it for itself and the roles.
struct Originals {
  rlimit open_files{};
  int oom_score_adj = 0;
};

struct Launched {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd report;    // non-blocking read end
  UniqueFd out, err;  // workers: non-blocking read ends of stdout and stderr
  const char* step = "";
  int error = 0;  // not 0: nothing was started, because of `step`
};

class Launcher {
 public:
  // Opens this process's own binary, so that an upgrade on disk never mixes versions.
  static Result<Launcher> open(const Originals& originals);

  // spec: a sealed memfd with a SpawnSpec, of Program::command or ::self respectively.
  Launched worker(int spec);
  // stdout and stderr are the keeper's own.
  Launched role(int spec, int channel);

 private:
  Launched launch(int spec, int channel);

  UniqueFd binary_;
  UniqueFd null_;
  // argv of the trampoline: its name, the keeper's pid, kind, soft and hard limit of open files, oom_score_adj
  std::string pid_, soft_, hard_, oom_;
};

}  // namespace rota::keeper
