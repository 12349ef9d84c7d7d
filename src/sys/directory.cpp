#include "rota/sys/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace rota::sys {

Result<UniqueFd> open_directory(int parent, const std::string& name) {
  UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd) return fd;
  if (errno == ELOOP || errno == ENOTDIR) {
    return Error{Errc::in_use, errno, "'" + name + "' is there already and is not a directory"};
  }
  return os_error("cannot open directory '" + name + "'");
}

Result<UniqueFd> make_directory(int parent, const std::string& name, const DirectoryRules& rules) {
  // Closed to everybody until owner and mode are right.
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST)
    return os_error("cannot make directory '" + name + "'");
  Result<UniqueFd> opened = open_directory(parent, name);
  if (!opened) return opened;
  int fd = opened->get();
  struct stat about {};
  if (::fstat(fd, &about) != 0) return os_error("cannot look at directory '" + name + "'");
  uid_t uid = rules.uid == static_cast<uid_t>(-1) ? ::geteuid() : rules.uid;
  gid_t gid = rules.gid == static_cast<gid_t>(-1) ? about.st_gid : rules.gid;
  if (about.st_uid != 0 && about.st_uid != ::geteuid() && about.st_uid != uid) {
    return Error{Errc::denied, 0, "directory '" + name + "' belongs to user " + std::to_string(about.st_uid)};
  }
  if ((about.st_uid != uid || about.st_gid != gid) && ::fchown(fd, uid, gid) != 0) {
    return os_error("cannot give directory '" + name + "' to user " + std::to_string(uid) + ", group " +
                    std::to_string(gid));
  }
  if ((about.st_mode & 07777U) != rules.mode && ::fchmod(fd, rules.mode) != 0) {
    return os_error("cannot set the mode of directory '" + name + "'");
  }
  // chmod(2) drops the setgid bit silently when the caller is not in the group.
  if (::fstat(fd, &about) != 0 || about.st_uid != uid || about.st_gid != gid ||
      (about.st_mode & 07777U) != rules.mode) {
    return Error{Errc::denied, 0, "owner or mode of directory '" + name + "' cannot be set as needed"};
  }
  return opened;
}

std::string in_other_hands(const std::string& path) {
  std::string parent = path.substr(0, path.rfind('/') + 1);
  std::unique_ptr<char, void (*)(void*)> real(::realpath(parent.empty() ? "." : parent.c_str(), nullptr), ::free);
  if (!real) return {};  // opening it will say why
  std::string directory = real.get();
  while (true) {
    struct stat about {};
    if (::lstat(directory.c_str(), &about) != 0) return directory;
    bool everybodys = (about.st_mode & S_IWOTH) != 0 && (about.st_mode & S_ISVTX) == 0;
    if ((about.st_uid != 0 && about.st_uid != ::geteuid()) || everybodys) return directory;
    if (directory == "/") return {};
    directory.resize(std::max<std::size_t>(directory.rfind('/'), 1));
  }
}

std::size_t remove_sockets(int directory) {
  UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return 0;
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(own.get()), ::closedir);
  if (!listing) return 0;
  int fd = own.release();  // closedir's now
  std::size_t removed = 0;
  while (const dirent* entry = ::readdir(listing.get())) {
    struct stat about {};
    if (::fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(about.st_mode)) continue;
    if (::unlinkat(fd, entry->d_name, 0) == 0) removed++;
  }
  return removed;
}

}  // namespace rota::sys
