// Classes of octets by table, and the few comparisons HTTP needs. No locale, no branches on bytes outside the table.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace rota::http {

enum OctetClass : std::uint8_t {
  kToken = 1,       // tchar, RFC 9110 5.6.2
  kTarget = 2,      // what a request-target may hold, see octet_classes()
  kHost = 4,        // unreserved, RFC 3986 2.3
  kUserinfo = 8,    // RFC 3986 3.2.1
  kExtension = 16,  // unquoted parts of a chunk extension, white space included
  kValue = 32,      // field-content: HTAB, SP, VCHAR, obs-text
};

constexpr std::array<std::uint8_t, 256> octet_classes() {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  constexpr std::string_view kHostMarks = "-._~";
  constexpr std::string_view kUserinfoMarks = "-._~!$&'()*+,;=:%";
  // RFC 3986 knows fewer characters, but browsers send [ ] ^ ` { | } and, in a query, \ as they are (the WHATWG URL
  // standard does not encode them), and every app server takes them. A fragment, quotes and angle brackets never come.
  constexpr std::string_view kNeverInTarget = "\"#<>";
  std::array<std::uint8_t, 256> classes{};
  for (unsigned octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    const bool alnum =
        (octet >= '0' && octet <= '9') || (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
    const bool visible = octet > 0x20 && octet < 0x7f;
    unsigned is = 0;
    if (alnum || (visible && kTokenMarks.find(c) != std::string_view::npos)) is |= kToken | kExtension;
    if (visible && kNeverInTarget.find(c) == std::string_view::npos) is |= kTarget;
    if (alnum || (visible && kHostMarks.find(c) != std::string_view::npos)) is |= kHost;
    if (alnum || (visible && kUserinfoMarks.find(c) != std::string_view::npos)) is |= kUserinfo;
    if (c == ' ' || c == '\t' || c == ';' || c == '=') is |= kExtension;
    if (visible || c == ' ' || c == '\t' || octet >= 0x80) is |= kValue;
    classes[octet] = static_cast<std::uint8_t>(is);
  }
  return classes;
}
inline constexpr std::array<std::uint8_t, 256> kOctets = octet_classes();

// Lower case, and '_' and '.' as '-': what CGI-like gateways make of a name is one and the same for all three.
constexpr std::array<char, 256> folding() {
  std::array<char, 256> fold{};
  for (unsigned octet = 0; octet < 256; ++octet) {
    const bool upper = octet >= 'A' && octet <= 'Z';
    fold[octet] = static_cast<char>(upper ? octet | 0x20U : octet == '_' || octet == '.' ? '-' : octet);
  }
  return fold;
}
inline constexpr std::array<char, 256> kFold = folding();

inline bool is(char octet, OctetClass what) { return (kOctets[static_cast<std::uint8_t>(octet)] & what) != 0; }
inline bool is_space(char octet) { return octet == ' ' || octet == '\t'; }
inline bool is_digit(char octet) { return octet >= '0' && octet <= '9'; }
inline char lower(char octet) { return octet >= 'A' && octet <= 'Z' ? static_cast<char>(octet | 0x20) : octet; }
inline char folded(char octet) { return kFold[static_cast<std::uint8_t>(octet)]; }

inline bool all(std::string_view text, OctetClass what) {
  for (const char octet : text) {
    if (!is(octet, what)) return false;
  }
  return true;
}

// Equality of any two texts but for ASCII case.
inline bool equals_any_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The elements of a comma-separated list, white space around them removed, empty ones included: visit(element).
template <class Visit>
void for_each_element(std::string_view list, Visit visit) {
  for (;;) {
    const std::size_t comma = list.find(',');
    visit(trimmed(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// The octets of one machine word at a time.
namespace word {
inline constexpr std::uint64_t kOnes = 0x0101010101010101;
inline constexpr std::uint64_t kHighs = 0x8080808080808080;
inline std::uint64_t load(const char* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
// High bits of the octets that are below `limit` (at most 0x80). Octets after the first hit may be marked wrongly.
constexpr std::uint64_t below(std::uint64_t word, std::uint8_t limit) {
  return (word - kOnes * limit) & ~word & kHighs;
}
constexpr std::uint64_t equal(std::uint64_t word, std::uint8_t octet) { return below(word ^ (kOnes * octet), 1); }
}  // namespace word

// The first octet from `at` that cannot be part of a field value (a CR at the end of the line, one hopes), or `end`.
// By words up to the first control octet, which may be a HTAB: those are rare, and what follows one goes octet by
// octet.
inline const char* value_end(const char* at, const char* end) {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at >= 8) {
      const std::uint64_t octets = word::load(at);
      const std::uint64_t odd = word::below(octets, 0x20) | word::equal(octets, 0x7f);
      if (odd != 0) {
        at += std::countr_zero(odd) / 8;
        break;
      }
      at += 8;
    }
  }
  while (at < end && is(*at, kValue)) ++at;
  return at;
}

}  // namespace rota::http
