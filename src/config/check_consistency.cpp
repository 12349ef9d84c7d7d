#include <fmt/format.h>

#include <map>
#include <string>

#include "check.h"
#include "rota/config/units.h"
#include "rota/sys/file_id.h"

namespace rota::config {

namespace {

void check_command_or_servers(CheckInput& input, const App& app) {
  const std::string path = "apps." + app.name;
  Reader& reader = input.reader;
  const Node* servers = reader.given(path + ".servers");
  const Node* command = reader.given(path + ".command");
  if (servers == nullptr && command == nullptr && app.command.empty()) {
    reader.problems().add({app.place.line, static_cast<std::size_t>(app.place.column - 1), app.name.size()},
                          fmt::format("app {} needs a command (rota starts its workers) or servers (which run already)",
                                      in_quotes(app.name)));
  }
  if (servers == nullptr) return;
  for (const Key& key : kAppTable.keys) {
    if (!key.spawned_only) continue;
    const Node* given = reader.given(path + "." + std::string(key.name));
    if (given == nullptr) continue;
    reader.problems().add(given->span, key.name == "command"
                                           ? std::string("an app has a command or servers, not both")
                                           : fmt::format("\"{}\" has no meaning for an app with servers", key.name));
  }
}

void check_app(CheckInput& input, const App& app) {
  const std::string path = "apps." + app.name;
  Problems& problems = input.reader.problems();
  check_command_or_servers(input, app);
  const Node* health = input.reader.given(path + ".health");
  bool path_is_given = (health != nullptr && health->kind == Node::Kind::scalar) ||
                       input.reader.given(path + ".health.path") != nullptr;  // then a bad one, which is told already
  if (app.ready == Ready::http && app.health.path.empty() && !path_is_given) {
    problems.add(input.reader.given_span(path + ".ready"),
                 fmt::format("\"ready\" is http, which needs a path to ask; add {}",
                             health == nullptr ? "health: /healthz" : "path: /healthz to \"health\""));
  }
  if (app.restart.delay > app.restart.max_delay) {
    const Node* delay = input.reader.given(path + ".restart.delay");
    std::string at = path + (delay != nullptr ? ".restart.delay" : ".restart.max_delay");
    problems.add(input.reader.given_span(at),
                 fmt::format("\"delay\" ({}) is longer than \"max_delay\" ({})", format_duration(app.restart.delay),
                             format_duration(app.restart.max_delay)));
  }
}

// A peer that is not trusted has no say in the client's address, so its connections would all be refused.
void check_proxy_protocol(CheckInput& input, std::size_t index) {
  const Config& config = input.config;
  const Listener& listener = config.listen[index];
  const Node* given = input.reader.given(fmt::format("listen.{}.proxy_protocol", index));
  if (!listener.proxy_protocol || given == nullptr) return;
  const TrustedProxies& trusted = config.trusted_proxies;
  bool is_unix = listener.address.kind == Address::Kind::unix_path;
  if (is_unix ? trusted.unix_peers : !trusted.networks.empty()) return;
  input.reader.problems().add(
      given->span,
      fmt::format("\"proxy_protocol\" is refused from peers that are not trusted, and none of this listener is: add {}",
                  is_unix ? "trusted_proxies: [unix]" : "trusted_proxies with the addresses of the proxies in front"));
}

// Each of two writers would rename the file away from under the other. A pipe or /dev/null is nobody's to rename.
void check_log_files(CheckInput& input) {
  struct Owner {
    std::string what;
    std::string path;
  };
  const Config& config = input.config;
  std::map<sys::FileId, Owner> owners;
  if (config.access_log.to == AccessLog::To::file) {
    if (auto id = sys::file_id(config.access_log.path)) owners[*id] = {"the access log", config.access_log.path};
  }
  for (const App& app : config.apps) {
    if (app.log.file.empty()) continue;
    auto id = sys::file_id(app.log.file);
    if (!id) continue;
    auto [owner, is_first] = owners.emplace(*id, Owner{"app " + in_quotes(app.name), app.log.file});
    if (is_first) continue;
    const std::string path = "apps." + app.name + ".log.file";
    std::string_view also = owner->second.path == app.log.file ? "" : ", under another name";
    input.reader.problems().add(input.reader.given_span(path),
                                fmt::format("\"file\": {} is written to {} already{}; each needs a file of its own",
                                            owner->second.what, input.reader.shown(path, app.log.file), also));
  }
}

// One log is in one format: what workers print between rota's own lines follows these, unless the app says otherwise.
void settle_log_formats(CheckInput& input) {
  if (input.config.log_format != log::Format::json) return;
  for (App& app : input.config.apps) {
    if (!app.log.file.empty() || input.reader.given("apps." + app.name + ".log.format") != nullptr) continue;
    app.log.format = AppLog::Format::json;
  }
}

// Named where the sum passes the limit.
void check_workers_in_all(CheckInput& input) {
  std::uint64_t workers = 0;
  Span passed;
  for (const App& app : input.config.apps) {
    bool is_below = workers <= kWorkersMax;
    workers += app.workers;
    if (is_below && workers > kWorkersMax) passed = input.reader.given_span("apps." + app.name + ".workers");
  }
  if (workers > kWorkersMax) {
    input.reader.problems().add(passed, fmt::format("{} workers in all; {} are possible", workers, kWorkersMax));
  }
}

}  // namespace

void check_consistency(CheckInput& input) {
  settle_log_formats(input);
  check_log_files(input);
  const Config& config = input.config;
  Reader& reader = input.reader;
  Problems& problems = reader.problems();
  if (config.limits.target > config.limits.head) {
    std::string at = reader.given("limits.target") != nullptr ? "limits.target" : "limits.head";
    problems.add(reader.given_span(at),
                 fmt::format("\"target\" ({}) cannot be larger than \"head\" ({})", format_size(config.limits.target),
                             format_size(config.limits.head)));
  }
  if (config.shutdown.delay >= config.shutdown.timeout) {
    std::string at = reader.given("shutdown.delay") != nullptr ? "shutdown.delay" : "shutdown.timeout";
    problems.add(reader.given_span(at),
                 fmt::format("\"delay\" ({}) must be shorter than \"timeout\" ({})",
                             format_duration(config.shutdown.delay), format_duration(config.shutdown.timeout)));
  }
  for (std::size_t i = 0; i < config.listen.size(); ++i) check_proxy_protocol(input, i);
  check_workers_in_all(input);
  for (const App& app : config.apps) {
    if (!app.name.empty()) check_app(input, app);
  }
}

}  // namespace rota::config
