// Directories made and checked so that nobody can slip in a symbolic link, an owner or a mode.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::sys {

struct DirectoryRules {
  std::uint32_t mode = 0700;           // setgid allowed
  uid_t uid = static_cast<uid_t>(-1);  // -1: whoever we are
  gid_t gid = static_cast<gid_t>(-1);
};
// The directory `name` under `parent` (AT_FDCWD and a path allowed: only its last component is made and refused as a
// link). Made with owner and mode when missing. When present: a link or another file is in_use; owned by anybody but
// root, us or the wanted owner is denied; owner and mode are then corrected where we may, and verified by fstat. The fd
// is O_RDONLY|O_DIRECTORY.
Result<UniqueFd> make_directory(int parent, const std::string& name, const DirectoryRules& rules);

// Opens a directory without following a link in the last component.
Result<UniqueFd> open_directory(int parent, const std::string& name);

// For root, who opens files by their names: the first directory on the way to `path` that somebody else could put
// another one in the place of, because it is theirs or everybody's (a sticky one is not); empty: there is none. Whoever
// owns the parent of a log file can make root write elsewhere (CVE-2016-1247).
std::string in_other_hands(const std::string& path);

// Removes the sockets, and nothing else, in this directory. How many.
std::size_t remove_sockets(int directory);

}  // namespace rota::sys
