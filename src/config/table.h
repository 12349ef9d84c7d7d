// The shape of the table of keys: a Mapping has Keys, a Key knows its type, default, limits and how to store its value.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace rota::config {

class Reader;
struct Key;
struct Mapping;
struct Node;

enum class Type { time, size, number, choice, text, path, mapping, other };

// When a change of the key takes effect.
enum class Effect {
  reload,   // with the next reload, on open connections too
  workers,  // with the next reload, by new workers
  upgrade,  // with the next upgrade or start
};

// Milliseconds, bytes or a count. A number's zero may stand outside of it with a meaning of its own.
struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};

struct Choice {
  std::string_view name;
  int value;
};

// Stores `value` in `object`, the struct of the mapping that the key stands in, or adds problems.
using Setter = void (*)(Reader& reader, const Key& key, const Node& value, void* object);

struct Key {
  std::string_view name;
  Type type;
  std::string_view initial;  // the default as the file would write it; empty: there is none, or `initial_note` says it
  Range range;               // time, size, number
  Effect effect;
  std::string_view doc;
  Setter set;
  std::span<const Choice> choices = {};  // choice
  const Mapping* inner = nullptr;        // mapping, and `other` that may be one
  std::string_view form = {};            // `other`: the type in words
  std::string_view initial_note = {};
  bool spawned_only = false;  // an error beside `servers`
};

struct Mapping {
  std::string_view path;     // "", "timeouts", "apps.NAME"
  std::string_view example;  // "{header: 10s}"
  std::span<const Key> keys;
  std::span<const std::string_view> later;  // planned keys: refused as not available rather than unknown
};

// The whole file. Everything else hangs below it.
const Mapping& file_table();
// What stands below a name in `apps`.
const Mapping& app_table();

// "a time such as 5s"
std::string_view expected(const Key& key);

}  // namespace rota::config
