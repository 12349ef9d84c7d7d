// Which user a process becomes: only root can change users, and nobody changes to what he is. Asks the system's user
// database; at start and reload only.
#pragma once

#include <optional>
#include <string>

#include "rota/config/config.h"
#include "rota/supervisor/start_failure.h"
#include "rota/sys/user.h"

namespace rota::supervisor {

struct UserChoice {
  std::optional<sys::User> change_to;  // empty: it stays who we are
  Failure failure;
};
// what: "the proxy", "app web". group: empty for the user's own.
UserChoice choose_user(const std::string& user, const std::string& group, const std::string& what);
UserChoice choose_user(const config::App& app);

bool is_root();

}  // namespace rota::supervisor
