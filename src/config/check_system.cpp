#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "check.h"
#include "rota/config/units.h"
#include "rota/sys/user.h"

namespace rota::config {

namespace {

constexpr const char* kPathDefault = "/bin:/usr/bin";  // what execvp(3) falls back to
constexpr std::size_t kSpawnDigits = 10;  // of <n> in <slot>-<n>.sock: enough for a restart per second for 300 years

enum class Found { program, directory, not_executable, missing };

Found look_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Found::missing;
  if (S_ISDIR(info.st_mode)) return Found::directory;
  if (!S_ISREG(info.st_mode) || ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0)
    return Found::not_executable;
  return Found::program;
}

std::string search_path(const App& app) {
  for (const auto& [name, value] : app.env) {
    if (name == "PATH") return value;
  }
  const char* own = std::getenv("PATH");
  return own != nullptr ? own : kPathDefault;
}

std::string below(const std::string& directory, std::string_view path) {
  if (!path.empty() && path[0] == '/') return std::string(path);
  return fmt::format("{}/{}", directory, path);
}

// "" when the program would be found, else what is wrong, fit to follow `"command" `.
std::string program_problem(const App& app) {
  const std::string& program = app.command[0];
  if (program.find('/') != std::string::npos) {
    std::string path = below(app.directory, program);
    switch (look_at(path)) {
      case Found::program: return "";
      case Found::directory: return fmt::format("names the program {}, which is a directory", in_quotes(path));
      case Found::not_executable:
        return fmt::format("names the program {}, which is not executable; run chmod +x, or name its interpreter first",
                           in_quotes(path));
      case Found::missing: return fmt::format("names the program {}, which does not exist", in_quotes(path));
    }
  }
  bool in_directory = look_at(below(app.directory, program)) == Found::program;
  std::string path = search_path(app);
  std::string_view rest = path;
  for (bool more = true; more;) {
    std::size_t end = rest.find(':');
    more = end != std::string_view::npos;
    std::string_view directory = rest.substr(0, end);
    if (more) rest.remove_prefix(end + 1);
    // An empty entry is the directory the worker runs in.
    std::string candidate =
        directory.empty() ? below(app.directory, program) : below(below(app.directory, directory), program);
    if (look_at(candidate) == Found::program) return "";
  }
  if (in_directory) {
    return fmt::format("names the program {}, which is not on PATH; write {} for the one in the app's directory",
                       in_quotes(program), in_quotes("./" + program));
  }
  return fmt::format("names the program {}, which is not on PATH; install it, or write its full path",
                     in_quotes(program));
}

// The app's own variables win over rota's. A PORT of its own is a wish from the time before rota more often than a
// plan.
void note_own_port(CheckInput& input, const App& app) {
  for (const auto& [name, value] : app.env) {
    if (name != "PORT" || value.find("{socket}") != std::string::npos) continue;
    input.notes.push_back(
        fmt::format("app {} sets PORT to {} in env, so its workers are not told by PORT where rota expects "
                    "them; remove it, unless they listen on {{socket}} or ROTA_SOCKET by other means",
                    in_quotes(app.name), in_quotes(value)));
  }
}

std::string directory_problem(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT ? "does not exist" : std::strerror(errno);
  return S_ISDIR(info.st_mode) ? "" : "is not a directory";
}

void check_user(CheckInput& input, const std::string& name, const std::string& path) {
  if (name.empty()) return;
  Problems& problems = input.reader.problems();
  Span span = input.reader.given_span(path);
  auto user = sys::find_user(name);
  if (!user) {
    problems.add(span, user.error().code == Errc::not_found
                           ? fmt::format("\"user\": there is no user {}", in_quotes(name))
                           : fmt::format("\"user\": {}", user.error().text()));
    return;
  }
  if (::geteuid() == 0 || user->uid == ::geteuid()) return;
  auto self = sys::find_user_by_id(::geteuid());
  problems.add(span,
               fmt::format("\"user\" is {}, but rota was started as {}: only root can run something as another user",
                           in_quotes(name), in_quotes(self ? self->name : fmt::format("{}", ::geteuid()))),
               Problem::Kind::not_permitted);
}

// A log file is made when it is missing, its directory is not.
void check_log_file(CheckInput& input, const std::string& file, const std::string& path) {
  std::string key = path.substr(path.rfind('.') + 1);
  std::string parent = file.substr(0, file.rfind('/') + 1);
  std::string wrong = directory_problem(parent);
  if (!wrong.empty()) {
    input.reader.problems().add(input.reader.given_span(path),
                                fmt::format("\"{}\": the directory {} {}", key, in_quotes(parent), wrong));
  } else if (look_at(file) == Found::directory) {
    input.reader.problems().add(input.reader.given_span(path),
                                fmt::format("\"{}\": {} is a directory", key, in_quotes(file)));
  }
}

// <runtime_dir>/<app>/<slot>-<n>.sock at its longest.
void check_socket_path(CheckInput& input, const App& app) {
  std::size_t slot_digits = fmt::format("{}", app.workers - 1).size();
  std::string longest = fmt::format("{}/{}/{}-{}.sock", input.config.runtime_dir, app.name, app.workers - 1,
                                    std::string(kSpawnDigits, '9'));
  if (longest.size() <= kSocketPathMax) return;
  std::size_t fixed = app.name.size() + slot_digits + kSpawnDigits + std::strlen("///-.sock") - 1;
  const Node* given = input.reader.given("runtime_dir");
  input.reader.problems().add(
      given != nullptr ? given->span : Span{},
      fmt::format(
          "the path of a worker's socket would have {} bytes and can have {}: choose a runtime_dir of at most {} "
          "bytes instead of {}",
          longest.size(), kSocketPathMax, kSocketPathMax - fixed, in_quotes(input.config.runtime_dir)));
}

void check_app(CheckInput& input, const App& app) {
  const std::string path = "apps." + app.name;
  Problems& problems = input.reader.problems();
  std::string wrong = directory_problem(app.directory);
  if (!wrong.empty()) {
    problems.add(input.reader.given_span(path + ".directory"),
                 fmt::format("\"directory\": {} {}", in_quotes(app.directory), wrong));
  } else if (!app.command.empty() && !app.command[0].empty()) {
    std::string problem = program_problem(app);
    const Node* command = input.reader.given(path + ".command");
    Span span = command == nullptr                      ? Span{}
                : command->kind == Node::Kind::sequence ? command->items[0]->span
                                                        : command->span;
    if (!problem.empty()) problems.add(span, fmt::format("\"command\" {}", problem));
  }
  if (!app.log.file.empty()) check_log_file(input, app.log.file, path + ".log.file");
  check_user(input, app.user, path + ".user");
  if (app.workers > 0) check_socket_path(input, app);
  note_own_port(input, app);
  if (!app.command.empty() && app.user.empty() && ::geteuid() == 0) {
    input.notes.push_back(fmt::format("workers of app {} run as root; name another user for them {}",
                                      in_quotes(app.name),
                                      input.config.file.empty() ? "in a configuration file (user:)" : "with user:"));
  }
}

}  // namespace

void check_system(CheckInput& input) {
  const Config& config = input.config;
  check_user(input, config.user, "user");
  if (config.access_log.to == AccessLog::To::file) check_log_file(input, config.access_log.path, "access_log");
  for (const App& app : config.apps) {
    if (!app.name.empty()) check_app(input, app);
  }
}

}  // namespace rota::config
