// Users and groups by name. Uses NSS (may read files, ask a server): at start and reload only, never on a loop that
// serves.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rota/base/result.h"

namespace rota::sys {

struct User {
  std::string name;  // "" for a number without an entry
  uid_t uid = 0;
  gid_t gid = 0;                      // primary group
  std::vector<std::uint32_t> groups;  // supplementary, the primary included
  std::string home;
};
// A name or a number. not_found: there is no such user (a bare number is always found; its gid is then the same
// number).
Result<User> find_user(const std::string& name);
// not_found when the uid has no entry.
Result<User> find_user_by_id(uid_t uid);
// A name or a number.
Result<gid_t> find_group(const std::string& name);

}  // namespace rota::sys
