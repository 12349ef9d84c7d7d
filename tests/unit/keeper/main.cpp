// One executable in several parts, picked by argv[0] as rota's own is: keeper, trampoline, the roles' stand-ins, and
// the tests.
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch_session.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "rota/ipc/keeper_protocol.h"
#include "rota/keeper/run.h"
#include "rota/sys/socket.h"

// In place of libc's: the call that ROTA_TEST_NO_PAIR counts to, and the next one, find no descriptor left.
extern "C" int socketpair(int domain, int type, int protocol, int fds[2]) noexcept {
  static int calls = 0;
  calls++;
  const char* wanted = ::getenv("ROTA_TEST_NO_PAIR");
  int failing = wanted == nullptr ? 0 : std::atoi(wanted);
  if (failing != 0 && (calls == failing || calls == failing + 1)) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socketpair, domain, type, protocol, fds));
}

namespace {

// Arguments: the test's socket, the role's name, then "crash" or an exit code.
int stand_in(int argc, char** argv) {
  if (argc > 3 && std::string_view(argv[3]) == "crash") ::raise(SIGKILL);
  if (argc > 3) return std::atoi(argv[3]);
  rota::UniqueFd control(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  auto address = rota::sys::unix_address(argv[1]);
  if (!address || ::connect(control.get(), address->get(), address->size) != 0) return 99;
  // The test lives in another pid namespace at times: the kernel tells it our number there.
  int channel[] = {rota::ipc::kChannelFd};
  if (!rota::sys::send_packet(control.get(), argv[2], channel)) return 98;
  char order[16] = {};
  ssize_t got = ::recv(control.get(), order, sizeof order - 1, 0);
  if (got <= 0) return 97;  // the test is over
  return std::atoi(order);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view name = argv[0];
  if (name == rota::ipc::kTrampolineName) return rota::keeper::run_trampoline(argc, argv);
  if (name == rota::ipc::kSupervisorName || name == rota::ipc::kProxyName) return stand_in(argc, argv);
  if (name == rota::ipc::kKeeperName) {
    rota::keeper::Options options;
    options.supervisor_arguments.assign(argv + 1, argv + argc);
    return rota::keeper::run(options);
  }
  return Catch::Session().run(argc, argv);
}
