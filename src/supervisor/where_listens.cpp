#include "rota/supervisor/where_listens.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "rota/base/unique_fd.h"
#include "rota/sys/proc.h"

namespace rota::supervisor {

namespace {

constexpr std::size_t kTableMax = 4 * 1024 * 1024;  // of a /proc/net file; the rest is not looked at
constexpr std::size_t kProcessesMax = 64;           // of the group
constexpr std::size_t kShownMax = 4;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    std::size_t from = line.find_first_not_of(' ');
    if (from == std::string_view::npos) break;
    std::size_t to = std::min(line.find(' ', from), line.size());
    words.push_back(line.substr(from, to - from));
    line.remove_prefix(to);
  }
  return words;
}
std::uint64_t number(std::string_view text, int base) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}
template <class Use>
void each_line(std::string_view table, Use use) {
  while (!table.empty()) {
    std::size_t end = std::min(table.find('\n'), table.size());
    use(words_of(table.substr(0, end)));
    table.remove_prefix(std::min(end + 1, table.size()));
  }
}
void add_once(std::vector<std::string>& list, std::string text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
}

std::string read_table(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 16384> buffer{};
  while (fd && text.size() < kTableMax) {
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

void add_sockets(int pid, std::set<std::uint64_t>& inodes) {
  std::string path = fmt::format("/proc/{}/fd", pid);
  std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(path.c_str()), ::closedir);
  while (listing) {
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    std::array<char, 64> target{};
    ssize_t n = ::readlinkat(::dirfd(listing.get()), entry->d_name, target.data(), target.size());
    std::string_view text(target.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    if (text.starts_with("socket:[")) inodes.insert(number(text.substr(8), 10));
  }
}

}  // namespace

// "  0: 0100007F:0BB8 00000000:0000 0A ... uid timeout inode ...": state 0A is LISTEN.
std::vector<std::string> listening_tcp(std::string_view table, const std::set<std::uint64_t>& inodes) {
  std::vector<std::string> found;
  each_line(table, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 10 || words[3] != "0A" || !inodes.contains(number(words[9], 10))) return;
    std::size_t colon = words[1].rfind(':');
    if (colon == std::string_view::npos) return;
    add_once(found, fmt::format("tcp port {}", number(words[1].substr(colon + 1), 16)));
  });
  return found;
}

// "Num: RefCount Protocol Flags Type St Inode Path": flag 00010000 is a listener.
std::vector<std::string> listening_unix(std::string_view table, const std::set<std::uint64_t>& inodes) {
  std::vector<std::string> found;
  each_line(table, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 8 || words[3] != "00010000" || !inodes.contains(number(words[6], 10))) return;
    add_once(found, fmt::format("unix:{}", words[7]));
  });
  return found;
}

std::string explain_listening(int leader, const std::string& own_path) {
  std::vector<pid_t> group = sys::group_members(leader);
  if (group.size() > kProcessesMax) group.resize(kProcessesMax);
  std::set<std::uint64_t> inodes;
  for (pid_t pid : group) add_sockets(pid, inodes);
  if (inodes.empty()) return {};
  std::vector<std::string> found;
  auto add = [&](const std::vector<std::string>& more) {
    for (const std::string& one : more) add_once(found, one);
  };
  // The group's own network name space, which need not be ours.
  add(listening_tcp(read_table(fmt::format("/proc/{}/net/tcp", leader)), inodes));
  add(listening_tcp(read_table(fmt::format("/proc/{}/net/tcp6", leader)), inodes));
  add(listening_unix(read_table(fmt::format("/proc/{}/net/unix", leader)), inodes));
  std::erase(found, "unix:" + own_path);  // it may have come to that just now
  if (found.empty()) return {};
  if (found.size() > kShownMax) found.resize(kShownMax);
  return fmt::format(
      "listens on {}; it must listen on the path in the environment variable PORT (a Unix socket), which "
      "a command may also be given as {{socket}}",
      fmt::join(found, ", "));
}

}  // namespace rota::supervisor
