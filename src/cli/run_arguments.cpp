// CLI11 splits the options; everything from the first "--" on never reaches it, so that no word of a command can be
// taken for an option of ours.
#include "run_arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "rota/config/address.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"

namespace rota::cli {

namespace {

const std::vector<std::string_view> kOptions{"--config", "--listen", "--workers", "--runtime-dir", "--help"};

// What CLI11 did not know.
std::string about_extras(const std::vector<std::string>& extras) {
  const std::string& first = extras.front();
  if (first.size() > 1 && first[0] == '-') {
    std::string name = first.substr(0, first.find('='));
    return fmt::format("unknown option {}{}", config::in_quotes(name), config::did_you_mean(name, kOptions));
  }
  bool is_file = first.size() > 5 && (first.ends_with(".yaml") || first.ends_with(".yml"));
  if (is_file) return fmt::format("{} is no option; write -c {}", config::in_quotes(first), first);
  return fmt::format("{} is no option; a command comes after \"--\": rota run -- {}", config::in_quotes(first),
                     fmt::join(extras, " "));
}

// An option with too few or too many values. CLI11's text begins with the option's name; the rest differs by version.
std::string about_mismatch(std::string_view text, const std::vector<std::string>& words) {
  std::string name(text.substr(0, text.find(':')));
  auto is_it = [&](const std::string& word) {
    bool is_short = name == "--config" && word.starts_with("-c");
    return is_short || word == name || word.starts_with(name + "=");
  };
  bool is_double = std::count_if(words.begin(), words.end(), is_it) > 1;
  return fmt::format("{} {}", name, is_double ? "is given more than once" : "needs a value");
}

std::string read_workers(const std::string& text, config::Source& source) {
  auto number = config::parse_count(text);
  if (!number || *number < 1 || *number > config::kWorkersMax) {
    return fmt::format("--workers must be a number between 1 and {}, not {}", config::kWorkersMax,
                       config::in_quotes(text));
  }
  source.workers = static_cast<std::uint32_t>(*number);
  return "";
}

std::string read_options(const std::vector<std::string>& words, RunArguments& arguments) {
  CLI::App app("run");
  app.set_help_flag();  // ours is better
  app.allow_extras();
  std::string workers;
  config::Source& source = arguments.source;
  auto last = CLI::MultiOptionPolicy::Throw;
  auto* file_option = app.add_option("-c,--config", source.file)->multi_option_policy(last);
  auto* listen_option = app.add_option("--listen", source.listen)->multi_option_policy(last);
  auto* workers_option = app.add_option("--workers", workers)->multi_option_policy(last);
  auto* directory_option = app.add_option("--runtime-dir", source.runtime_dir)->multi_option_policy(last);
  app.add_flag("-h,--help", arguments.help);
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants and consumes them
    app.parse(reversed);
  } catch (const CLI::ArgumentMismatch& error) {
    return about_mismatch(error.what(), words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  if (arguments.help) return "";
  if (auto extras = app.remaining(); !extras.empty()) return about_extras(extras);
  struct Given {
    CLI::Option* option;
    const std::string& value;
    const char* name;
  };
  for (const Given& given :
       {Given{file_option, source.file, "--config"}, Given{listen_option, source.listen, "--listen"},
        Given{workers_option, workers, "--workers"}, Given{directory_option, source.runtime_dir, "--runtime-dir"}}) {
    if (given.option->count() > 0 && given.value.empty()) return fmt::format("{} is empty", given.name);
  }
  if (listen_option->count() > 0) {
    auto address = config::parse_address(source.listen, config::AddressUse::listener);
    if (!address) return fmt::format("--listen {} {}", config::in_quotes(source.listen), address.error().context);
  }
  return workers_option->count() > 0 ? read_workers(workers, source) : "";
}

}  // namespace

RunArguments read_run_arguments(const std::vector<std::string>& words) {
  RunArguments arguments;
  auto dashes = std::find(words.begin(), words.end(), "--");
  arguments.wrong = read_options({words.begin(), dashes}, arguments);
  if (arguments.help || !arguments.wrong.empty()) return arguments;
  config::Source& source = arguments.source;
  if (dashes != words.end()) {
    source.command.assign(dashes + 1, words.end());
    if (source.command.empty()) {
      arguments.wrong = "there is no command after \"--\"";
    } else if (source.command[0].empty()) {
      arguments.wrong = "the command after \"--\" is an empty word";
    } else if (!source.file.empty()) {
      arguments.wrong = fmt::format("-c {} and a command after \"--\" exclude each other; use one", source.file);
    }
    arguments.forms = !arguments.wrong.empty();
  } else if (source.file.empty()) {
    arguments.wrong = "nothing to run; name a configuration or a command";
    arguments.forms = true;
  }
  return arguments;
}

}  // namespace rota::cli
