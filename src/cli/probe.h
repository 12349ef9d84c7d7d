// `rota probe ADDRESS [PATH]`: one GET over a connection of its own, for health checks where there is no curl: in a
// container of nothing but rota and an app. Asks what listens, and knows nothing of the rota that may be behind it.
#pragma once

#include <string>
#include <vector>

#include "rota/base/units.h"
#include "rota/config/config.h"

namespace rota::cli {

inline constexpr Duration kProbeTimeout{3000};
inline constexpr Duration kProbeTimeoutMax{std::chrono::minutes(10)};
inline constexpr std::size_t kProbeHeadMax = 64 * 1024;

struct ProbeArguments {
  config::Address address;
  std::string path = "/";
  std::string host;  // the Host field; empty: as the address says
  Duration timeout = kProbeTimeout;
  bool proxy_protocol = false;  // the listener wants a header of it first
  bool help = false;
  std::string wrong;  // what is wrong with the words, for the operator
};

ProbeArguments read_probe_arguments(const std::vector<std::string>& words);

// Prints the status, or what went wrong; returns an exit code. Whatever answers with less than 500 serves.
int probe(const ProbeArguments& arguments);

}  // namespace rota::cli
