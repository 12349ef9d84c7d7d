#include "reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "rota/config/suggest.h"
#include "rota/config/units.h"

namespace rota::config {

namespace {

// Words of other tools for what has another name here.
struct Synonym {
  std::string_view written;
  std::string_view meant;
};
constexpr std::array<Synonym, 17> kSynonyms{{{"instances", "workers"},
                                             {"processes", "workers"},
                                             {"replicas", "workers"},
                                             {"cwd", "directory"},
                                             {"dir", "directory"},
                                             {"working_directory", "directory"},
                                             {"cmd", "command"},
                                             {"exec", "command"},
                                             {"script", "command"},
                                             {"run", "command"},
                                             {"environment", "env"},
                                             {"port", "listen"},
                                             {"bind", "listen"},
                                             {"healthcheck", "health"},
                                             {"health_check", "health"},
                                             {"backends", "servers"},
                                             {"upstreams", "servers"}}};

// The same, where that name is at hand; elsewhere the word may be a key itself.
constexpr std::array<Synonym, 4> kNearSynonyms{
    {{"path", "file"}, {"length", "size"}, {"wait", "drain"}, {"rotate", "keep"}}};

std::vector<std::string_view> names_of(const Mapping& mapping) {
  std::vector<std::string_view> names;
  for (const Key& key : mapping.keys) names.push_back(key.name);
  return names;
}

bool has(const Mapping& mapping, std::string_view name) {
  return std::any_of(mapping.keys.begin(), mapping.keys.end(), [&](const Key& key) { return key.name == name; });
}

// The paths of the mappings that know `name`.
void find_elsewhere(const Mapping& mapping, std::string_view name, std::vector<std::string_view>& found) {
  if (has(mapping, name)) found.push_back(mapping.path);
  for (const Key& key : mapping.keys) {
    if (key.inner != nullptr) find_elsewhere(*key.inner, name, found);
  }
}

bool looks_like_an_app(const Node& value) {
  return value.kind == Node::Kind::mapping &&
         std::any_of(value.entries.begin(), value.entries.end(), [](const Node::Entry& entry) {
           return entry.key->kind == Node::Kind::scalar &&
                  (entry.key->text == "command" || entry.key->text == "servers");
         });
}

std::string joined(const std::vector<std::string_view>& words, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last : std::string_view(", ");
    out += words[i];
  }
  return out;
}

}  // namespace

Reader::Below::Below(Reader& reader, std::string_view name) : reader_(reader), length_(reader.path_.size()) {
  if (!reader.path_.empty()) reader.path_ += '.';
  reader.path_ += name;
}

void Reader::bad(const Key& key, const Node& at, std::string_view sentence) {
  std::string more;
  std::string instead;
  if (at.secret) {
    instead = fmt::format("must be {}; the value comes from a variable that is not shown", expected(key));
    sentence = instead;
  } else if (at.interpolated && sentence.find(at.text) == std::string_view::npos) {
    more = fmt::format(" (the value is {})", in_quotes(at.text));
  }
  problems_.add(at.span, fmt::format("\"{}\" {}{}", key.name, sentence, more));
}

void Reader::bad_inside(const Key& key, const Node& scalar, std::size_t offset, std::size_t length,
                        std::string_view sentence) {
  problems_.add(document_.inside(scalar, offset, length), fmt::format("\"{}\": {}", key.name, sentence));
}

std::string Reader::shown(const std::string& path, std::string_view text) const {
  const Node* node = given(path);
  bool is_secret = node != nullptr && node->secret;
  for (std::size_t i = 0; node != nullptr && i < node->items.size(); ++i) {
    is_secret = is_secret || node->items[i]->secret;
  }
  return is_secret ? "(not shown)" : in_quotes(text);
}

bool Reader::is_scalar(const Key& key, const Node& value, std::string_view wanted) {
  if (value.broken) return false;
  if (value.kind == Node::Kind::null) {
    bad(key, value, fmt::format("has no value; it must be {}", wanted));
  } else if (value.kind != Node::Kind::scalar) {
    bad(key, value, fmt::format("must be {}, not {}", wanted, kind_name(value.kind)));
  } else if (value.text.find('\0') != std::string::npos) {
    bad(key, value, "contains a NUL byte");
  } else {
    return true;
  }
  return false;
}

bool Reader::is_mapping(const Key& key, const Node& value, std::string_view wanted) {
  if (value.kind == Node::Kind::mapping) return true;
  if (value.broken) return false;
  if (value.kind == Node::Kind::null) {
    bad(key, value, fmt::format("has no value; it must be {}", wanted));
  } else {
    bad(key, value, fmt::format("must be {}, not {}", wanted, kind_name(value.kind)));
  }
  return false;
}

void Reader::each_entry(const Node& mapping, const std::function<void(const Node& key, const Node& value)>& use) {
  std::unordered_map<std::string_view, int> seen;
  for (const Node::Entry& entry : mapping.entries) {
    const Node& key = *entry.key;
    if (key.kind != Node::Kind::scalar) {
      problems_.add(key.span, fmt::format("a key must be a word, not {}", kind_name(key.kind)));
      continue;
    }
    if (auto [first, is_new] = seen.try_emplace(key.text, key.span.line); !is_new) {
      problems_.add(key.span,
                    fmt::format("{} is given twice; the first is in line {}", in_quotes(key.text), first->second));
      continue;
    }
    use(key, *entry.value);
  }
}

void Reader::read(const Mapping& mapping, const Node& node, void* object) {
  each_entry(node, [&](const Node& name, const Node& value) {
    for (const Key& key : mapping.keys) {
      if (key.name != name.text) continue;
      Below below(*this, key.name);
      given_[path_] = &value;
      key.set(*this, key, value, object);
      return;
    }
    unknown(mapping, name, value);
  });
}

void Reader::unknown(const Mapping& mapping, const Node& key, const Node& value) {
  std::string shown = in_quotes(key.text);
  if (mapping.path.empty() && looks_like_an_app(value)) {
    return problems_.add(key.span, fmt::format("{} is no key; if it is an app, indent it below \"apps:\"", shown));
  }
  if (std::find(mapping.later.begin(), mapping.later.end(), key.text) != mapping.later.end()) {
    return problems_.add(key.span, fmt::format("{} is not available in this version", shown));
  }
  if (key.text == "<<") {
    return problems_.add(key.span, "merging mappings with \"<<\" is not supported; write the keys out");
  }
  auto names = names_of(mapping);
  for (const Synonym& synonym : kNearSynonyms) {
    if (synonym.written != key.text || !has(mapping, synonym.meant)) continue;
    return problems_.add(key.span, fmt::format("unknown key {}; it is called \"{}\" here", shown, synonym.meant));
  }
  for (const Synonym& synonym : kSynonyms) {
    if (synonym.written != key.text) continue;
    std::vector<std::string_view> found;
    if (!has(mapping, synonym.meant)) find_elsewhere(file_table(), synonym.meant, found);
    std::string where;
    if (found.size() == 1) where = found[0].empty() ? ", at the top level" : fmt::format(", under {}", found[0]);
    return problems_.add(key.span,
                         fmt::format("unknown key {}; it is called \"{}\" here{}", shown, synonym.meant, where));
  }
  if (std::string suggestion = did_you_mean(key.text, names); !suggestion.empty()) {
    return problems_.add(key.span, fmt::format("unknown key {}{}", shown, suggestion));
  }
  std::vector<std::string_view> elsewhere;
  find_elsewhere(file_table(), key.text, elsewhere);
  if (elsewhere.size() == 1 && elsewhere[0].empty()) {
    return problems_.add(key.span, fmt::format("{} is not known here; it belongs to the top level of the file", shown));
  }
  if (!elsewhere.empty()) {
    elsewhere.erase(std::remove(elsewhere.begin(), elsewhere.end(), std::string_view()), elsewhere.end());
    return problems_.add(key.span,
                         fmt::format("{} is not known here; it belongs under {}", shown, joined(elsewhere, " or ")));
  }
  problems_.add(key.span, fmt::format("unknown key {}; known here: {}", shown, joined(names, ", ")));
}

std::string Reader::absolute(std::string_view path) const {
  if (!path.empty() && path[0] == '/') return std::string(path);
  while (path.substr(0, 2) == "./") path.remove_prefix(2);
  if (path.empty() || path == ".") return base_directory_;
  return fmt::format("{}/{}", base_directory_ == "/" ? "" : base_directory_, path);
}

const Node* Reader::given(const std::string& path) const {
  auto found = given_.find(path);
  return found == given_.end() ? nullptr : found->second;
}

Span Reader::given_span(const std::string& path) const {
  const Node* node = given(path);
  return node == nullptr ? Span{} : node->span;
}

}  // namespace rota::config
