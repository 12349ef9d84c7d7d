// How the tables write their rows: one function per type of key. For table.cpp and table_app.cpp alone.
#pragma once

#include "rota/config/units.h"
#include "setters.h"
#include "table.h"

namespace rota::config {

using Name = std::string_view;

constexpr Range times(Duration min, Duration max) { return {min.count(), max.count()}; }
constexpr Range sizes(Bytes min, Bytes max) {
  return {static_cast<std::int64_t>(min.count), static_cast<std::int64_t>(max.count)};
}
inline constexpr Range kWait = times(10ms, 24h);       // a timeout: 0 would mean "at once" and is nobody's wish
inline constexpr Range kWaitOrNone = times(0ms, 24h);  // a time that may be nothing
inline constexpr Bytes kSizeMost{1ULL << 40};

template <auto kMember>
constexpr Key time_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::time, initial, range, effect, doc, &set_time<kMember>};
}
template <auto kMember>
constexpr Key size_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::size, initial, range, effect, doc, &set_size<kMember>};
}
template <auto kMember>
constexpr Key number_key(Name name, Name initial, Range range, Effect effect, Name doc) {
  return {name, Type::number, initial, range, effect, doc, &set_number<kMember>};
}
template <auto kMember>
constexpr Key choice_key(Name name, Name initial, std::span<const Choice> choices, Effect effect, Name doc) {
  return {name, Type::choice, initial, {}, effect, doc, &set_choice<kMember>, choices};
}
template <auto kMember>
constexpr Key text_key(Name name, Name note, Effect effect, Name doc) {
  return {name, Type::text, "", {}, effect, doc, &set_text<kMember>, {}, nullptr, {}, note};
}
constexpr Key path_key(Name name, Name note, Setter set, Effect effect, Name doc) {
  return {name, Type::path, "", {}, effect, doc, set, {}, nullptr, {}, note};
}
constexpr Key mapping_key(Name name, const Mapping& inner, Setter set, Effect effect, Name doc) {
  return {name, Type::mapping, "", {}, effect, doc, set, {}, &inner, {}, "its keys' own"};
}
constexpr Key other_key(Name name, Name form, Shape shape, Name initial, Name note, Setter set, Effect effect, Name doc,
                        const Mapping* inner = nullptr) {
  return {name, Type::other, initial, {}, effect, doc, set, {}, inner, form, note, false, shape};
}
constexpr Key spawned(Key key) {
  key.spawned_only = true;
  return key;
}
constexpr Key with_range(Key key, Range range) {
  key.range = range;
  return key;
}

}  // namespace rota::config
