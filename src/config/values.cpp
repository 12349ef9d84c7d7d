// The scalar types of the file.
#include <fmt/format.h>

#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "setters.h"

namespace rota::config {

namespace {

std::string shown(const Key& key, std::uint64_t amount) {
  if (key.type == Type::time) return format_duration(Duration{static_cast<Duration::rep>(amount)});
  if (key.type == Type::size) return format_size(Bytes{amount});
  return fmt::format("{}", amount);
}

bool in_range(Reader& reader, const Key& key, const Node& value, std::uint64_t amount) {
  if (amount >= key.range.min && amount <= key.range.max) return true;
  reader.bad(key, value,
             fmt::format("must be between {} and {}, not {}", shown(key, key.range.min), shown(key, key.range.max),
                         value.text));
  return false;
}

}  // namespace

std::string_view expected(const Key& key) {
  switch (key.type) {
    case Type::time: return "a time such as 5s";
    case Type::size: return "a size such as 32KiB";
    case Type::number: return "a whole number";
    case Type::choice: return "one word";
    case Type::text: return "a text";
    case Type::path: return "a path";
    case Type::mapping: return "a mapping";
    case Type::other: return key.form;
  }
  return "";
}

bool read_time(Reader& reader, const Key& key, const Node& value, Duration& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_duration(value.text);
  if (!parsed) {
    reader.bad(key, value, parsed.error().context);
    return false;
  }
  if (!in_range(reader, key, value, static_cast<std::uint64_t>(parsed->count()))) return false;
  into = *parsed;
  return true;
}

bool read_size(Reader& reader, const Key& key, const Node& value, Bytes& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_size(value.text);
  if (!parsed) {
    reader.bad(key, value, parsed.error().context);
    return false;
  }
  if (!in_range(reader, key, value, parsed->count)) return false;
  into = *parsed;
  return true;
}

bool read_number(Reader& reader, const Key& key, const Node& value, std::uint32_t& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_count(value.text);
  if (!parsed) {
    reader.bad(key, value, parsed.error().context);
    return false;
  }
  if (!in_range(reader, key, value, *parsed)) return false;
  into = static_cast<std::uint32_t>(*parsed);
  return true;
}

bool read_choice(Reader& reader, const Key& key, const Node& value, int& into) {
  std::string known;
  std::vector<std::string_view> names;
  for (const Choice& choice : key.choices) {
    known +=
        fmt::format("{}{}", names.empty() ? "" : (names.size() + 1 == key.choices.size() ? " or " : ", "), choice.name);
    names.push_back(choice.name);
  }
  if (!reader.is_scalar(key, value, known)) return false;
  for (const Choice& choice : key.choices) {
    if (choice.name != value.text) continue;
    into = choice.value;
    return true;
  }
  std::string suggestion = did_you_mean(value.text, names);
  reader.bad(key, value, fmt::format("must be {}, not {}{}", known, in_quotes(value.text), suggestion));
  return false;
}

bool read_text(Reader& reader, const Key& key, const Node& value, std::string& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  if (value.text.empty()) {
    reader.bad(key, value, "is empty");
    return false;
  }
  into = value.text;
  return true;
}

void set_same_struct(Reader& reader, const Key& key, const Node& value, void* object) {
  if (reader.is_mapping(key, value, expected(key))) reader.read(*key.inner, value, object);
}

}  // namespace rota::config
