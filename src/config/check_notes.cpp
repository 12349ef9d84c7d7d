// What is no mistake, but seldom meant: said once, as a warning.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "check.h"
#include "rota/config/placeholders.h"
#include "rota/config/units.h"

namespace rota::config {

namespace {

constexpr std::uint32_t kGroupMayWrite = 0020;
constexpr std::size_t kLauncherWords = 5;  // "bundle exec puma", "python3 -m uvicorn"

// Servers that do not look at PORT, and how each is told of a Unix socket.
struct Server {
  std::string_view program;
  std::string_view option;
};
constexpr std::array<Server, 8> kServers{{{"gunicorn", "-b unix:{socket}"},
                                          {"uvicorn", "--uds {socket}"},
                                          {"hypercorn", "-b unix:{socket}"},
                                          {"daphne", "-u {socket}"},
                                          {"waitress-serve", "--unix-socket={socket} --unix-socket-perms=666"},
                                          {"puma", "-b unix://{socket}"},
                                          {"unicorn", "-l {socket}"},
                                          {"thin", "-S {socket}"}}};

bool has_socket(std::string_view text) { return text.find("{socket}") != std::string_view::npos; }

void note_missing_socket(CheckInput& input, const App& app) {
  bool is_told = std::any_of(app.command.begin(), app.command.end(), has_socket) ||
                 std::any_of(app.env.begin(), app.env.end(), [](const auto& one) { return has_socket(one.second); });
  for (std::size_t i = 0; !is_told && i < std::min(app.command.size(), kLauncherWords); ++i) {
    std::string_view word = app.command[i];
    word.remove_prefix(word.rfind('/') + 1);  // npos + 1 is 0
    auto server =
        std::find_if(kServers.begin(), kServers.end(), [&](const Server& one) { return one.program == word; });
    if (server == kServers.end()) continue;
    input.notes.push_back(
        fmt::format("app {} runs {} without {{socket}}, so its workers may listen where rota does not "
                    "look; add {} to the command, unless a file of its own says the same",
                    in_quotes(app.name), server->program, server->option));
    return;
  }
}

// In a list and in env braces may be part of any language, so that a slip is no mistake for sure. (In a command written
// as a text it is.) What variables bring is no slip of the file's.
void note_near_placeholders(CheckInput& input, const App& app) {
  auto note = [&](std::string_view text, const std::string& where) {
    auto near = find_near_placeholder(text);
    if (!near) return;
    input.notes.push_back(
        fmt::format("app {} has {} in {}, which is no placeholder and is handed on as it is; did you "
                    "mean {{{}}}?",
                    in_quotes(app.name), near->text, where, near->meant));
  };
  const std::string path = "apps." + app.name;
  if (const Node* command = input.reader.given(path + ".command"); command != nullptr) {
    for (const Node* word : command->items) note(word->source(), "its command");
  } else {
    for (const std::string& word : app.command) note(word, "its command");
  }
  if (const Node* env = input.reader.given(path + ".env"); env != nullptr) {
    for (const auto& [name, value] : env->entries) note(value->source(), "the variable " + in_quotes(name->text));
  }
}

// The app's own variables win over rota's. A PORT of its own is a wish from the time before rota more often than a
// plan.
void note_own_port(CheckInput& input, const App& app) {
  for (const auto& [name, value] : app.env) {
    if (name != "PORT" || has_socket(value)) continue;
    input.notes.push_back(
        fmt::format("app {} sets PORT in env or env_file, so its workers are not told by PORT where "
                    "rota expects them; remove it, unless they listen on {{socket}} or ROTA_SOCKET by "
                    "other means",
                    in_quotes(app.name)));
  }
}

void note_root(CheckInput& input, const App& app) {
  if (app.command.empty() || !app.user.empty() || ::geteuid() != 0) return;
  input.notes.push_back(fmt::format("workers of app {} run as root; name another user for them {}", in_quotes(app.name),
                                    input.config.file.empty() ? "in a configuration file (user:)" : "with user:"));
}

// The sockets that workers make get their permissions from it.
void note_umask(CheckInput& input, const App& app) {
  if ((app.umask & kGroupMayWrite) == 0 || ::geteuid() != 0) return;
  input.notes.push_back(
      fmt::format("app {} has umask {:04o}, which keeps the proxy from connecting to sockets that "
                  "workers make with it; leave the group its right to write, as 0007 does, unless the "
                  "server sets the permissions of its socket by itself",
                  in_quotes(app.name), app.umask));
}

// What the end of rota cuts short, of what the file says in so many words.
void note_shutdown(CheckInput& input) {
  const Shutdown& shutdown = input.config.shutdown;
  Duration longest{0};
  for (const App& app : input.config.apps) {
    longest = std::max(longest, app.stop.grace);
    if (app.stop.grace <= shutdown.for_workers(app.stop.grace)) continue;
    if (input.reader.given("apps." + app.name + ".stop.grace") == nullptr) continue;
    input.notes.push_back(fmt::format(
        "app {} has a stop.grace of {}, but when rota ends its workers may be killed after {}: half of "
        "shutdown.timeout, "
        "which is {}; raise that to {} at least",
        in_quotes(app.name), format_duration(app.stop.grace), format_duration(shutdown.for_workers(app.stop.grace)),
        format_duration(shutdown.timeout), format_duration(app.stop.grace * 2)));
  }
  Duration most = shutdown.for_clients(longest);
  if (shutdown.delay < most || shutdown.delay >= shutdown.timeout) return;
  input.notes.push_back(fmt::format(
      "shutdown.delay ({}) leaves clients no time to drain: of shutdown.timeout ({}) {} are left for both, as "
      "workers have the rest (stop.grace); raise shutdown.timeout",
      format_duration(shutdown.delay), format_duration(shutdown.timeout), format_duration(most)));
}

void note_trust(CheckInput& input) {
  for (const Network& network : input.config.trusted_proxies.networks) {
    bool is_all_v4 = network.prefix == 96 && network.address[10] == 0xFF && network.address[0] == 0;
    if (network.prefix != 0 && !is_all_v4) continue;
    input.notes.push_back(
        "trusted_proxies has a network of all addresses: whoever can connect can claim to be any client");
    return;
  }
}

}  // namespace

void add_notes(CheckInput& input) {
  note_trust(input);
  note_shutdown(input);
  for (const App& app : input.config.apps) {
    if (app.name.empty()) continue;
    note_near_placeholders(input, app);
    note_own_port(input, app);
    note_missing_socket(input, app);
    note_umask(input, app);
    note_root(input, app);
  }
}

}  // namespace rota::config
