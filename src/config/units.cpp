// Integer arithmetic throughout: a float would turn 0.1s into something that is not 100 ms.
#include "rota/config/units.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <optional>
#include <span>

#include "rota/base/json.h"

namespace rota::config {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 5> kTimes{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> kSizes{{{"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};
constexpr std::uint64_t kTimeMax = 1000ULL * 86'400'000;  // far above every key's own limit, far below overflow
constexpr std::uint64_t kSizeMax = 1ULL << 60;
constexpr std::size_t kQuotedMax = 64;

// What people write for a unit that has another name here.
struct Alias {
  std::string_view written;
  std::string_view meant;
};
constexpr std::array<Alias, 14> kTimeAliases{{{"sec", "s"},
                                              {"secs", "s"},
                                              {"second", "s"},
                                              {"seconds", "s"},
                                              {"S", "s"},
                                              {"msec", "ms"},
                                              {"min", "m"},
                                              {"mins", "m"},
                                              {"minute", "m"},
                                              {"minutes", "m"},
                                              {"hour", "h"},
                                              {"hours", "h"},
                                              {"day", "d"},
                                              {"days", "d"}}};
constexpr std::array<Alias, 14> kSizeAliases{{{"b", "B"},
                                              {"k", "KiB"},
                                              {"K", "KiB"},
                                              {"kb", "KiB"},
                                              {"kB", "KiB"},
                                              {"KB", "KiB"},
                                              {"kib", "KiB"},
                                              {"m", "MiB"},
                                              {"M", "MiB"},
                                              {"mb", "MiB"},
                                              {"MB", "MiB"},
                                              {"g", "GiB"},
                                              {"G", "GiB"},
                                              {"GB", "GiB"}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Amount {
  std::string_view whole;
  std::string_view fraction;  // digits after the point
  std::string_view unit;
};

std::optional<Amount> split_amount(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && is_digit(text[i])) ++i;
  if (i == 0) return std::nullopt;
  Amount amount{text.substr(0, i), {}, {}};
  if (i < text.size() && text[i] == '.') {
    std::size_t start = ++i;
    while (i < text.size() && is_digit(text[i])) ++i;
    if (i == start) return std::nullopt;
    amount.fraction = text.substr(start, i - start);
  }
  if (i < text.size() && text[i] == ' ') ++i;  // "5 s" is understood, and refused below with the right spelling
  amount.unit = text.substr(i);
  return amount;
}

// digits * factor, or nothing when that passes `max`.
std::optional<std::uint64_t> multiplied(std::string_view digits, std::uint64_t factor, std::uint64_t max) {
  std::uint64_t value = 0;
  for (char c : digits) {
    auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (max - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  if (value > max / factor) return std::nullopt;
  return value * factor;
}

// 0.`fraction` * factor, if that is a whole number.
std::optional<std::uint64_t> fraction_of(std::string_view fraction, std::uint64_t factor) {
  while (!fraction.empty() && fraction.back() == '0') fraction.remove_suffix(1);
  if (fraction.size() > 9) return std::nullopt;
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (char c : fraction) {
    numerator = numerator * 10 + static_cast<std::uint64_t>(c - '0');
    denominator *= 10;
  }
  std::uint64_t product = numerator * factor;  // below 1e9 * 2^30
  if (product % denominator != 0) return std::nullopt;
  return product / denominator;
}

Error bad(std::string context) { return Error{Errc::invalid, 0, std::move(context)}; }

struct Grammar {
  std::span<const Unit> units;
  std::span<const Alias> aliases;
  std::string_view kind;      // "a time"
  std::string_view examples;  // "250ms, 5s, 1m, 2h"
  std::string_view smallest;  // "a whole number of milliseconds"
  std::uint64_t max;
};
constexpr Grammar kTime{kTimes,  kTimeAliases, "a time", "250ms, 5s, 1m, 2h or 1d", "a whole number of milliseconds",
                        kTimeMax};
constexpr Grammar kSize{kSizes,  kSizeAliases, "a size", "512B, 32KiB, 8MiB or 1GiB", "a whole number of bytes",
                        kSizeMax};

Result<std::uint64_t> parse_amount(std::string_view text, const Grammar& grammar) {
  auto amount = split_amount(text);
  if (!amount) {
    return bad(fmt::format("must be {} such as {}, not {}", grammar.kind, grammar.examples, in_quotes(text)));
  }
  std::string_view digits =
      text.substr(0, amount->fraction.data() != nullptr ? amount->whole.size() + 1 + amount->fraction.size()
                                                        : amount->whole.size());
  if (amount->unit.empty()) {
    return bad(grammar.units.size() == kTimes.size()
                   ? fmt::format("needs a unit; write {}s", digits)
                   : fmt::format("needs a unit; write {0}KiB, {0}MiB or {0}GiB", digits));
  }
  for (const Unit& unit : grammar.units) {
    if (unit.name != amount->unit) continue;
    if (text.size() != digits.size() + unit.name.size()) {
      return bad(fmt::format("has a space before its unit; write {}{}", digits, unit.name));
    }
    auto whole = multiplied(amount->whole, unit.factor, grammar.max);
    if (!whole) return bad(fmt::format("is too large: {}", in_quotes(text)));
    auto part = fraction_of(amount->fraction, unit.factor);
    if (!part) return bad(fmt::format("must be {}, not {}", grammar.smallest, in_quotes(text)));
    return *whole + *part;
  }
  for (const Alias& alias : grammar.aliases) {
    if (alias.written == amount->unit) {
      return bad(fmt::format("has the unknown unit {}; write {}{}", in_quotes(amount->unit), digits, alias.meant));
    }
  }
  if (amount->unit.find_first_of("0123456789") != std::string_view::npos) {
    return bad(fmt::format("has more than one unit; write {} in one, such as {}", grammar.kind, grammar.examples));
  }
  return bad(fmt::format("has the unknown unit {}; write {} such as {}", in_quotes(amount->unit), grammar.kind,
                         grammar.examples));
}

std::string format_with(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) best = &unit;
  }
  if (value == 0 && units.size() > 1 && units[1].factor == 1000) best = &units[1];  // "0s" reads better than "0ms"
  return fmt::format("{}{}", value / best->factor, best->name);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  auto value = parse_amount(text, kTime);
  if (!value) return value.error();
  return Duration{static_cast<Duration::rep>(*value)};
}

Result<Bytes> parse_size(std::string_view text) {
  if (text == "0") return Bytes{0};
  auto value = parse_amount(text, kSize);
  if (!value) return value.error();
  return Bytes{*value};
}

Result<std::uint64_t> parse_count(std::string_view text) {
  bool digits = !text.empty();
  for (char c : text) digits = digits && is_digit(c);
  if (!digits) return bad(fmt::format("must be a whole number, not {}", in_quotes(text)));
  auto value = multiplied(text, 1, std::numeric_limits<std::uint32_t>::max());
  if (!value) return bad(fmt::format("is too large: {}", in_quotes(text)));
  return *value;
}

std::string format_duration(Duration duration) {
  return format_with(static_cast<std::uint64_t>(duration.count()), std::span(kTimes).first(4));
}

std::string format_size(Bytes size) { return format_with(size.count, kSizes); }

std::string in_quotes(std::string_view text) {
  std::size_t cut = text.size();
  if (cut > kQuotedMax) {
    cut = kQuotedMax;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) --cut;  // never inside a character
  }
  std::string out;
  append_json_string(out, text.substr(0, cut));
  if (cut < text.size()) out.insert(out.size() - 1, "...");
  return out;
}

}  // namespace rota::config
