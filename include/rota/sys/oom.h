// How many processes the kernel has killed for want of memory: in the control group of this process (and, in version 2,
// below it), and on the whole machine. Who was killed it does not say. Knows nothing of workers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rota::sys {

struct OomKills {
  std::optional<std::uint64_t> group;    // empty: not to be seen here
  std::optional<std::uint64_t> machine;  // every control group of it; a container sees its host's
  bool operator==(const OomKills&) const = default;
};

class OomCounter {
 public:
  // root: put before every path that is read: "" is the real system, a directory is a fake tree.
  explicit OomCounter(std::string root = "");
  OomKills read() const;

 private:
  std::string root_;
  std::string file_;  // of the control group; empty: there is none
};

}  // namespace rota::sys
