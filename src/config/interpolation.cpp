#include "rota/config/interpolation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "rota/config/units.h"

namespace rota::config {

namespace {

bool is_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_start(c) || (c >= '0' && c <= '9'); }

std::string_view name_at_start(std::string_view text) {
  std::size_t length = 0;
  if (!text.empty() && is_start(text[0])) {
    while (length < text.size() && is_name(text[length])) ++length;
  }
  return text.substr(0, length);
}

// What stands between the braces.
struct Reference {
  std::string_view name;
  std::optional<std::string_view> fallback;
  std::string wrong;
};

Reference read_reference(std::string_view inside) {
  Reference reference;
  reference.name = name_at_start(inside);
  std::string_view rest = inside.substr(reference.name.size());
  if (reference.name.empty()) {
    reference.wrong = "no variable is named here; write ${NAME}, or $${ for the characters themselves";
  } else if (rest.substr(0, 2) == ":-") {
    reference.fallback = rest.substr(2);
    if (reference.fallback->find('{') != std::string_view::npos) {
      reference.wrong = "a default cannot contain \"{\", so none can be inside another";
    }
  } else if (!rest.empty()) {
    reference.wrong = fmt::format("only ${{{0}}} and ${{{0}:-default}} are known", reference.name);
  }
  return reference;
}

}  // namespace

bool names_a_secret(std::string_view variable) {
  constexpr std::array<std::string_view, 8> kSecrets{"SECRET",     "PASS", "TOKEN",   "KEY",
                                                     "CREDENTIAL", "DSN",  "PRIVATE", "AUTH"};
  std::string upper(variable);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return std::any_of(kSecrets.begin(), kSecrets.end(),
                     [&](std::string_view word) { return upper.find(word) != std::string::npos; });
}

// Up to the next blank, as a password may have any character where somebody has not escaped it.
bool has_a_password(std::string_view value) {
  constexpr std::string_view kMark = "://";
  for (std::size_t at = 0; (at = value.find(kMark, at)) != std::string_view::npos; at += kMark.size()) {
    std::string_view rest = value.substr(at + kMark.size());
    rest = rest.substr(0, rest.find_first_of(" \t\r\n"));
    if (rest.substr(0, rest.rfind('@') + 1).find(':') != std::string_view::npos) return true;  // npos + 1 is 0
  }
  return false;
}

std::size_t reference_length(std::string_view text) {
  if (text.substr(0, 2) != "${") return 0;
  std::size_t end = text.find('}');
  return end == std::string_view::npos ? 0 : end + 1;
}

Interpolated interpolate(std::string_view source) {
  Interpolated out;
  for (std::size_t i = 0; i < source.size() && out.text.size() <= kInterpolatedMax;) {
    std::string_view rest = source.substr(i);
    if (rest.substr(0, 3) == "$${") {
      out.text += "${";
      i += 3;
      continue;
    }
    if (rest.substr(0, 2) != "${") {
      out.text += rest[0];
      ++i;
      continue;
    }
    std::size_t length = reference_length(rest);
    if (length == 0) {
      out.problem = {i, 2, "this \"${\" is not closed; write \"}\" after the variable, or $${ for the characters"};
      return out;
    }
    Reference reference = read_reference(rest.substr(2, length - 3));
    const char* value = reference.wrong.empty() ? std::getenv(std::string(reference.name).c_str()) : nullptr;
    bool use_fallback = reference.fallback && (value == nullptr || *value == '\0');
    if (reference.wrong.empty() && value == nullptr && !use_fallback) {
      reference.wrong =
          fmt::format("the environment variable {0} is not set; set it, or write ${{{0}:-...}} with a default",
                      reference.name.substr(0, 64));
    }
    if (!reference.wrong.empty()) {
      out.problem = {i, length, std::move(reference.wrong)};
      return out;
    }
    std::string_view text = use_fallback ? *reference.fallback : std::string_view(value);
    out.inserted.push_back({out.text.size(), text.size()});
    out.text += text;
    out.from_environment = true;
    out.secret = out.secret || (!use_fallback && (names_a_secret(reference.name) || has_a_password(text)));
    i += length;
  }
  return out;
}

}  // namespace rota::config
