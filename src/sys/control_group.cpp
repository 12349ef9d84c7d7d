#include "control_group.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "rota/base/unique_fd.h"

namespace rota::sys {

namespace {

constexpr std::size_t kFileMax = 4 * 1024 * 1024;  // mountinfo of a host with thousands of containers

bool contains(std::string_view list, std::string_view word) {
  auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The kernel writes space, tab, line feed and backslash in paths as \ooo.
std::string unescape(std::string_view text) {
  auto octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace

std::string read_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  char chunk[8192];
  while (fd && text.size() < kFileMax) {
    ssize_t n = ::read(fd.get(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(chunk, static_cast<std::size_t>(n));
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint64_t> number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "36 35 0:30 /root /point rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
std::vector<Mount> mounts_of(std::string_view mountinfo, std::string_view controller) {
  std::vector<Mount> found;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    auto left = split(line.substr(0, dash), ' ');
    auto right = split(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    bool wanted =
        controller == kUnified ? right[0] == "cgroup2" : right[0] == "cgroup" && contains(right[2], controller);
    if (wanted) found.push_back({unescape(left[3]), unescape(left[4])});
  }
  return found;
}

std::optional<std::string> group_of(std::string_view text, std::string_view controller) {
  for (std::string_view line : split(text, '\n')) {
    std::size_t first = line.find(':');
    std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view controllers = line.substr(first + 1, second - first - 1);
    bool wanted = controller == kUnified ? line.substr(0, first) == "0" && controllers.empty()
                                         : contains(controllers, controller);
    if (wanted) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

std::string below(const std::string& group, const std::string& mount_root) {
  if (group.find("/..") != std::string::npos) return "";
  if (mount_root == "/") return group == "/" ? "" : group;
  if (group == mount_root || group.compare(0, mount_root.size() + 1, mount_root + "/") != 0) return "";
  return group.substr(mount_root.size());
}

}  // namespace rota::sys
