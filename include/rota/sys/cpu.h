// How many CPUs this process may really use: the affinity mask and the CPU quota of its control group, whichever is
// less. What std::thread::hardware_concurrency() says ignores the quota, so `workers: auto` in a container would start
// too many. Reads /proc and the control group file system once; knows nothing of workers.
#pragma once

#include <cstdint>
#include <string>

namespace rota::sys {

struct CpuRoots {
  std::string root;            // put before every path that is read: "" is the real system, a directory is a fake tree
  std::uint32_t affinity = 0;  // CPUs in the affinity mask; 0: ask the kernel
};

// At least 1. A quota of 1.5 CPUs counts as 2: a worker that waits now and then does not need a whole one. What cannot
// be read does not limit.
std::uint32_t available_cpus(const CpuRoots& roots = {});

}  // namespace rota::sys
