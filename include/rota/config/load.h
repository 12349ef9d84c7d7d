// From a file, or from a command line without one, to a Config with every mistake named at once.
// yaml-cpp's exceptions end behind this header.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rota/base/exit_code.h"
#include "rota/config/config.h"

namespace rota::config {

// What `rota run` and `rota check` were given. Empty means: not given. Later fields override the file.
struct Source {
  std::string file;
  std::string listen;                    // --listen
  std::optional<std::uint32_t> workers;  // --workers
  std::string runtime_dir;               // --runtime-dir
  std::vector<std::string>
      command;  // after --; with no file: one app named "app", listening on 127.0.0.1:8080, boot: fail
};

// One mistake. `shown` is what the operator sees:
//   rota.yaml:7:5: unknown key "helth"; did you mean "health"?
//       helth: /healthz
//       ^~~~~
struct Problem {
  enum class Kind {
    configuration,  // exit 78
    not_permitted,  // exit 77
  };
  Kind kind = Kind::configuration;
  Place place;
  std::string message;  // one line
  std::string shown;    // message with its place, the offending line and a caret
};

// 78, or 77 when all that is wrong is a missing permission.
ExitCode exit_code_of(const std::vector<Problem>& problems);

struct Loaded {
  Config config;                   // only meaningful when problems is empty
  std::vector<Problem> problems;   // in the order of the file; syntax errors: the first one alone
  std::vector<std::string> notes;  // warnings worth a log line ("worker run as root ...")
};

// Reads and checks everything that can be checked without starting anything: commands are searched on PATH, directories
// and users looked up, socket path lengths computed. Never throws. Files larger than kFileMax or nested deeper than
// kDepthMax are refused.
inline constexpr std::size_t kFileMax = 1024 * 1024;
inline constexpr int kDepthMax = 32;
Loaded load(const Source& source);

// The same for text that is already in memory (tests, fuzzing). `name` stands for the file in messages.
// Environment looked at: PATH, XDG_RUNTIME_DIR, RUNTIME_DIRECTORY, and ${...} in the text.
Loaded load_text(std::string_view text, std::string_view name, const Source& source);

}  // namespace rota::config
