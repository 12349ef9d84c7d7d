// How rota ends: the exit codes operators and service managers see (after sysexits.h).
#pragma once

namespace rota {

enum class ExitCode : int {
  clean = 0,
  failed = 1,            // the operation failed
  usage = 2,             // the command line is wrong
  no_app_ready = 69,     // boot: fail, and no app became ready
  internal = 70,         // a mistake of ours
  os = 71,               // fork, epoll, memory: the system refused
  cannot_create = 73,    // cannot bind an address or create a file
  already_running = 75,  // another rota holds the runtime directory's lock
  not_permitted = 77,    // the system or the design forbids it to this user
  configuration = 78,    // the file (or the command line's app) is wrong
};

}  // namespace rota
