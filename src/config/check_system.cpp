#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>

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
  while (path.substr(0, 2) == "./") path.remove_prefix(2);
  return fmt::format("{}/{}", directory, path);
}

// Is there such a program on the PATH that the worker would have?
bool is_on_path(const App& app, const std::string& program) {
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
    if (look_at(candidate) == Found::program) return true;
  }
  return false;
}

// "" when the program would be found, else what is wrong, fit to follow `"command" `.
std::string program_problem(const App& app, bool is_secret) {
  const std::string& program = app.command[0];
  auto shown = [&](const std::string& text) { return is_secret ? "(not shown)" : in_quotes(text); };
  if (program.find('/') != std::string::npos) {
    std::string path = below(app.directory, program);
    switch (look_at(path)) {
      case Found::program: return "";
      case Found::directory: return fmt::format("names the program {}, which is a directory", shown(path));
      case Found::not_executable:
        return fmt::format("names the program {}, which is not executable; run chmod +x, or name its interpreter first",
                           shown(path));
      case Found::missing: return fmt::format("names the program {}, which does not exist", shown(path));
    }
  }
  if (is_on_path(app, program)) return "";
  if (look_at(below(app.directory, program)) == Found::program) {
    return fmt::format("names the program {}, which is not on PATH; write {} for the one in the app's directory",
                       shown(program), shown("./" + program));
  }
  return fmt::format("names the program {}, which is not on PATH; install it, or write its full path", shown(program));
}

std::string directory_problem(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT ? "does not exist" : std::strerror(errno);
  return S_ISDIR(info.st_mode) ? "" : "is not a directory";
}

struct Account {
  std::string_view kind;  // "user"
  bool is_own = false;
  std::optional<Error> error;
};

Account find_user(const std::string& name) {
  auto user = sys::find_user(name);
  if (!user) return {"user", false, user.error()};
  return {"user", user->uid == ::geteuid(), {}};
}

Account find_group(const std::string& name) {
  auto group = sys::find_group(name);
  if (!group) return {"group", false, group.error()};
  return {"group", *group == ::getegid(), {}};
}

void check_account(CheckInput& input, const Account& account, const std::string& name, const std::string& path) {
  Problems& problems = input.reader.problems();
  Span span = input.reader.given_span(path);
  std::string shown = input.reader.shown(path, name);
  if (account.error) {
    return problems.add(
        span, account.error->code == Errc::not_found
                  ? fmt::format("\"{0}\": there is no {0} {1}; create it, or name another", account.kind, shown)
                  : fmt::format("\"{}\": {}", account.kind, account.error->text()));
  }
  if (::geteuid() == 0 || account.is_own) return;
  auto self = sys::find_user_by_id(::geteuid());
  problems.add(span,
               fmt::format("\"{0}\" is {1}, but rota was started as {2}: only root can run something as another {0}",
                           account.kind, shown, in_quotes(self ? self->name : fmt::format("{}", ::geteuid()))),
               Problem::Kind::not_permitted);
}

void check_user(CheckInput& input, const std::string& name, const std::string& path) {
  if (!name.empty()) check_account(input, find_user(name), name, path);
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
          longest.size(), kSocketPathMax, kSocketPathMax - fixed,
          input.reader.shown("runtime_dir", input.config.runtime_dir)));
}

// A log's file is made if it is missing, its directory is not.
void check_file_to_write(CheckInput& input, std::string_view key, const std::string& file, const std::string& path) {
  if (file.empty()) return;
  std::string parent = file.substr(0, file.rfind('/') + 1);
  std::string wrong = directory_problem(parent);
  if (!wrong.empty()) {
    wrong = fmt::format("the directory {} {}", input.reader.shown(path, parent), wrong);
  } else if (look_at(file) == Found::directory) {
    wrong = fmt::format("{} is a directory", input.reader.shown(path, file));
  }
  if (wrong.empty()) return;
  input.reader.problems().add(input.reader.given_span(path), fmt::format("\"{}\": {}", key, wrong));
}

void check_program(CheckInput& input, const App& app) {
  if (app.command.empty() || app.command[0].empty()) return;
  const Node* command = input.reader.given("apps." + app.name + ".command");
  bool is_list = command != nullptr && command->kind == Node::Kind::sequence;
  if (is_list && command->items.empty()) return;
  const Node* word = is_list ? command->items[0] : command;
  std::string problem = program_problem(app, word != nullptr && word->secret);
  if (problem.empty()) return;
  Span span = word == nullptr ? Span{} : word->span;
  bool is_several = word != nullptr && word->interpolated && app.command[0].find(' ') != std::string::npos;
  if (is_several) {
    problem = fmt::format("is one word, as the value of a variable is not split; write [\"sh\", \"-c\", {}]",
                          in_quotes("exec " + std::string(word->source())));
  }
  input.reader.problems().add(span, fmt::format("\"command\" {}", problem));
}

void check_app(CheckInput& input, const App& app) {
  const std::string path = "apps." + app.name;
  Problems& problems = input.reader.problems();
  std::string wrong = directory_problem(app.directory);
  bool begins_there = !app.command.empty() && app.command[0].find('/') != std::string::npos && app.command[0][0] != '/';
  if (wrong.empty() || !begins_there) check_program(input, app);
  if (!wrong.empty()) {
    std::string shown = input.reader.shown(path + ".directory", app.directory);
    problems.add(input.reader.given_span(path + ".directory"), fmt::format("\"directory\": {} {}", shown, wrong));
  }
  check_user(input, app.user, path + ".user");
  if (!app.group.empty()) check_account(input, find_group(app.group), app.group, path + ".group");
  check_file_to_write(input, "file", app.log.file, path + ".log.file");
  if (app.workers > 0) check_socket_path(input, app);
}

}  // namespace

void check_system(CheckInput& input) {
  const Config& config = input.config;
  check_user(input, config.user, "user");
  check_file_to_write(input, "access_log", config.access_log.path, "access_log");
  for (const App& app : config.apps) {
    if (!app.name.empty()) check_app(input, app);
  }
}

}  // namespace rota::config
