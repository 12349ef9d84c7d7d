// Routes against each other and against what is listened on.
#include <fmt/format.h>

#include <map>
#include <tuple>

#include "check.h"
#include "rota/config/route.h"
#include "rota/config/units.h"

namespace rota::config {

namespace {

std::string listeners_shown(const Config& config) {
  std::string out;
  for (const Listener& one : config.listen) out += (out.empty() ? "" : ", ") + one.address.text();
  return out;
}

bool is_meant(const WrittenRoute& route, const Address& address) {
  if (address.kind == Address::Kind::unix_path) return !route.unix_path.empty() && address.path == route.unix_path;
  return route.port && address.port == *route.port;
}

// Was every entry of `listen` understood? If not, a route may name one that was not, and nothing is said of it.
bool listen_is_whole(const CheckInput& input) {
  const Node* given = input.reader.given("listen");
  if (given == nullptr || given->kind != Node::Kind::sequence) return given == nullptr || !input.config.listen.empty();
  return given->items.size() <= input.config.listen.size() || input.listen_overridden;
}

void find_listeners(CheckInput& input, Route& route, Span span) {
  auto written = parse_route(route.text);
  if (!written || !written->names_listener()) return;
  const Config& config = input.config;
  for (std::uint32_t i = 0; i < config.listen.size(); ++i) {
    if (is_meant(*written, config.listen[i].address)) route.listeners.push_back(i);
  }
  if (!route.listeners.empty() || !listen_is_whole(input)) return;
  std::string wanted = written->port ? fmt::format("port {}", *written->port) : in_quotes("unix:" + written->unix_path);
  input.reader.problems().add(span, fmt::format("\"routes\" names {}, which is not listened on; there is {}", wanted,
                                                in_quotes(listeners_shown(config))));
}

void check_duplicates(CheckInput& input) {
  struct First {
    const App* app;
    int line;
  };
  std::map<std::tuple<std::string, std::string, std::vector<std::uint32_t>>, First> seen;
  for (const App& app : input.config.apps) {
    for (std::size_t i = 0; i < app.routes.size(); ++i) {
      const Route& route = app.routes[i];
      Span span = input.reader.given_span(fmt::format("apps.{}.routes.{}", app.name, i));
      auto [first, is_new] = seen.try_emplace({route.host, route.path, route.listeners}, First{&app, span.line});
      if (is_new) continue;
      std::string shown = input.reader.shown(fmt::format("apps.{}.routes.{}", app.name, i), route.text);
      std::string whose = first->second.app == &app ? std::string("this app")
                                                    : fmt::format("app {}", in_quotes(first->second.app->name));
      input.reader.problems().add(
          span, fmt::format("the route {} belongs to {} already, in line {}", shown, whose, first->second.line));
    }
  }
}

// One app at most can have what no route matches.
void check_rest(CheckInput& input) {
  const App* rest = nullptr;
  for (const App& app : input.config.apps) {
    bool has_routes = !app.routes.empty() || input.reader.given(fmt::format("apps.{}.routes", app.name)) != nullptr;
    if (app.name.empty() || has_routes) continue;
    if (rest == nullptr) {
      rest = &app;
      continue;
    }
    input.reader.problems().add(
        {app.place.line, static_cast<std::size_t>(app.place.column - 1), app.name.size()},
        fmt::format("app {} has no routes, and neither has app {} in line {}: one app alone can have what no route "
                    "matches; add routes: such as example.com, /api or \":9090\"",
                    in_quotes(app.name), in_quotes(rest->name), rest->place.line));
  }
}

}  // namespace

void check_routes(CheckInput& input) {
  for (App& app : input.config.apps) {
    for (std::size_t i = 0; i < app.routes.size(); ++i) {
      find_listeners(input, app.routes[i], input.reader.given_span(fmt::format("apps.{}.routes.{}", app.name, i)));
    }
  }
  check_duplicates(input);
  check_rest(input);
}

}  // namespace rota::config
