// What a worker is started with: a configuration of its app, once and for all. A worker that dies comes back with the
// recipe of its slot, which may be an older one than the app's newest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "rota/config/config.h"
#include "rota/sys/user.h"

namespace rota::supervisor {

struct Recipe {
  std::shared_ptr<const config::App> app;  // owned by the slots that use it and by the app whose newest it is
  std::uint64_t hash = 0;                  // see config_hash()
  std::uint64_t generation = 1;            // counts the changes of the hash
  std::optional<sys::User> change_to;
};

}  // namespace rota::supervisor
