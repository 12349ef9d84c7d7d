// The scalar types of the file.
#include <fmt/format.h>

#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "setters.h"

namespace rota::config {

namespace {

std::string shown(const Key& key, std::int64_t amount) {
  if (key.type == Type::time) return format_duration(Duration{amount});
  if (key.type == Type::size) return format_size(Bytes{static_cast<std::uint64_t>(amount)});
  return fmt::format("{}", amount);
}

std::string range_sentence(const Key& key, const Node& value) {
  return fmt::format("must be between {} and {}, not {}", shown(key, key.range.min), shown(key, key.range.max),
                     value.text.substr(0, 64));
}

bool in_range(Reader& reader, const Key& key, const Node& value, std::int64_t amount) {
  if (amount >= key.range.min && amount <= key.range.max) return true;
  reader.bad(key, value, range_sentence(key, value));
  return false;
}

std::vector<std::string_view> names(std::span<const Choice> choices) {
  std::vector<std::string_view> list;
  for (const Choice& choice : choices) list.push_back(choice.name);
  return list;
}

// A value that is neither an amount nor one of the words: `sentence` says what is wrong with it as an amount.
bool not_an_amount(Reader& reader, const Key& key, const Node& value, std::string sentence) {
  bool begins_as_amount = value.text[0] >= '0' && value.text[0] <= '9' && key.type != Type::number;
  if (sentence.starts_with("is too large")) {
    begins_as_amount = true;
    sentence = range_sentence(key, value);
  }
  if (!key.choices.empty() && !begins_as_amount) {
    sentence = fmt::format("must be {}, not {}{}", expected(key), in_quotes(value.text),
                           did_you_mean(value.text, names(key.choices)));
  }
  reader.bad(key, value, sentence);
  return false;
}

std::string_view expected_amount(const Key& key) {
  switch (key.type) {
    case Type::time: return "a time such as 5s";
    case Type::size: return "a size such as 32KiB";
    case Type::number: return "a whole number";
    case Type::boolean: return "true or false";
    case Type::choice: return "one word";
    case Type::text: return "a text";
    case Type::path: return "a path";
    case Type::mapping: return "a mapping";
    case Type::other: return key.form;
  }
  return "";
}

}  // namespace

std::string expected(const Key& key) {
  if (key.type == Type::choice) return names_of(key.choices);
  if (key.inner == &kAppTable) return "a mapping of names to apps, such as {web: {command: node server.js}}";
  if (key.type == Type::mapping) return fmt::format("a mapping such as {}", key.inner->example);
  std::string text(expected_amount(key));
  return key.choices.empty() ? text : fmt::format("{} or {}", text, names_of(key.choices));
}

bool is_word(const Key& key, const Node& value) {
  for (const Choice& choice : key.choices) {
    if (value.kind == Node::Kind::scalar && choice.name == value.text) return true;
  }
  return false;
}

bool read_time(Reader& reader, const Key& key, const Node& value, Duration& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_duration(value.text);
  if (!parsed) return not_an_amount(reader, key, value, parsed.error().context);
  if (!in_range(reader, key, value, parsed->count())) return false;
  into = *parsed;
  return true;
}

bool read_size(Reader& reader, const Key& key, const Node& value, Bytes& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_size(value.text);
  if (!parsed) return not_an_amount(reader, key, value, parsed.error().context);
  if (!in_range(reader, key, value, static_cast<std::int64_t>(parsed->count))) return false;
  into = *parsed;
  return true;
}

bool read_number(Reader& reader, const Key& key, const Node& value, std::uint32_t& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto parsed = parse_count(value.text);
  if (!parsed) return not_an_amount(reader, key, value, parsed.error().context);
  if (!in_range(reader, key, value, static_cast<std::int64_t>(*parsed))) return false;
  into = static_cast<std::uint32_t>(*parsed);
  return true;
}

bool read_boolean(Reader& reader, const Key& key, const Node& value, bool& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  if (value.text == "true" || value.text == "false") {
    into = value.text == "true";
    return true;
  }
  std::string_view meant;
  for (std::string_view yes : {"yes", "on", "1", "True", "TRUE"}) meant = value.text == yes ? "true" : meant;
  for (std::string_view no : {"no", "off", "0", "False", "FALSE"}) meant = value.text == no ? "false" : meant;
  std::string hint = meant.empty() ? did_you_mean(value.text, {"true", "false"}) : fmt::format("; write {}", meant);
  reader.bad(key, value, fmt::format("must be true or false, not {}{}", in_quotes(value.text), hint));
  return false;
}

bool read_choice(Reader& reader, const Key& key, const Node& value, int& into) {
  std::string known = expected(key);
  if (!reader.is_scalar(key, value, known)) return false;
  for (const Choice& choice : key.choices) {
    if (choice.name != value.text) continue;
    into = choice.value;
    return true;
  }
  std::string suggestion = did_you_mean(value.text, names(key.choices));
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

bool read_file_path(Reader& reader, const Key& key, const Node& value, std::string& into) {
  std::string path;
  if (!read_text(reader, key, value, path)) return false;
  std::string_view wrong;
  if (path[0] == '~') wrong = "begins with \"~\", which only a shell expands; write the whole path";
  if (path.back() == '/') wrong = "must name a file, not a directory";
  if (!wrong.empty()) {
    reader.bad(key, value, wrong);
    return false;
  }
  into = reader.absolute(path);
  return true;
}

void set_same_struct(Reader& reader, const Key& key, const Node& value, void* object) {
  if (reader.is_mapping(key, value, expected(key))) reader.read(*key.inner, value, object);
}

}  // namespace rota::config
