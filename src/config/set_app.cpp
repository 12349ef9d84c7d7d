// The keys of an app that are more than a scalar.
#include <fmt/format.h>

#include <csignal>

#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "rota/config/words.h"
#include "setters.h"

namespace rota::config {

namespace {

App& app_of(void* object) { return *static_cast<App*>(object); }

struct Signal {
  std::string_view name;
  int number;
};
// What a server may take as "stop". KILL is not among them: it comes by itself after the grace.
constexpr std::array<Signal, 7> kSignals{{{"TERM", SIGTERM},
                                          {"INT", SIGINT},
                                          {"QUIT", SIGQUIT},
                                          {"HUP", SIGHUP},
                                          {"USR1", SIGUSR1},
                                          {"USR2", SIGUSR2},
                                          {"WINCH", SIGWINCH}}};

void set_command_list(Reader& reader, const Key& key, const Node& value, std::vector<std::string>& words) {
  if (value.items.size() > kWordsMax) {
    return reader.bad(key, value, fmt::format("has {} words; {} are possible", value.items.size(), kWordsMax));
  }
  for (const Node* item : value.items) {
    if (!reader.is_scalar(key, *item, "a list of words")) continue;
    words.push_back(item->text);
  }
}

void set_command_text(Reader& reader, const Key& key, const Node& value, std::vector<std::string>& words) {
  Words split = split_words(value.text);
  if (split.problem) {
    return reader.bad_inside(key, value, split.problem->offset, split.problem->length, split.problem->message);
  }
  if (split.words.size() > kWordsMax) {
    return reader.bad(key, value, fmt::format("has {} words; {} are possible", split.words.size(), kWordsMax));
  }
  words = std::move(split.words);
}

}  // namespace

void set_command(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& words = app_of(object).command;
  if (value.kind == Node::Kind::sequence) {
    set_command_list(reader, key, value, words);
    if (value.items.empty()) return reader.bad(key, value, "is an empty list");
  } else if (reader.is_scalar(key, value, expected(key))) {
    set_command_text(reader, key, value, words);
    if (value.text.find_first_not_of(" \t\n") == std::string::npos) return reader.bad(key, value, "is empty");
  }
  if (!words.empty() && words[0].empty())
    reader.bad(key, value, "begins with an empty word; the first names the program");
}

void set_directory(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string path;
  if (!read_text(reader, key, value, path)) return;
  if (path[0] == '~')
    return reader.bad(key, value, "begins with \"~\", which only a shell expands; write the whole path");
  app_of(object).directory = reader.absolute(path);
}

void set_env(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& env = app_of(object).env;
  if (!reader.is_mapping(key, value, expected(key))) return;
  if (value.entries.size() > kEnvMax) {
    return reader.bad(key, value, fmt::format("has {} variables; {} are possible", value.entries.size(), kEnvMax));
  }
  reader.each_entry(value, [&](const Node& name, const Node& text) {
    constexpr std::string_view kRefused("= \t\n\r\0", 6);
    if (name.text.empty() || name.text.find_first_of(kRefused) != std::string::npos) {
      reader.problems().add(name.span, fmt::format("{} cannot be the name of a variable", in_quotes(name.text)));
    } else if (text.kind == Node::Kind::null) {
      reader.problems().add(text.span,
                            fmt::format("{} has no value; write \"\" for an empty one", in_quotes(name.text)));
    } else if (text.kind != Node::Kind::scalar) {
      reader.problems().add(text.span,
                            fmt::format("{} must be a text, not {}", in_quotes(name.text), kind_name(text.kind)));
    } else if (text.text.find('\0') != std::string::npos) {
      reader.problems().add(text.span, fmt::format("{} contains a NUL byte", in_quotes(name.text)));
    } else {
      env.emplace_back(name.text, text.text);
    }
  });
}

void set_workers(Reader& reader, const Key& key, const Node& value, void* object) {
  App& app = app_of(object);
  if (!reader.is_scalar(key, value, expected(key))) return;
  app.workers_auto = value.text == "auto";
  if (app.workers_auto) return;
  if (value.text.find_first_not_of("0123456789") != std::string::npos) {
    return reader.bad(key, value,
                      fmt::format("must be a whole number or auto, not {}{}", in_quotes(value.text),
                                  did_you_mean(value.text, {"auto"})));
  }
  read_number(reader, key, value, app.workers);
}

void set_socket(Reader& reader, const Key& key, const Node& value, void*) {
  if (!reader.is_scalar(key, value, "path")) return;
  if (value.text == "path") return;
  for (std::string_view later : {"fd", "port", "preload"}) {
    if (value.text == later)
      return reader.bad(key, value, fmt::format("{} is not available in this version; only path is", later));
  }
  reader.bad(key, value,
             fmt::format("must be path, not {}{}", in_quotes(value.text), did_you_mean(value.text, {"path"})));
}

void set_health_path(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string path;
  if (!read_text(reader, key, value, path)) return;
  if (path[0] != '/') return reader.bad(key, value, fmt::format("must begin with \"/\", not be {}", in_quotes(path)));
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] > ' ' && path[i] < 0x7F && path[i] != '#') continue;
    return reader.bad_inside(key, value, i, 1, "a request's path cannot contain this character; write it as %XX");
  }
  static_cast<Health*>(object)->path = path;
}

void set_health(Reader& reader, const Key& key, const Node& value, void* object) {
  Health& health = app_of(object).health;
  if (value.kind == Node::Kind::scalar) return set_health_path(reader, key, value, &health);
  if (!reader.is_mapping(key, value, expected(key))) return;
  reader.read(*key.inner, value, &health);
}

void set_signal(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string name;
  if (!read_text(reader, key, value, name)) return;
  if (name.substr(0, 3) == "SIG") name.erase(0, 3);
  std::vector<std::string_view> names;
  for (const Signal& signal : kSignals) {
    if (signal.name == name) {
      static_cast<Stop*>(object)->signal = signal.number;
      return;
    }
    names.push_back(signal.name);
  }
  reader.bad(key, value,
             fmt::format("must be TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not {}{}", in_quotes(value.text),
                         did_you_mean(name, names)));
}

}  // namespace rota::config
