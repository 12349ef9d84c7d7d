// Why rota does not start: one sentence that says what, where and how to mend it, and the exit code that goes with it.
#pragma once

#include <optional>
#include <string>

#include "rota/base/exit_code.h"

namespace rota::supervisor {

struct StartFailure {
  ExitCode code = ExitCode::internal;
  std::string text;
};
using Failure = std::optional<StartFailure>;  // empty: it worked

}  // namespace rota::supervisor
