#include "rota/cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "help.h"
#include "probe.h"
#include "rota/config/schema.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "run_arguments.h"

namespace rota::cli {

namespace {

const std::vector<std::string_view> kCommands{"run", "check", "probe", "version", "help"};

// What other programs of this kind have, and is done by other means here.
const std::vector<std::string_view> kSignalWords{"reload", "restart", "stop", "status", "quit", "shutdown"};
const std::vector<std::string_view> kRunWords{"start", "serve", "up"};

bool has(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_help(std::string_view word) { return word == "--help" || word == "-h"; }

void print(std::FILE* to, std::string_view text) { std::fwrite(text.data(), 1, text.size(), to); }

Exit clean(std::string_view text) {
  print(stdout, text);
  return {std::fflush(stdout) == 0 ? static_cast<int>(ExitCode::clean) : static_cast<int>(ExitCode::failed)};
}

Exit usage(std::string_view message, std::string_view help, std::string_view more = {}) {
  print(stderr, fmt::format("rota: {}\n{}", message, more));
  if (!help.empty()) print(stderr, fmt::format("See {} --help.\n", help));
  return {static_cast<int>(ExitCode::usage)};
}

std::variant<RunRequest, Exit> run(std::vector<std::string> words) {
  RunArguments arguments = read_run_arguments(words);
  if (arguments.help) return clean(kRunHelp);
  if (!arguments.wrong.empty()) {
    return usage(arguments.wrong, "rota run", arguments.forms ? std::string_view(kRunForms) : std::string_view());
  }
  return RunRequest{std::move(arguments.source), std::move(words)};
}

Exit check(const std::vector<std::string>& words) {
  if (std::any_of(words.begin(), words.end(), is_help)) return clean(kCheckHelp);
  if (std::find(words.begin(), words.end(), "--schema") != words.end()) {
    if (words.size() > 1) return usage("--schema prints the schema and takes no file", "rota check");
    return clean(config::json_schema());
  }
  std::string file;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    bool is_option = word == "-c" || word == "--config";
    if (is_option && i + 1 == words.size()) return usage(fmt::format("{} needs a file", word), "rota check");
    if (!is_option && word.size() > 1 && word[0] == '-') {
      std::string_view name = word.substr(0, word.find('='));
      return usage(fmt::format("unknown option {}", config::in_quotes(name)), "rota check");
    }
    if (!file.empty()) return usage("check reads one file", "rota check");
    file = is_option ? words[++i] : words[i];
    if (file.empty()) return usage("the file's name is empty", "rota check");
  }
  if (file.empty()) return usage("which file? Write rota check rota.yaml", "rota check");
  return {check_file(file)};
}

Exit probe(const std::vector<std::string>& words) {
  ProbeArguments arguments = read_probe_arguments(words);
  if (arguments.help) return clean(kProbeHelp);
  if (!arguments.wrong.empty()) return usage(arguments.wrong, "rota probe");
  return {cli::probe(arguments)};
}

std::string plural(std::size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

// "rota.yaml: ok (1 app, 4 workers, listening on *:8080)"
std::string summary(const config::Config& config) {
  std::size_t workers = 0;
  std::size_t servers = 0;
  for (const config::App& app : config.apps) {
    workers += app.workers;
    servers += app.servers.size();
  }
  std::string listen;
  for (const config::Listener& one : config.listen) listen += (listen.empty() ? "" : ", ") + one.address.text();
  return fmt::format("{}: ok ({}{}{}, listening on {})", config.file, plural(config.apps.size(), "app"),
                     workers > 0 ? ", " + plural(workers, "worker") : "",
                     servers > 0 ? ", " + plural(servers, "server") : "", listen);
}

}  // namespace

int check_file(const std::string& file) {
  config::Source source;
  source.file = file;
  config::Loaded loaded = config::load(source);
  for (const config::Problem& problem : loaded.problems) print(stderr, problem.shown + "\n");
  if (!loaded.problems.empty()) {
    print(stderr, fmt::format("{}: {}\n", file, plural(loaded.problems.size(), "problem")));
    return static_cast<int>(config::exit_code_of(loaded.problems));
  }
  std::string text = summary(loaded.config) + "\n";
  for (const std::string& note : loaded.notes) text += "note: " + note + "\n";
  return clean(text).code;
}

std::variant<RunRequest, Exit> parse(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    print(stderr, kHelp);
    return Exit{static_cast<int>(ExitCode::usage)};
  }
  std::string command = words.front();
  words.erase(words.begin());
  if (command == "run") return run(std::move(words));
  if (command == "check") return check(words);
  if (command == "probe") return probe(words);
  if (is_help(command)) return clean(kHelp);
  if (command == "help") {
    if (!words.empty() && words[0] == "run") return clean(kRunHelp);
    if (!words.empty() && words[0] == "check") return clean(kCheckHelp);
    if (!words.empty() && words[0] == "probe") return clean(kProbeHelp);
    return clean(kHelp);
  }
  if (command == "version" || command == "--version" || command == "-V") {
    if (command == "version" && !words.empty() && !is_help(words[0]))
      return usage("version takes no arguments", "rota");
    return clean("rota " ROTA_VERSION "\n");
  }
  if (command[0] == '-') return usage(fmt::format("unknown option {}", config::in_quotes(command)), "rota");
  std::string unknown = fmt::format("unknown command {}", config::in_quotes(command));
  if (has(kSignalWords, command))
    return usage(unknown + "; a running rota is told by its service or by a signal", "rota", kSignalForms);
  if (has(kRunWords, command)) return usage(unknown + "; it is called \"run\" here", "rota", kRunForms);
  return usage(unknown + config::did_you_mean(command, kCommands), "rota");
}

Result<config::Source> parse_run_arguments(const std::vector<std::string>& words) {
  RunArguments arguments = read_run_arguments(words);
  if (arguments.help) return Error{Errc::invalid, 0, "--help is not for a running rota"};
  if (!arguments.wrong.empty()) return Error{Errc::invalid, 0, arguments.wrong};
  return std::move(arguments.source);
}

}  // namespace rota::cli
