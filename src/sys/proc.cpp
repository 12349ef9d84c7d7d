#include "rota/sys/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "rota/base/unique_fd.h"

namespace rota::sys {

namespace {

template <class T>
bool number(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view next_word(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  std::size_t end = text.find_first_of(" \n");
  std::string_view word = text.substr(0, end);
  text.remove_prefix(word.size());
  return word;
}

// Reads the beginning of a file in /proc into `buffer`. Nothing: errno says why.
std::string_view read_some(const char* path, std::array<char, 1024>& buffer) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  ssize_t got = 0;
  do {
    got = ::read(fd.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got == 0) errno = ESRCH;
  return got <= 0 ? std::string_view() : std::string_view(buffer.data(), static_cast<std::size_t>(got));
}

// Calls visit(pid) for each process until it returns false. getdents64(2) itself, because opendir(3) allocates. False:
// some may not have been seen.
template <class Visit>
bool walk_processes(Visit visit) {
  UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return false;
  alignas(dirent64) std::array<char, 16384> buffer;
  for (;;) {
    ssize_t got = ::getdents64(proc.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    for (ssize_t at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      pid_t pid = 0;
      if (number(std::string_view(entry->d_name), pid) && !visit(pid)) return true;
    }
  }
}

}  // namespace

std::optional<ProcStat> parse_proc_stat(std::string_view text) {
  ProcStat result;
  std::string_view head = text;
  if (!number(next_word(head), result.pid)) return std::nullopt;
  std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(name_end + 1);
  std::string_view state = next_word(rest);
  if (state.size() != 1) return std::nullopt;
  result.state = state.front();
  if (!number(next_word(rest), result.parent) || !number(next_word(rest), result.group)) return std::nullopt;
  for (int field = 6; field < 22; field++) next_word(rest);
  if (!number(next_word(rest), result.start_time)) return std::nullopt;
  return result;
}

std::optional<ProcStat> read_proc_stat(pid_t pid) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  std::array<char, 1024> buffer;
  return parse_proc_stat(read_some(path, buffer));
}

void find_others(std::span<GroupQuery> queries) {
  std::ranges::sort(queries, {}, &GroupQuery::group);
  for (GroupQuery& query : queries) query.has_others = false;
  std::size_t open = queries.size();
  bool unseen = false;
  bool whole = walk_processes([&](pid_t pid) {
    errno = 0;
    std::optional<ProcStat> stat = read_proc_stat(pid);
    // Gone; or, where /proc is kept from us, somebody else's and so in no group of ours.
    if (!stat && errno != ENOENT && errno != ESRCH && errno != EPERM && errno != EACCES) unseen = true;
    if (!stat || stat->group == pid || stat->state == 'Z' || stat->state == 'X') return open > 0;
    auto query = std::ranges::lower_bound(queries, stat->group, {}, &GroupQuery::group);
    if (query == queries.end() || query->group != stat->group || query->has_others) return open > 0;
    query->has_others = true;
    return --open > 0;
  });
  if (whole && !unseen) return;
  for (GroupQuery& query : queries) query.has_others = true;
}

std::vector<pid_t> group_members(pid_t group) {
  std::vector<pid_t> members;
  walk_processes([&](pid_t pid) {
    std::optional<ProcStat> stat = read_proc_stat(pid);
    if (stat && stat->group == group) members.push_back(pid);
    return true;
  });
  return members;
}

std::vector<pid_t> own_children() {
  std::vector<pid_t> children;
  UniqueFd fd(::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC));
  if (!fd) {
    pid_t self = ::getpid();
    walk_processes([&](pid_t pid) {
      std::optional<ProcStat> stat = read_proc_stat(pid);
      if (stat && stat->parent == self) children.push_back(pid);
      return true;
    });
    return children;
  }
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::read(fd.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  std::string_view rest = text;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    pid_t pid = 0;
    if (number(word, pid)) children.push_back(pid);
  }
  return children;
}

std::uint64_t resident_bytes(pid_t pid) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/statm", pid);
  std::array<char, 1024> buffer;
  std::string_view text = read_some(path, buffer);
  next_word(text);
  std::uint64_t pages = 0;
  if (!number(next_word(text), pages)) return 0;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace rota::sys
