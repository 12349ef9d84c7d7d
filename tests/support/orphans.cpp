// Leaves COUNT orphans behind: grandchildren whose parent has ended before they do. Every other one is of a session of
// its own, as a daemon is. Ends when the last has been made.
//
//   orphans COUNT
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  int count = argc == 2 ? std::atoi(argv[1]) : 0;
  for (int i = 0; i < count; i++) {
    pid_t child = ::fork();
    if (child < 0) {
      std::perror("fork");
      return 1;
    }
    if (child == 0) {
      if (i % 2 == 0) ::setsid();
      if (::fork() == 0) ::usleep(1000U * static_cast<unsigned>(i % 20));
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
  }
  return 0;
}
