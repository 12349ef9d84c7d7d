// The schema against the table: every key is in it with its sentence and default, and nothing else is.
#include "rota/config/schema.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "rota/config/keys.h"

using namespace rota::config;
using Json = nlohmann::json;

namespace {

void collect(const Json& schema, const Json& whole, const std::string& prefix, std::map<std::string, Json>& found) {
  if (schema.contains("$ref")) {
    std::string name = schema["$ref"].get<std::string>().substr(std::string("#/$defs/").size());
    if (name == "app") collect(whole["$defs"][name], whole, prefix, found);
  }
  if (schema.contains("patternProperties")) {
    for (const auto& [pattern, inner] : schema["patternProperties"].items())
      collect(inner, whole, prefix + "NAME.", found);
  }
  if (schema.contains("properties")) {
    CHECK(schema["additionalProperties"] == false);
    for (const auto& [name, inner] : schema["properties"].items()) {
      found[prefix + name] = inner;
      collect(inner, whole, prefix + name + ".", found);
    }
  }
  for (const char* several : {"anyOf"}) {
    if (!schema.contains(several)) continue;
    for (const Json& inner : schema[several]) collect(inner, whole, prefix, found);
  }
}

}  // namespace

TEST_CASE("the schema has exactly the keys of the table") {
  Json schema = Json::parse(json_schema());
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["additionalProperties"] == false);
  std::map<std::string, Json> found;
  collect(schema, schema, "", found);
  for (const KeyFacts& key : all_keys()) {
    INFO(key.path);
    REQUIRE(found.count(key.path) == 1);
    const Json& one = found[key.path];
    CHECK(one["description"].get<std::string>().find(key.doc) == 0);
    if (!key.limits.empty()) CHECK(one["description"].get<std::string>().find(key.limits) != std::string::npos);
    if (key.initial.empty()) {
      CHECK_FALSE(one.contains("default"));
    } else {
      CHECK((one["default"].is_string() ? one["default"].get<std::string>() : one["default"].dump()) == key.initial);
    }
    found.erase(key.path);
  }
  for (const auto& [path, inner] : found) {
    INFO("no such key: " << path);
    CHECK(false);
  }
}
