#include "rota/config/placeholders.h"

#include <fmt/format.h>

#include "rota/config/suggest.h"

namespace rota::config {

namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

std::optional<Placeholder> at(std::string_view text, std::size_t offset) {
  if (text[offset] != '{' || (offset > 0 && text[offset - 1] == '$')) return std::nullopt;
  bool literal = offset + 1 < text.size() && text[offset + 1] == '{';
  std::size_t begin = offset + (literal ? 2 : 1);
  std::size_t end = begin;
  while (end < text.size() && is_word(text[end])) ++end;
  std::string_view closing = literal ? "}}" : "}";
  if (end == begin || text.substr(end, closing.size()) != closing) return std::nullopt;
  return Placeholder{offset, end + closing.size() - offset, text.substr(begin, end - begin), literal};
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

std::optional<PlaceholderProblem> find_unknown_placeholder(std::string_view text) {
  for (auto found = find_placeholder(text); found; found = find_placeholder(text, found->offset + found->length)) {
    if (found->literal || found->word == kSocketPlaceholder || found->word == kSlotPlaceholder) continue;
    std::string_view word = found->word.substr(0, 40);
    std::string_view meant = meant_by(word);
    std::string hint =
        meant.empty() ? std::string("there are {socket} and {slot}") : fmt::format("did you mean {{{}}}?", meant);
    return PlaceholderProblem{
        found->offset, found->length,
        fmt::format("{{{0}}} is no placeholder; {1} Write {{{{{0}}}}} for the text {{{0}}} itself", word,
                    meant.empty() ? hint + "." : hint)};
  }
  return std::nullopt;
}

std::optional<Placeholder> find_placeholder(std::string_view text, std::size_t from) {
  for (std::size_t i = from; (i = text.find('{', i)) != std::string_view::npos; ++i) {
    if (auto found = at(text, i)) return found;
  }
  return std::nullopt;
}

std::string without_placeholders(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  for (std::size_t i = 0; (i = text.find('{', i)) != std::string_view::npos; ++i) {
    auto found = at(text, i);
    if (!found || found->literal) continue;  // of {{word}} the inner braces count, in the next turn
    out += text.substr(done, i - done);
    out += '{';
    out += text.substr(i, found->length);
    out += '}';
    i += found->length - 1;
    done = i + 1;
  }
  out += text.substr(done);
  return out;
}

}  // namespace rota::config
