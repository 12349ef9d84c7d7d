// What differs between the configuration in force and one that was just read, as a reload treats it. Pure.
#pragma once

#include <string>
#include <vector>

#include "rota/config/config.h"

namespace rota::supervisor {

struct Changes {
  std::vector<std::string> added;       // apps
  std::vector<std::string> removed;     // apps
  std::vector<std::string> replaced;    // apps whose workers must be other ones
  std::vector<std::string> resized;     // "web from 2 to 4 workers"
  std::vector<std::string> adjusted;    // apps with settings that their workers take as they run
  std::vector<std::string> settings;    // top-level keys that are in force at once
  std::vector<std::string> next_start;  // top-level keys that are not
  bool any_now() const;                 // something that a reload does

  // "app api added; new workers for web; settings of web; timeouts, limits"; empty when there is nothing to say.
  std::string text() const;
};
Changes find_changes(const config::Config& before, const config::Config& after);

// `after`, with what only a new start changes as it was.
config::Config applicable(const config::Config& before, config::Config after);

}  // namespace rota::supervisor
