// The command line: which subcommand, with which arguments. Does everything itself but `run`, which needs the roles.
// Usage errors go to stderr with a hint and end with exit code 2. CLI11 stays behind this header.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "rota/base/exit_code.h"
#include "rota/base/result.h"
#include "rota/config/load.h"

namespace rota::cli {

// `rota run`, checked as far as the command line goes: a file or a command is there. The file has not been read.
struct RunRequest {
  config::Source source;
  std::vector<std::string> arguments;  // the words after `run`, to be handed on unchanged to the supervisor
};

// All is done and printed; the process should end so.
struct Exit {
  int code = 0;
};

std::variant<RunRequest, Exit> parse(int argc, char** argv);

// The same words again, in the supervisor. The error's context is what is wrong with them, for the operator.
Result<config::Source> parse_run_arguments(const std::vector<std::string>& words);

// What `rota check FILE` does: every problem to stderr, one line to stdout when there is none.
int check_file(const std::string& file);

}  // namespace rota::cli
