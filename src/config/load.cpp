// The order of a load: bytes, lines, document, table, what the command line overrides, defaults, checks.
#include "rota/config/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>

#include "check.h"
#include "document.h"
#include "files.h"
#include "reader.h"
#include "rota/config/address.h"
#include "rota/config/units.h"
#include "rota/sys/cpu.h"
#include "table.h"

namespace rota::config {

namespace {

constexpr std::string_view kMinimalApps =
    "  An app is a name and a command; write your own in place of these:\n"
    "      apps:\n"
    "        web:\n"
    "          command: node server.js\n";
constexpr std::string_view kMinimalFile =
    "  The smallest file:\n"
    "      listen: 8080\n"
    "      apps:\n"
    "        web:\n"
    "          command: node server.js\n";

std::string working_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) != nullptr ? path : "/";
}

std::string absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  std::string directory = working_directory();
  return fmt::format("{}/{}", directory == "/" ? "" : directory, path);
}

// Where relative paths in `file` begin. A file that is a symlink counts where the link is.
std::string directory_of(const std::string& file) {
  std::string path = absolute(file);
  std::size_t slash = path.rfind('/');
  path.resize(slash == 0 ? 1 : slash);
  while (path.size() >= 2 && path.compare(path.size() - 2, 2, "/.") == 0) path.resize(path.size() - 2);
  return path.empty() ? "/" : path;
}

std::string default_runtime_dir() {
  if (const char* given = std::getenv("RUNTIME_DIRECTORY"); given != nullptr && given[0] == '/') {
    std::string_view first(given);
    return std::string(first.substr(0, first.find(':')));  // systemd lists several with colons
  }
  if (::geteuid() == 0) return "/run/rota";
  if (const char* home = std::getenv("XDG_RUNTIME_DIR"); home != nullptr && home[0] == '/') {
    return fmt::format("{}/rota", home);
  }
  return fmt::format("/tmp/rota-{}", ::geteuid());
}

void apply_overrides(const Source& source, Config& config, Reader& reader) {
  Problems& problems = reader.problems();
  if (!source.listen.empty()) {
    auto address = parse_address(source.listen, AddressUse::listener);
    if (address) {
      config.listen = {{.address = *address}};
    } else {
      problems.add_option(fmt::format("--listen {} {}", in_quotes(source.listen), address.error().context));
    }
  }
  if (!source.runtime_dir.empty()) {
    config.runtime_dir = absolute(source.runtime_dir);
    while (config.runtime_dir.size() > 1 && config.runtime_dir.back() == '/') config.runtime_dir.pop_back();
  }
  if (!source.workers) return;
  if (*source.workers < 1 || *source.workers > kWorkersMax) {
    return problems.add_option(fmt::format("--workers must be between 1 and {}, not {}", kWorkersMax, *source.workers));
  }
  for (App& app : config.apps) {
    if (!app.servers.empty()) {
      problems.add_option(fmt::format("--workers has no meaning for app {}, which has servers", in_quotes(app.name)));
      continue;
    }
    app.workers = *source.workers;
    app.workers_auto = false;
  }
}

void apply_defaults(Config& config) {
  if (config.listen.empty()) {
    Address local;
    local.host = "127.0.0.1";
    local.port = 8080;
    config.listen = {{.address = local}};
  }
  if (config.runtime_dir.empty()) config.runtime_dir = default_runtime_dir();
  for (App& app : config.apps) {
    if (app.command.empty() || !app.workers_auto) continue;
    app.workers = std::min(sys::available_cpus(), kWorkersMax);
  }
}

// The app of `rota run -- COMMAND`.
void add_command_app(const Source& source, Config& config) {
  App app;
  app.name = "app";
  app.command = source.command;
  app.directory = working_directory();
  config.boot = Boot::fail;
  config.apps.push_back(std::move(app));
}

bool read_document(const Document& document, const Text& lines, Reader& reader, Config& config) {
  Problems& problems = reader.problems();
  const Node* root = document.root();
  if (root == nullptr || root->kind == Node::Kind::null) {
    bool is_blank = lines.all().find_first_not_of(" \t\r\n") == std::string_view::npos;
    std::string_view what = is_blank ? "the file is empty" : "the file says nothing: all of it is comments";
    if (problems.empty()) problems.add({}, std::string(what), Problem::Kind::configuration, kMinimalFile);
    return false;
  }
  if (root->kind != Node::Kind::mapping) {
    Span span = root->span;
    if (root->kind == Node::Kind::scalar && span.length == 1) span.length = lines.line(span.line).size() - span.byte;
    problems.add(span, fmt::format("a configuration is a mapping such as listen: 8080, not {}", kind_name(root->kind)));
    return false;
  }
  reader.read(file_table(), *root, &config);
  const Node* apps = reader.given("apps");
  bool is_empty = apps != nullptr &&
                  (apps->kind == Node::Kind::null || (apps->kind == Node::Kind::mapping && apps->entries.empty()));
  if (apps == nullptr || is_empty) {
    problems.add(apps == nullptr ? Span{} : apps->span, "there are no apps, so nothing would be run",
                 Problem::Kind::configuration, kMinimalApps);
  }
  return true;
}

Loaded failed(std::string_view file, std::string message) {
  Text nothing("");
  Problems problems(file, nothing);
  problems.add({}, std::move(message));
  Loaded loaded;
  loaded.config.file = file;
  loaded.problems = problems.take();
  return loaded;
}

}  // namespace

Loaded load_text(std::string_view text, std::string_view name, const Source& source) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);  // a byte order mark, as some editors leave it
  if (text.size() > kFileMax) {
    return failed(name, fmt::format("is larger than {}, which no configuration needs", format_size(Bytes{kFileMax})));
  }
  Loaded loaded;
  loaded.config.file = name;
  Text lines(text);
  Problems problems(name, lines);
  if (Text::Flaw flaw; Text::find_flaw(text, flaw)) {
    problems.add(lines.at_offset(flaw.offset), std::move(flaw.message));
    loaded.problems = problems.take();
    return loaded;
  }
  Document document(text, lines, problems);
  document.interpolate(problems);
  Reader reader(document, problems, name.empty() ? working_directory() : directory_of(std::string(name)));
  bool readable = true;
  if (name.empty()) {
    add_command_app(source, loaded.config);
  } else {
    readable = read_document(document, lines, reader, loaded.config);
  }
  if (readable) {
    apply_overrides(source, loaded.config, reader);
    apply_defaults(loaded.config);
    CheckInput input{loaded.config, reader, loaded.notes, !source.listen.empty()};
    check_consistency(input);
    check_routes(input);
    check_system(input);
    add_notes(input);
  }
  loaded.problems = problems.take();
  return loaded;
}

ExitCode exit_code_of(const std::vector<Problem>& problems) {
  bool only_permission = !problems.empty();
  for (const Problem& problem : problems) {
    only_permission = only_permission && problem.kind == Problem::Kind::not_permitted;
  }
  return only_permission ? ExitCode::not_permitted : ExitCode::configuration;
}

Loaded load(const Source& source) {
  if (source.file.empty()) {
    if (source.command.empty()) return failed("", "there is neither a file nor a command");
    return load_text("", "", source);
  }
  if (!source.command.empty()) return failed("", "there is a file and a command; rota runs one of them");
  std::string text;
  std::string wrong = read_file(source.file, kFileMax, text);
  if (!wrong.empty()) return failed(source.file, std::move(wrong));
  return load_text(text, source.file, source);
}

}  // namespace rota::config
