// The keys of an app that say what its workers are given: environment, permissions, limits.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "files.h"
#include "rota/config/env_file.h"
#include "rota/config/load.h"
#include "rota/config/placeholders.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "setters.h"

namespace rota::config {

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

App& app_of(void* object) { return *static_cast<App*>(object); }

// What is set later stands later, each name once.
void set(Variables& env, std::string name, std::string value) {
  std::erase_if(env, [&](const auto& one) { return one.first == name; });
  env.emplace_back(std::move(name), std::move(value));
}

void add_variable(Reader& reader, const Node& name, const Node& text, Variables& env) {
  constexpr std::string_view kRefused("= \t\n\r\0", 6);
  Problems& problems = reader.problems();
  if (text.broken) return;
  if (name.text.empty() || name.text.find_first_of(kRefused) != std::string::npos) {
    problems.add(name.span, fmt::format("{} cannot be the name of a variable", in_quotes(name.text)));
  } else if (text.kind == Node::Kind::null) {
    problems.add(text.span, fmt::format("{} has no value; write \"\" for an empty one", in_quotes(name.text)));
  } else if (text.kind != Node::Kind::scalar) {
    problems.add(text.span, fmt::format("{} must be a text, not {}", in_quotes(name.text), kind_name(text.kind)));
  } else if (text.text.find('\0') != std::string::npos) {
    problems.add(text.span, fmt::format("{} contains a NUL byte", in_quotes(name.text)));
  } else {
    env.emplace_back(name.text, filled_in(text));
  }
}

std::string printable(const Node& path) {
  if (path.secret) return "(not shown)";
  std::string out = path.text;
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return out;
}

void read_env_file(Reader& reader, const Node& path, Variables& env) {
  if (path.kind != Node::Kind::scalar || path.broken || path.text.empty()) return;
  if (path.text[0] == '~' || path.text.back() == '/') return;  // it has been said
  std::string absolute = reader.absolute(path.text);
  std::string text;
  std::string wrong = read_file(absolute, kFileMax, text);
  if (wrong.empty() && text.size() > kFileMax) wrong = fmt::format("is larger than {}", format_size(Bytes{kFileMax}));
  if (!wrong.empty()) {
    std::string shown = path.secret ? printable(path) : in_quotes(absolute);
    return reader.problems().add(path.span, fmt::format("\"env_file\": {}: {}", shown, wrong));
  }
  EnvFile file = parse_env_file(text);
  if (file.variables.size() > kEnvMax) {
    return reader.problems().add(path.span, fmt::format("\"env_file\": {} has {} variables; {} are possible",
                                                        in_quotes(absolute), file.variables.size(), kEnvMax));
  }
  Text lines(file.shown);
  for (EnvFile::Problem& problem : file.problems) {
    Span span = lines.at_offset(problem.offset);
    span.length = problem.length;
    reader.problems().add_elsewhere(path.span, printable(path), lines, span, std::move(problem.message));
  }
  for (auto& [name, value] : file.variables) set(env, name, without_placeholders(value));
}

}  // namespace

void set_env(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& env = app_of(object).env;
  if (value.kind == Node::Kind::sequence) {
    return reader.bad(key, value, "must be a mapping such as {NODE_ENV: production}, not a list");
  }
  if (!reader.is_mapping(key, value, expected(key))) return;
  if (value.entries.size() > kEnvMax) {
    return reader.bad(key, value, fmt::format("has {} variables; {} are possible", value.entries.size(), kEnvMax));
  }
  reader.each_entry(value, [&](const Node& name, const Node& text) { add_variable(reader, name, text, env); });
}

// The files are read when `env` is known: merge_env_files().
void set_env_file(Reader& reader, const Key& key, const Node& value, void*) {
  std::string path;
  if (value.kind != Node::Kind::sequence) {
    read_file_path(reader, key, value, path);
  } else if (value.items.size() > kEnvFilesMax) {
    reader.bad(key, value, fmt::format("has {} files; {} are possible", value.items.size(), kEnvFilesMax));
  } else {
    for (const Node* item : value.items) read_file_path(reader, key, *item, path);
  }
}

void merge_env_files(Reader& reader, App& app) {
  const std::string path = reader.path() + ".env_file";
  const Node* given = reader.given(path);
  if (given == nullptr || given->items.size() > kEnvFilesMax) return;
  Variables env;
  if (given->kind == Node::Kind::scalar) read_env_file(reader, *given, env);
  for (const Node* item : given->items) read_env_file(reader, *item, env);
  for (auto& [name, value] : app.env) set(env, std::move(name), std::move(value));
  if (env.size() > kEnvMax) {
    reader.problems().add(
        given->span, fmt::format("\"env_file\" and \"env\" make {} variables; {} are possible", env.size(), kEnvMax));
    env.clear();
  }
  app.env = std::move(env);
}

void set_umask(Reader& reader, const Key& key, const Node& value, void* object) {
  if (!reader.is_scalar(key, value, expected(key))) return;
  std::string_view digits = value.text;
  std::string hint;
  if (digits.substr(0, 2) == "0o") {
    digits.remove_prefix(2);
    hint = fmt::format("; write 0{}", digits.substr(0, 4));
  }
  bool is_octal =
      !digits.empty() && digits.size() <= 4 && digits.find_first_not_of("01234567") == std::string_view::npos;
  std::uint32_t mask = 0;
  for (std::size_t i = 0; is_octal && i < digits.size(); ++i)
    mask = mask * 8 + static_cast<std::uint32_t>(digits[i] - '0');
  if (!is_octal || mask > 0777 || !hint.empty()) {
    return reader.bad(key, value,
                      fmt::format("must be octal digits from 0000 to 0777 such as 0007, not {}{}",
                                  in_quotes(value.text), is_octal ? hint : std::string()));
  }
  app_of(object).umask = mask;
}

void set_oom_score_adj(Reader& reader, const Key& key, const Node& value, void* object) {
  if (!reader.is_scalar(key, value, expected(key))) return;
  std::string_view text = value.text;
  bool is_negative = !text.empty() && text[0] == '-';
  auto amount = parse_count(is_negative ? text.substr(1) : text);
  if (!amount) {
    return reader.bad(key, value, fmt::format("must be a whole number, not {}", in_quotes(text)));
  }
  std::int64_t score = is_negative ? -static_cast<std::int64_t>(*amount) : static_cast<std::int64_t>(*amount);
  if (score < key.range.min || score > key.range.max) {
    return reader.bad(key, value,
                      fmt::format("must be between {} and {}, not {}", key.range.min, key.range.max, score));
  }
  app_of(object).oom_score_adj = static_cast<int>(score);
}

void add_resource_limit(Reader& reader, const Key& key, const Node& value, int resource, App& app) {
  ResourceLimit limit{resource, ResourceLimit::kUnlimited};
  if (resource == RLIMIT_NOFILE && value.kind == Node::Kind::scalar && value.text == "unlimited") {
    return reader.bad(key, value,
                      "cannot be unlimited on Linux; write a number, at most the one in /proc/sys/fs/nr_open");
  }
  if (is_word(key, value)) {
    // unlimited
  } else if (key.type == Type::number) {
    std::uint32_t number = 0;
    if (!read_number(reader, key, value, number)) return;
    limit.value = number;
  } else if (key.type == Type::size) {
    Bytes size;
    if (!read_size(reader, key, value, size)) return;
    limit.value = size.count;
  } else {
    Duration time{};
    if (!read_time(reader, key, value, time)) return;
    if (time.count() % 1000 != 0) {
      return reader.bad(key, value, fmt::format("must be whole seconds, not {}", value.text));
    }
    limit.value = static_cast<std::uint64_t>(time.count() / 1000);
  }
  app.limits.push_back(limit);
}

void set_workers(Reader& reader, const Key& key, const Node& value, void* object) {
  App& app = app_of(object);
  if (is_word(key, value)) return;
  app.workers_auto = false;
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

void set_log_file(Reader& reader, const Key& key, const Node& value, void* object) {
  read_file_path(reader, key, value, static_cast<AppLog*>(object)->file);
}

}  // namespace rota::config
