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
  bool listen_overridden = false;  // by --listen
};

void check_consistency(CheckInput& input);
// Finds the listeners that routes name, too.
void check_routes(CheckInput& input);
void check_system(CheckInput& input);
// What is no mistake, but seldom meant.
void add_notes(CheckInput& input);

}  // namespace rota::config
