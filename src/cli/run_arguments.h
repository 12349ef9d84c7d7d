// The words after `run`.
#pragma once

#include <string>
#include <vector>

#include "rota/config/load.h"

namespace rota::cli {

struct RunArguments {
  config::Source source;
  bool help = false;
  std::string wrong;   // a sentence, when the words are wrong
  bool forms = false;  // ... and kRunForms says how it is done
};

RunArguments read_run_arguments(const std::vector<std::string>& words);

}  // namespace rota::cli
