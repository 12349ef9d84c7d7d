// Every key of the file as facts: what the documentation is checked against. They come from the very table that the
// parser works by, so nothing can be documented that is not read, and nothing read that is not documented.
#pragma once

#include <string>
#include <vector>

namespace rota::config {

struct KeyFacts {
  std::string path;           // "timeouts.header"; an app's name is NAME: "apps.NAME.health.path"
  std::string type;           // "time", "size", "number", "text", "path", "mapping", "auto | http", or a longer form
  std::string initial;        // the default as the file would write it; empty: none that could be written
  std::string initial_shown;  // the default for people: `initial`, or a phrase
  std::string limits;         // "10ms to 1h"; empty: none
  std::string effect;         // when a change takes effect
  std::string doc;            // one line
  bool spawned_only = false;  // has no meaning for an app with servers
};

std::vector<KeyFacts> all_keys();

// Keys that are planned and refused with a message of their own, with the same kind of paths.
std::vector<std::string> later_keys();

}  // namespace rota::config
