#include "rota/supervisor/users.h"

#include <fmt/format.h>
#include <unistd.h>

namespace rota::supervisor {

namespace {

StartFailure missing(const char* kind, const std::string& name, const std::string& what) {
  return {ExitCode::configuration,
          fmt::format("the {} {} of {} does not exist: create it, or name another one", kind, name, what)};
}
StartFailure not_root(const char* kind, const std::string& name, const std::string& what) {
  return {ExitCode::not_permitted,
          fmt::format("{} cannot become {} {}: only root may change users; start rota as root or as {}, or remove `{}`",
                      what, kind, name, name, kind)};
}

}  // namespace

bool is_root() { return ::geteuid() == 0; }

UserChoice choose_user(const std::string& user, const std::string& group, const std::string& what) {
  UserChoice choice;
  std::optional<sys::User> found;
  if (!user.empty()) {
    auto named = sys::find_user(user);
    if (!named) return {{}, missing("user", user, what)};
    if (named->uid != ::geteuid() && !is_root()) return {{}, not_root("user", user, what)};
    if (named->uid != ::geteuid()) found = std::move(*named);
  }
  if (!group.empty()) {
    auto gid = sys::find_group(group);
    if (!gid) return {{}, missing("group", group, what)};
    gid_t own = found ? found->gid : ::getegid();
    if (*gid != own && !is_root()) return {{}, not_root("group", group, what)};
    if (*gid != own) {
      if (!found) {  // the same user, in another group
        auto self = sys::find_user_by_id(::geteuid());
        found = self ? std::move(*self) : sys::User{"", ::geteuid(), *gid, {*gid}, ""};
      }
      found->gid = *gid;
    }
  }
  choice.change_to = std::move(found);
  return choice;
}

UserChoice choose_user(const config::App& app) { return choose_user(app.user, app.group, "app " + app.name); }

}  // namespace rota::supervisor
