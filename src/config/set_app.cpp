// The keys of an app that are more than a scalar: what it runs and which requests it gets.
#include <fmt/format.h>

#include <csignal>

#include "rota/config/interpolation.h"
#include "rota/config/placeholders.h"
#include "rota/config/route.h"
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
  if (value.items.empty()) return reader.bad(key, value, "is an empty list");
  if (value.items.size() > kWordsMax) {
    return reader.bad(key, value, fmt::format("has {} words; {} are possible", value.items.size(), kWordsMax));
  }
  for (const Node* item : value.items) {
    if (reader.is_scalar(key, *item, "a list of words")) words.push_back(filled_in(*item));
  }
}

void set_command_text(Reader& reader, const Key& key, const Node& value, std::vector<std::string>& words) {
  Words split = split_words(value.source(), [](std::string_view reference) { return interpolate(reference).text; });
  if (split.problem) {
    return reader.bad_inside(key, value, split.problem->offset, split.problem->length, split.problem->message);
  }
  if (split.words.empty()) return reader.bad(key, value, "is empty");
  if (split.words.size() > kWordsMax) {
    return reader.bad(key, value, fmt::format("has {} words; {} are possible", split.words.size(), kWordsMax));
  }
  if (auto near = find_near_placeholder(value.source())) {
    reader.bad_inside(key, value, near->offset, near->length,
                      fmt::format("{0} is no placeholder; did you mean {{{1}}}? To hand on {0} as it is, write the "
                                  "command as a list",
                                  near->text, near->meant));
  }
  for (std::size_t i = 0; i < split.words.size(); ++i) {
    words.push_back(without_inserted_placeholders(split.words[i], split.inserted[i]));
  }
}

void add_route(Reader& reader, const Key& key, const Node& value, std::vector<Route>& routes) {
  if (!reader.is_scalar(key, value, expected(key))) return;
  auto written = parse_route(value.text);
  if (!written) return reader.bad(key, value, written.error().context);
  Reader::Below below(reader, std::to_string(routes.size()));
  reader.remember(value);
  routes.push_back(std::move(written->route));
}

}  // namespace

std::string filled_in(const Node& value) {
  if (!value.interpolated) return value.text;
  Interpolated done = interpolate(value.source());
  return without_inserted_placeholders(done.text, done.inserted);
}

void set_command(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& words = app_of(object).command;
  if (value.kind == Node::Kind::sequence) {
    set_command_list(reader, key, value, words);
  } else if (reader.is_scalar(key, value, expected(key))) {
    set_command_text(reader, key, value, words);
  }
  if (words.empty() || !words[0].empty()) return;
  if (words.size() == 1 && value.kind == Node::Kind::scalar) {
    words.clear();
    reader.bad(key, value, "is empty");
  } else {
    reader.bad(key, value, "begins with an empty word; the first names the program");
  }
}

void set_routes(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& routes = app_of(object).routes;
  if (value.kind != Node::Kind::sequence) return add_route(reader, key, value, routes);
  if (value.items.empty()) {
    return reader.bad(key, value,
                      "is an empty list, so the app would get no request; leave routes out for everything "
                      "that no other app's routes match");
  }
  if (value.items.size() > kRoutesMax) {
    return reader.bad(key, value, fmt::format("has {} entries; {} are possible", value.items.size(), kRoutesMax));
  }
  for (const Node* item : value.items) add_route(reader, key, *item, routes);
}

void set_directory(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string path;
  if (!read_text(reader, key, value, path)) return;
  if (path[0] == '~')
    return reader.bad(key, value, "begins with \"~\", which only a shell expands; write the whole path");
  app_of(object).directory = reader.absolute(path);
}

void set_health_path(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string path;
  if (!read_text(reader, key, value, path)) return;
  if (path[0] != '/') return reader.bad(key, value, fmt::format("must begin with \"/\", not be {}", in_quotes(path)));
  constexpr std::string_view kSentence = "a request's path cannot contain this character; write it as %XX";
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] > ' ' && path[i] < 0x7F && path[i] != '#') continue;
    if (value.interpolated) return reader.bad(key, value, "has a character that a request's path cannot contain");
    return reader.bad_inside(key, value, i, 1, kSentence);
  }
  static_cast<Health*>(object)->path = path;
}

void set_health(Reader& reader, const Key& key, const Node& value, void* object) {
  Health& health = app_of(object).health;
  if (value.kind == Node::Kind::scalar) return set_health_path(reader, key, value, &health);
  if (!reader.is_mapping(key, value, expected(key))) return;
  reader.read(*key.inner, value, &health);
}

void set_ready(Reader& reader, const Key& key, const Node& value, void* object) {
  if (value.kind == Node::Kind::scalar && value.text == "notify") {
    return reader.bad(key, value, "notify is not available in this version; only auto and http are");
  }
  set_choice<&App::ready>(reader, key, value, object);
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
  std::string_view hint = name == "KILL" ? "; KILL comes by itself after \"grace\"" : "";
  reader.bad(key, value,
             fmt::format("must be TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not {}{}{}", in_quotes(value.text),
                         did_you_mean(name, names), hint));
}

}  // namespace rota::config
