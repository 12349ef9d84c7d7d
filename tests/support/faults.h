// What the fault injector (faults.cpp) does, as a file that tests write and may change while a daemon runs: this
// struct, mapped by each process. Python writes it with struct.pack("=6I", ...) (faults.py).
#pragma once

#include <cstdint>

namespace rota::faults {

// Harmless ones are what a kernel may do at any time; everything must be as if they were not.
// Harmful ones are a machine in trouble; requests may fail then, and nothing else.
enum Kind : std::uint32_t {
  kShort = 1,        // stream sockets: fewer bytes than were asked for
  kInterrupted = 2,  // EINTR
  kAgain = 4,        // EAGAIN of stream sockets that do not block, and of connect on Unix ones
  kDescriptors = 8,  // EMFILE
  kMemory = 16,      // ENOMEM, ENOBUFS, EAGAIN of fork
  kReset = 32,       // of stream sockets: EPIPE, ECONNRESET of TCP, the end of Unix ones
};

enum Role : std::uint32_t { kKeeper = 1, kSupervisor = 2, kProxy = 4 };

struct Settings {
  std::uint32_t magic = 0;  // kMagic
  std::uint32_t kinds = 0;
  std::uint32_t roles = 0;
  std::uint32_t per_mille = 0;  // how likely at each call
  std::uint32_t seed = 0;
  std::uint32_t reserved = 0;
};
inline constexpr std::uint32_t kMagic = 0x726f7461;

}  // namespace rota::faults
