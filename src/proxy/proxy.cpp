#include "rota/proxy/proxy.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <csignal>
#include <cstdlib>

#include "rota/base/exit_code.h"
#include "rota/base/log.h"
#include "rota/ipc/keeper_protocol.h"
#include "rota/proxy/control_link.h"
#include "rota/uv/loop.h"

namespace rota::proxy {

int run() {
  log::Settings settings;
  settings.role = "proxy";
  settings.journald_prefix = log::stderr_is_journal();
  log::configure(settings);
  ::prctl(PR_SET_NAME, "rota: proxy");
  // Newer libuv batches epoll changes through io_uring, which only costs here: the hot path makes none.
  ::setenv("UV_USE_IO_URING", "0", 1);

  // Before any thread exists, so that all of them inherit the mask and TERM arrives on the descriptor alone.
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  UniqueFd signals(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) {
    log::error("cannot start: {}", os_error("signalfd").text());
    return static_cast<int>(ExitCode::os);
  }
  uv::Loop loop("control");
  ControlLink link(loop, UniqueFd(ipc::kChannelFd), std::move(signals));
  loop.run();
  return static_cast<int>(ExitCode::clean);
}

}  // namespace rota::proxy
