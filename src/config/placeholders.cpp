#include "rota/config/placeholders.h"

#include <fmt/format.h>

#include <algorithm>

#include "rota/config/suggest.h"

namespace rota::config {

namespace {

constexpr std::size_t kWordMax = 40;  // of a word in a message

bool is_word(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

std::optional<Placeholder> word_at(std::string_view text, std::size_t offset) {
  if (text[offset] != '{' || (offset > 0 && text[offset - 1] == '$')) return std::nullopt;
  bool literal = offset + 1 < text.size() && text[offset + 1] == '{';
  std::size_t begin = offset + (literal ? 2 : 1);
  std::size_t end = begin;
  while (end < text.size() && is_word(text[end])) ++end;
  std::string_view closing = literal ? "}}" : "}";
  if (end == begin || text.substr(end, closing.size()) != closing) return std::nullopt;
  return Placeholder{offset, end + closing.size() - offset, text.substr(begin, end - begin), literal};
}

std::optional<Placeholder> at(std::string_view text, std::size_t offset) {
  auto found = word_at(text, offset);
  if (!found || (found->word != kSocketPlaceholder && found->word != kSlotPlaceholder)) return std::nullopt;
  return found;
}

bool overlaps(const Placeholder& found, const std::vector<Inserted>& inserted) {
  return std::any_of(inserted.begin(), inserted.end(), [&](const Inserted& part) {
    return part.offset < found.offset + found.length && found.offset < part.offset + part.length;
  });
}

// What other tools call the same.
std::string_view meant_by(std::string_view word) {
  for (std::string_view socket : {"port", "path", "sock", "unix", "listen", "address", "bind", "uds"}) {
    if (word == socket) return kSocketPlaceholder;
  }
  for (std::string_view slot : {"id", "index", "instance", "worker", "worker_id", "number"}) {
    if (word == slot) return kSlotPlaceholder;
  }
  return nearest(word, {kSocketPlaceholder, kSlotPlaceholder});
}

}  // namespace

std::optional<NearPlaceholder> find_near_placeholder(std::string_view text) {
  for (std::size_t i = 0; (i = text.find('{', i)) != std::string_view::npos; ++i) {
    auto found = word_at(text, i);
    if (!found) continue;
    i += found->length - 1;
    if (found->literal || found->word == kSocketPlaceholder || found->word == kSlotPlaceholder) continue;
    if (std::string_view meant = meant_by(found->word.substr(0, kWordMax)); !meant.empty()) {
      return NearPlaceholder{found->offset, found->length, fmt::format("{{{}}}", found->word.substr(0, kWordMax)),
                             meant};
    }
  }
  return std::nullopt;
}

std::optional<Placeholder> find_placeholder(std::string_view text, std::size_t from) {
  for (std::size_t i = from; (i = text.find('{', i)) != std::string_view::npos; ++i) {
    if (auto found = at(text, i)) return found;
  }
  return std::nullopt;
}

std::string without_inserted_placeholders(std::string_view text, const std::vector<Inserted>& inserted) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t i = 0; (i = text.find('{', i)) != std::string_view::npos; ++i) {
    auto found = at(text, i);
    if (!found) continue;
    bool is_inserted = overlaps(*found, inserted);
    if (found->literal && is_inserted) continue;  // its inner braces count, in the next turn
    if (is_inserted) {
      out += text.substr(done, i - done);
      out += '{';
      out += text.substr(i, found->length);
      out += '}';
      done = i + found->length;
    }
    i += found->length - 1;
  }
  out += text.substr(done);
  return out;
}

std::string without_placeholders(std::string_view text) {
  return without_inserted_placeholders(text, {{0, text.size()}});
}

}  // namespace rota::config
