#include "rota/keeper/run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rota/base/exit_code.h"
#include "rota/base/log.h"
#include "rota/keeper/keeper.h"
#include "rota/sys/process.h"

namespace rota::keeper {

namespace {

// The kernel should take a worker before the process that holds everything.
constexpr int kOomScoreAdj = -900;

// A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened.
void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; fd++) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

Originals take_what_is_ours() {
  Originals originals;
  originals.open_files = sys::raise_open_files();
  originals.oom_score_adj = sys::own_oom_score_adj().value_or(0);
  if (originals.oom_score_adj > kOomScoreAdj) (void)sys::set_own_oom_score_adj(kOomScoreAdj);  // refused to most users
  return originals;
}

// After Systemd::from_environment(), which removes what the supervisor must not see.
Result<UniqueFd> supervisor_spec(const Options& options) {
  ipc::SpawnSpec spec;
  spec.program = ipc::Program::self;
  spec.argv.emplace_back(ipc::kSupervisorName);
  spec.argv.insert(spec.argv.end(), options.supervisor_arguments.begin(), options.supervisor_arguments.end());
  for (char** variable = environ; *variable != nullptr; variable++) spec.env.emplace_back(*variable);
  mode_t mask = ::umask(0);
  ::umask(mask);
  spec.umask = mask;
  return ipc::make_bulk("supervisor", ipc::encode_bulk(spec));
}

int cannot_start(const Error& error) {
  log::error("cannot start: {}", error.text());
  return static_cast<int>(ExitCode::os);
}

}  // namespace

int run(const Options& options) {
  open_standard_descriptors();
  ::prctl(PR_SET_NAME, ipc::kKeeperName, 0, 0, 0);
  log::Settings settings;
  settings.role = "keeper";
  settings.journald_prefix = log::stderr_is_journal();
  log::configure(settings);

  Result<Signals> signals = Signals::open();
  if (!signals) return cannot_start(signals.error());
  Result<Launcher> launcher = Launcher::open(take_what_is_ours());
  if (!launcher) return cannot_start(launcher.error());
  Systemd systemd = Systemd::from_environment();
  Result<UniqueFd> spec = supervisor_spec(options);
  if (!spec) return cannot_start(spec.error());
  Keeper keeper(std::move(*launcher), std::move(*signals), std::move(systemd), std::move(*spec));
  return keeper.run();
}

}  // namespace rota::keeper
