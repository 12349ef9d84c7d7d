#include "text.h"

#include <fmt/format.h>

#include <algorithm>

namespace rota::config {

namespace {

constexpr std::size_t kShownMax = 100;  // characters of a line that are shown
constexpr std::size_t kShownLead = 60;  // of them before the caret, when the line is longer

bool is_tail(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// Length of the valid UTF-8 sequence at `at` (RFC 3629), or 0.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    bool overlong = first == 0xE0 && byte(1) < 0xA0;
    bool surrogate = first == 0xED && byte(1) > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    bool overlong = first == 0xF0 && byte(1) < 0x90;
    bool too_high = first == 0xF4 && byte(1) > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !too_high ? 4 : 0;
  }
  return 0;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_tail(c); }));
}

// Where character number `n` begins.
std::size_t byte_of(std::string_view text, std::size_t n) {
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (is_tail(text[i])) continue;
    if (n == 0) return i;
    --n;
  }
  return i;
}

// What a terminal would act on, and bytes that are no characters, become one "?" each, so that the caret stays in
// place.
std::string harmless(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = utf8_length(text, i);
    auto first = static_cast<unsigned char>(text[i]);
    bool is_c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (text[i] == '\t') {
      out += ' ';
    } else if (length == 0 || first < 0x20 || first == 0x7F || is_c1) {
      out += '?';
    } else {
      out += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return out;
}

}  // namespace

Text::Text(std::string_view text) : text_(text), starts_{0} {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i + 1 < text.size()) starts_.push_back(i + 1);
  }
}

std::string_view Text::line(int number) const {
  if (number < 1 || number > lines()) return {};
  std::string_view rest = text_.substr(starts_[static_cast<std::size_t>(number - 1)]);
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  return rest;
}

Place Text::place(Span span) const {
  if (span.line == 0) return {};
  return {span.line, static_cast<int>(characters(line(span.line).substr(0, span.byte))) + 1};
}

Span Text::at_offset(std::size_t offset) const {
  auto after = std::upper_bound(starts_.begin(), starts_.end(), offset);
  auto number = after - starts_.begin();
  return {static_cast<int>(number), offset - starts_[static_cast<std::size_t>(number - 1)], 1};
}

std::size_t Text::offset_of(Span span) const {
  if (span.line < 1 || span.line > lines()) return text_.size();
  return std::min(starts_[static_cast<std::size_t>(span.line - 1)] + span.byte, text_.size());
}

std::string Text::excerpt(Span span) const {
  if (span.line < 1 || span.line > lines()) return {};
  std::string_view whole = line(span.line);
  std::size_t byte = std::min(span.byte, whole.size());
  std::size_t before = characters(whole.substr(0, byte));
  std::size_t marked = characters(whole.substr(byte, span.length));
  std::size_t skipped = 0;
  if (characters(whole) > kShownMax && before > kShownLead) skipped = before - kShownLead;
  std::size_t start = byte_of(whole, skipped);
  std::size_t length = byte_of(whole.substr(start), kShownMax);
  std::string shown = harmless(whole.substr(start, length));
  std::size_t width = std::min(marked, kShownMax - std::min(kShownMax, before - skipped));
  return fmt::format("  {}{}{}\n  {}^{}\n", skipped > 0 ? "..." : "", shown, start + length < whole.size() ? "..." : "",
                     std::string(before - skipped + (skipped > 0 ? 3 : 0), ' '),
                     std::string(width > 1 ? width - 1 : 0, '~'));
}

bool Text::find_flaw(std::string_view text, Flaw& flaw) {
  if (text.substr(0, 2) == "\xFF\xFE" || text.substr(0, 2) == "\xFE\xFF") {
    flaw = {0, "the file is in UTF-16; save it as UTF-8"};
    return true;
  }
  for (std::size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    std::size_t length = utf8_length(text, i);
    flaw.offset = i;
    if (length == 0) {
      flaw.message =
          fmt::format("byte 0x{:02X} is not valid UTF-8; save the file in that encoding", static_cast<unsigned>(c));
      return true;
    }
    if (c == 0) {
      flaw.message = "a NUL byte; a configuration is a text file";
      return true;
    }
    if (c == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) {
      flaw.message = "a carriage return without a line feed";
      return true;
    }
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      flaw.message = fmt::format("control character 0x{:02X}", static_cast<unsigned>(c));
      return true;
    }
    i += length;
  }
  return false;
}

}  // namespace rota::config
