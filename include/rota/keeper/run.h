// Entry points of the keeper for main(): the keeper itself, and the trampoline that it executes for each child.
// main() calls run() in a process whose argv[0] is ipc::kKeeperName, and run_trampoline() in one whose argv[0] is
// ipc::kTrampolineName.
#pragma once

#include <string>
#include <vector>

namespace rota::keeper {

struct Options {
  std::vector<std::string> supervisor_arguments;  // after argv[0]
};

// Runs until everything has ended; the exit code of the whole daemon. Wants a process with one thread and no children
// of its own.
int run(const Options& options);

// Reads its spec from fd 3, becomes what it says and executes the program. Returns only the exit code of a failure,
// which the keeper has then been told. Arguments are the keeper's (launch.h).
int run_trampoline(int argc, char** argv);

}  // namespace rota::keeper
