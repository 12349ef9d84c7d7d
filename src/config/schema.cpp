#include "rota/config/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "json_writer.h"
#include "rota/config/keys.h"
#include "table.h"

namespace rota::config {

namespace {

constexpr std::string_view kVariable = "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\\}";
constexpr std::string_view kTime = "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$";
constexpr std::string_view kSize = "^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)$";
constexpr std::string_view kAppName = "^[a-z0-9][a-z0-9_-]{0,31}$";

class SchemaWriter {
 public:
  std::string run() {
    json_.begin_object();
    json_.field("$schema", "https://json-schema.org/draft/2020-12/schema");
    json_.field("$id", "urn:rota:config");
    json_.field("title", "rota configuration");
    mapping(file_table());
    required({"apps"});
    json_.key("$defs");
    json_.begin_object();
    definitions();
    json_.end_object();
    json_.end_object();
    return json_.take();
  }

 private:
  void reference(std::string_view name) {
    json_.begin_object();
    json_.field("$ref", fmt::format("#/$defs/{}", name));
    json_.end_object();
  }
  void required(std::initializer_list<std::string_view> names) {
    json_.key("required");
    json_.begin_list();
    for (std::string_view name : names) json_.text(name);
    json_.end_list();
  }
  void types(std::initializer_list<std::string_view> names) {
    json_.key("type");
    json_.begin_list();
    for (std::string_view name : names) json_.text(name);
    json_.end_list();
  }
  void text_like(std::string_view pattern) {
    json_.begin_object();
    json_.field("type", "string");
    if (pattern.empty()) {
      json_.key("minLength");
      json_.number(1);
    } else {
      json_.field("pattern", pattern);
    }
    json_.end_object();
  }
  void number_in(Range range) {
    json_.begin_object();
    json_.field("type", "integer");
    json_.key("minimum");
    json_.number(range.min);
    json_.key("maximum");
    json_.number(range.max);
    json_.end_object();
  }
  void words(std::span<const Choice> choices) {
    if (choices.empty()) return;
    json_.begin_object();
    json_.key("enum");
    json_.begin_list();
    for (const Choice& choice : choices) json_.text(choice.name);
    json_.end_list();
    json_.end_object();
  }

  void definitions() {
    json_.key("variable");
    json_.begin_object();
    json_.field("description", "A value with ${NAME} or ${NAME:-default} in it.");
    json_.field("type", "string");
    json_.field("pattern", kVariable);
    json_.end_object();
    json_.key("time");
    text_like(kTime);
    json_.key("size");
    text_like(kSize);
    json_.key("app");
    json_.begin_object();
    mapping(kAppTable);
    command_or_servers();
    json_.end_object();
  }

  // The fields of an object's schema; the object is open.
  void mapping(const Mapping& mapping) {
    json_.field("type", "object");
    json_.key("properties");
    json_.begin_object();
    for (const Key& key : mapping.keys) {
      json_.key(key.name);
      value(key);
    }
    json_.end_object();
    json_.key("additionalProperties");
    json_.boolean(false);
  }

  void command_or_servers() {
    json_.key("oneOf");
    json_.begin_list();
    for (std::string_view one : {"command", "servers"}) {
      json_.begin_object();
      required({one});
      json_.key("properties");
      json_.begin_object();
      for (const Key& key : kAppTable.keys) {
        bool is_excluded = one == "servers" ? key.spawned_only : key.name == "servers";
        if (!is_excluded) continue;
        json_.key(key.name);
        json_.boolean(false);
      }
      json_.end_object();
      json_.end_object();
    }
    json_.end_list();
  }

  void value(const Key& key) {
    json_.begin_object();
    std::string limits = limits_of(key);
    json_.field("description", fmt::format("{}{}{} Takes effect: {}.", key.doc, limits.empty() ? "" : " From ",
                                           limits.empty() ? "" : limits + ".", effect_of(key)));
    initial(key);
    if (key.inner == &kAppTable) {
      apps();
    } else if (key.type == Type::mapping) {
      mapping(*key.inner);
    } else {
      json_.key("anyOf");
      json_.begin_list();
      forms(key);
      json_.end_list();
    }
    json_.end_object();
  }

  void initial(const Key& key) {
    if (key.initial.empty()) return;
    json_.key("default");
    bool is_amount = key.type == Type::number || key.type == Type::size;
    if (is_amount && key.initial.find_first_not_of("0123456789") == std::string_view::npos) {
      json_.number(std::stoll(std::string(key.initial)));
    } else if (key.type == Type::boolean) {
      json_.boolean(key.initial == "true");
    } else if (key.initial == "[]") {
      json_.begin_list();
      json_.end_list();
    } else {
      json_.text(key.initial);
    }
  }

  void apps() {
    json_.field("type", "object");
    json_.key("minProperties");
    json_.number(1);
    json_.key("patternProperties");
    json_.begin_object();
    json_.key(kAppName);
    reference("app");
    json_.end_object();
    json_.key("additionalProperties");
    json_.boolean(false);
  }

  // What the value may be, one form after the other; a list is open.
  void forms(const Key& key) {
    switch (key.type) {
      case Type::time: reference("time"); break;
      case Type::size:
        reference("size");
        if (key.range.min == 0) number_in({0, 0});
        break;
      case Type::number: number_in(key.range); break;
      case Type::boolean:
        json_.begin_object();
        json_.field("type", "boolean");
        json_.end_object();
        break;
      case Type::text:
        json_.begin_object();
        types({"string", "integer"});  // a user's number
        json_.key("minLength");
        json_.number(1);
        json_.end_object();
        return;
      case Type::path: return text_like("");
      case Type::other: return other(key);
      case Type::choice:
      case Type::mapping: break;
    }
    words(key.choices);
    reference("variable");
  }

  void other(const Key& key) {
    const Shape& shape = key.shape;
    if (shape.text) single(key);
    if (key.inner != nullptr) {
      json_.begin_object();
      mapping(*key.inner);
      if (shape.list) required({key.inner->keys[0].name});  // a list's mappings say what they are about first
      json_.end_object();
    }
    if (shape.list) list(key);
    if (shape.texts) texts();
  }

  void single(const Key& key) {
    text_like(key.shape.pattern.empty() ? "" : fmt::format("^({})$", key.shape.pattern));
    if (!key.shape.pattern.empty()) reference("variable");
    if (key.shape.numbers.max > 0) number_in(key.shape.numbers);
  }

  void list(const Key& key) {
    json_.begin_object();
    json_.field("type", "array");
    json_.key("minItems");
    json_.number(key.shape.may_be_empty ? 0 : 1);
    json_.key("items");
    json_.begin_object();
    if (key.shape.any_scalar) {
      types({"string", "number", "boolean"});
    } else {
      json_.key("anyOf");
      json_.begin_list();
      single(key);
      if (key.inner != nullptr) {
        json_.begin_object();
        mapping(*key.inner);
        required({key.inner->keys[0].name});
        json_.end_object();
      }
      json_.end_list();
    }
    json_.end_object();
    json_.end_object();
  }

  void texts() {
    json_.begin_object();
    json_.field("type", "object");
    json_.key("propertyNames");
    json_.begin_object();
    json_.field("pattern", "^[^=\\s]+$");
    json_.end_object();
    json_.key("additionalProperties");
    json_.begin_object();
    types({"string", "number", "boolean"});
    json_.end_object();
    json_.end_object();
  }

  JsonWriter json_;
};

}  // namespace

std::string json_schema() { return SchemaWriter().run(); }

}  // namespace rota::config
