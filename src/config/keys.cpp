// What others see of the table.
#include "rota/config/keys.h"

#include <fmt/format.h>

#include "rota/config/units.h"
#include "table.h"

namespace rota::config {

namespace {

std::string with_words(std::string_view type, const Key& key) {
  return key.choices.empty() ? std::string(type) : fmt::format("{} or {}", type, names_of(key.choices));
}

std::string type_of(const Key& key) {
  switch (key.type) {
    case Type::time: return with_words("time", key);
    case Type::size: return with_words("size", key);
    case Type::number: return with_words("number", key);
    case Type::boolean: return "true or false";
    case Type::text: return "text";
    case Type::path: return "path";
    case Type::mapping: return "mapping";
    case Type::other: return std::string(key.form);
    case Type::choice: return names_of(key.choices);
  }
  return "";
}

std::string prefix_of(const Mapping& mapping) {
  return mapping.path.empty() ? std::string() : fmt::format("{}.", mapping.path);
}

void collect(const Mapping& mapping, std::vector<KeyFacts>& facts) {
  for (const Key& key : mapping.keys) {
    facts.push_back({prefix_of(mapping) + std::string(key.name), type_of(key), std::string(key.initial),
                     std::string(key.initial.empty() ? key.initial_note : key.initial), limits_of(key), effect_of(key),
                     std::string(key.doc), key.spawned_only});
    if (key.inner != nullptr) collect(*key.inner, facts);
  }
}

void collect_later(const Mapping& mapping, std::vector<std::string>& paths) {
  for (std::string_view name : mapping.later) paths.push_back(prefix_of(mapping) + std::string(name));
  for (const Key& key : mapping.keys) {
    if (key.inner != nullptr) collect_later(*key.inner, paths);
  }
}

}  // namespace

std::string limits_of(const Key& key) {
  if (key.range.max == 0) return "";
  auto shown = [&](std::int64_t amount) {
    if (key.type == Type::time) return format_duration(Duration{amount});
    if (key.type == Type::size) return format_size(Bytes{static_cast<std::uint64_t>(amount)});
    return std::to_string(amount);
  };
  return shown(key.range.min) + " to " + shown(key.range.max);
}

std::string effect_of(const Key& key) {
  switch (key.effect) {
    case Effect::reload: return "reload";
    case Effect::workers: return "reload, with new workers";
    case Effect::upgrade: return "new start";
  }
  return "";
}

std::string names_of(std::span<const Choice> choices) {
  std::string names;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    names += i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ";
    names += choices[i].name;
  }
  return names;
}

std::vector<KeyFacts> all_keys() {
  std::vector<KeyFacts> facts;
  collect(file_table(), facts);
  return facts;
}

std::vector<std::string> later_keys() {
  std::vector<std::string> paths;
  collect_later(file_table(), paths);
  return paths;
}

}  // namespace rota::config
