#include "rota/sys/user.h"

#include <grp.h>
#include <pwd.h>

#include <charconv>
#include <optional>

namespace rota::sys {

namespace {

constexpr std::size_t kEntryMax = 1024 * 1024;  // a group with very many members

std::optional<std::uint32_t> as_number(const std::string& text) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// Calls one of the get..._r functions with a buffer that grows until the entry fits. 0 and *found null: there is none.
template <class Entry, class Look>
int look_up(Entry& entry, std::string& buffer, Entry** found, Look look) {
  int error = ERANGE;
  for (std::size_t size = 4096; error == ERANGE && size <= kEntryMax; size *= 4) {
    buffer.resize(size);
    error = look(&entry, buffer.data(), buffer.size(), found);
  }
  // Some name services say "no such entry" with an errno.
  return error == ENOENT || error == ESRCH ? 0 : error;
}

User from_entry(const passwd& entry) {
  User user;
  user.name = entry.pw_name;
  user.uid = entry.pw_uid;
  user.gid = entry.pw_gid;
  user.home = entry.pw_dir == nullptr ? "" : entry.pw_dir;
  int count = 64;
  user.groups.resize(static_cast<std::size_t>(count));
  while (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

}  // namespace

Result<User> find_user_by_id(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer;
  int error = look_up(entry, buffer, &found,
                      [&](passwd* e, char* b, std::size_t n, passwd** f) { return ::getpwuid_r(uid, e, b, n, f); });
  if (error != 0) return os_error("cannot look up user " + std::to_string(uid), error);
  if (found == nullptr) return Error{Errc::not_found, 0, "there is no user with the number " + std::to_string(uid)};
  return from_entry(entry);
}

Result<User> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer;
  int error = look_up(entry, buffer, &found, [&](passwd* e, char* b, std::size_t n, passwd** f) {
    return ::getpwnam_r(name.c_str(), e, b, n, f);
  });
  if (error != 0) return os_error("cannot look up user '" + name + "'", error);
  if (found != nullptr) return from_entry(entry);
  std::optional<std::uint32_t> number = as_number(name);
  if (!number) return Error{Errc::not_found, 0, "there is no user '" + name + "'"};
  Result<User> by_id = find_user_by_id(*number);
  if (by_id || by_id.error().code != Errc::not_found) return by_id;
  User user;
  user.uid = *number;
  user.gid = *number;
  user.groups = {*number};
  return user;
}

Result<gid_t> find_group(const std::string& name) {
  group entry{};
  group* found = nullptr;
  std::string buffer;
  int error = look_up(entry, buffer, &found, [&](group* e, char* b, std::size_t n, group** f) {
    return ::getgrnam_r(name.c_str(), e, b, n, f);
  });
  if (error != 0) return os_error("cannot look up group '" + name + "'", error);
  if (found != nullptr) return found->gr_gid;
  if (std::optional<std::uint32_t> number = as_number(name)) return *number;
  return Error{Errc::not_found, 0, "there is no group '" + name + "'"};
}

}  // namespace rota::sys
