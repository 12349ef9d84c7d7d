#include "rota/sys/file_id.h"

#include <sys/stat.h>

#include <filesystem>

namespace rota::sys {

std::optional<FileId> file_id(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) {
    if (!S_ISREG(about.st_mode)) return std::nullopt;
    return FileId{about.st_dev, about.st_ino, ""};
  }
  std::filesystem::path where(path);
  std::string parent = where.has_parent_path() ? where.parent_path().string() : ".";
  if (::stat(parent.c_str(), &about) == 0) return FileId{about.st_dev, about.st_ino, where.filename().string()};
  return FileId{0, 0, where.lexically_normal().string()};
}

}  // namespace rota::sys
