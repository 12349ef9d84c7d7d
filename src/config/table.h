// The shape of the table of keys: a Mapping has Keys, a Key knows its type, default, limits and how to store its value.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rota::config {

class Reader;
struct Key;
struct Mapping;
struct Node;

enum class Type { time, size, number, boolean, choice, text, path, mapping, other };

// When a change of the key takes effect.
enum class Effect {
  reload,   // with the next reload, on open connections too
  workers,  // with the next reload, by new workers
  upgrade,  // with the next upgrade or start
};

// Milliseconds, bytes or a count.
struct Range {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

struct Choice {
  std::string_view name;
  int value;
};

// What a value of type `other` may look like, as far as a schema can say it. A key with `inner` may be a mapping, too.
struct Shape {
  bool text = false;              // one text, of this pattern if there is one
  std::string_view pattern = {};  // ECMA 262; matches all of the text
  Range numbers = {};             // what it may be if it is written as a number
  bool list = false;              // several of the above
  bool may_be_empty = false;      // the list
  bool any_scalar = false;        // whatever stands in the list is a text
  bool texts = false;             // a mapping of free names to texts
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
  std::span<const Choice> choices = {};  // choice: all there are; time, size, number: words that may stand instead
  const Mapping* inner = nullptr;        // mapping, and `other` that may be one
  std::string_view form = {};            // `other`: the type in words
  std::string_view initial_note = {};
  bool spawned_only = false;  // an error beside `servers`
  Shape shape = {};           // other
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
extern const Mapping kAppTable;

// "a time such as 5s", "a whole number or auto"
std::string expected(const Key& key);
std::string limits_of(const Key& key);  // "10ms to 24h", or nothing
std::string effect_of(const Key& key);
// "wait or fail"
std::string names_of(std::span<const Choice> choices);

}  // namespace rota::config
