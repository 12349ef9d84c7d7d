// Two paths, one file? What the kernel says, since ".." and links make any number of names for it.
#pragma once

#include <sys/types.h>

#include <compare>
#include <optional>
#include <string>

namespace rota::sys {

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  std::string name;  // of a file that is not there yet, in the directory that the numbers name
  auto operator<=>(const FileId&) const = default;
};

// Where a file written by this path would be: two paths with the same one lead to the same file. Nothing for what is
// there and no regular file (/dev/null, a pipe): any number of writers may share that.
std::optional<FileId> file_id(const std::string& path);

}  // namespace rota::sys
