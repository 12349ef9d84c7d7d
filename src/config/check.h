// What no single key can tell: keys that contradict each other, and what the system says to the file (programs,
// directories, users, path lengths). Looks and never touches: nothing is created, started or changed.
#pragma once

#include <string>
#include <vector>

#include "reader.h"
#include "rota/config/config.h"

namespace rota::config {

struct CheckInput {
  Config& config;
  Reader& reader;
  std::vector<std::string>& notes;
};

void check_consistency(CheckInput& input);
void check_system(CheckInput& input);

}  // namespace rota::config
