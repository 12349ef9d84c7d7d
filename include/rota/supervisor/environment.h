// What a process is started with: environment, arguments, user. Pure, from configuration to spawn spec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/config.h"
#include "rota/ipc/keeper_protocol.h"
#include "rota/sys/user.h"

namespace rota::supervisor {

// Rota's own environment ("NAME=value"), less what speaks to rota and not to its workers: the notification socket and
// watchdog of systemd (an app would report itself as us), passed listeners, the journal stream (our stderr is a pipe),
// and Node's own channel to a parent.
std::vector<std::string> inherited_environment(const char* const* environ_now);

struct WorkerPlace {
  std::uint32_t slot = 0;
  std::string socket;  // absolute
};
// change_to: the app's user when it is not ours.
ipc::SpawnSpec worker_spec(const config::App& app, const WorkerPlace& place, const std::optional<sys::User>& change_to,
                           const std::vector<std::string>& inherited);

// Why the program never ran, one clause: what the trampoline reports, and what to do where that is not plain.
std::string explain_spawn_failure(std::string_view step, int error, std::string_view detail);

// The proxy needs no secrets, so it gets none: time zone, journal and sanitizer settings only.
ipc::SpawnSpec proxy_spec(const std::string& runtime_dir, const std::optional<sys::User>& change_to,
                          const char* const* environ_now);

// {slot} and {socket} replaced; {{slot}} becomes {slot} (config/placeholders.h).
std::string fill_placeholders(std::string_view text, const WorkerPlace& place);

}  // namespace rota::supervisor
