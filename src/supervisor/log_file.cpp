#include "rota/supervisor/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>

#include "rota/sys/append.h"
#include "rota/sys/directory.h"

namespace rota::supervisor {

namespace {

// Not blocking: a pipe that nobody reads must not hold the opener up.
constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr std::uint64_t kLineBeyond =
    1024 * 1024;  // one line may go so far beyond max_size; without an end it would fill the disk
constexpr const char* kNewSuffix = ".new";  // of the next file until it gets its name

// The target of a link that may be followed, or why not.
Result<std::string> target_of(const std::string& path) {
  UniqueFd link(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat about {};
  if (!link || ::fstat(link.get(), &about) != 0) return os_error("opening " + path);
  if (about.st_uid != 0 && about.st_uid != ::geteuid()) {
    return Error{Errc::denied, ELOOP, fmt::format("{} is a symbolic link of another user", path)};
  }
  std::array<char, PATH_MAX> target{};
  ssize_t n = ::readlinkat(link.get(), "", target.data(), target.size());
  if (n <= 0 || static_cast<std::size_t>(n) == target.size()) return os_error("reading the link " + path);
  std::string to(target.data(), static_cast<std::size_t>(n));
  return to.front() == '/' ? to : path.substr(0, path.rfind('/') + 1) + to;
}

std::size_t count_lines(std::string_view bytes) {
  return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n')) +
         (!bytes.empty() && bytes.back() != '\n' ? 1 : 0);
}

// As much as fits into `room` in whole lines, and at least one line.
std::size_t lines_within(std::string_view bytes, std::uint64_t room) {
  if (bytes.size() <= room) return bytes.size();
  std::size_t last = room == 0 ? std::string_view::npos : bytes.rfind('\n', static_cast<std::size_t>(room) - 1);
  if (last == std::string_view::npos) last = bytes.find('\n');
  return last == std::string_view::npos ? bytes.size() : last + 1;
}

}  // namespace

Result<UniqueFd> open_for_append(std::string& path) {
  UniqueFd fd(::open(path.c_str(), kFlags, kLogMode));
  if (!fd && errno == ELOOP) {
    auto target = target_of(path);
    if (!target) return target.error();
    path = *target;
    fd = UniqueFd(::open(path.c_str(), kFlags, kLogMode));
  }
  if (!fd) return os_error("opening " + path);
  if (std::string theirs = ::geteuid() == 0 ? sys::in_other_hands(path) : std::string(); !theirs.empty()) {
    return Error{
        Errc::denied, EPERM,
        fmt::format("{}: another user may rename what is in {}, and root will not write there; use a directory "
                    "that belongs to root, such as /var/log/rota",
                    path, theirs)};
  }
  return fd;
}

Result<void> LogFile::open() {
  std::string path = given_path_;
  auto opened = open_for_append(path);
  if (!opened) return opened.error();
  fd_ = std::move(*opened);
  path_ = std::move(path);
  mid_line_ = torn_ = false;
  return {};
}

std::uint64_t LogFile::size() const {
  struct stat about {};
  if (::fstat(fd_.get(), &about) != 0 || !S_ISREG(about.st_mode)) return 0;
  return static_cast<std::uint64_t>(about.st_size);
}

// The size is asked for each time: somebody else may empty the file (logrotate's copytruncate).
LogFile::Appended LogFile::append(std::string_view bytes) {
  Appended result;
  if (!fd_) {
    if (auto opened = open(); !opened) return {count_lines(bytes), opened.error()};
  }
  while (!bytes.empty()) {
    std::size_t take = bytes.size();
    if (limits_.max_size.count > 0) {
      std::uint64_t used = size();
      std::uint64_t room = limits_.max_size.count - std::min(used, limits_.max_size.count);
      take = lines_within(bytes, room);
      bool endless = used >= limits_.max_size.count + kLineBeyond;
      if (take > room && used > 0 && (!mid_line_ || endless)) {
        begin_anew();
        take = lines_within(bytes, limits_.max_size.count);
      }
    }
    std::size_t written = 0;
    auto done = write_whole_lines(bytes.substr(0, take), written);
    if (!done) {
      if (result.lost_lines == 0) result.why = done.error();
      result.lost_lines += count_lines(bytes.substr(written, take - written));
    }
    bytes.remove_prefix(take);
  }
  return result;
}

Result<void> LogFile::write_whole_lines(std::string_view bytes, std::size_t& written) {
  std::size_t done = 0;
  int error = 0;
  auto write = [&](std::string_view rest) -> std::size_t {
    ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
    if (n < 0 && errno != EINTR) error = errno;
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  };
  if (torn_) torn_ = write("\n") == 0;
  while (done < bytes.size() && error == 0) done += write(bytes.substr(done));
  if (error == 0) {
    written = done;
    mid_line_ = bytes.back() != '\n';
    return {};
  }
  std::string_view there = bytes.substr(0, done);
  bool none_left = sys::take_back_half_line(fd_.get(), there);
  written = there.rfind('\n') + 1;  // npos + 1 is 0
  torn_ = torn_ || !none_left || (written == 0 && mid_line_);
  mid_line_ = false;
  return os_error("writing to " + path_, error);
}

// The new file is there before the old one loses its name, so that a full disk leaves everything as it is: then the old
// file grows on, and the next lines try again.
void LogFile::begin_anew() {
  struct stat open_one {
  }, named_one{};
  if (::fstat(fd_.get(), &open_one) != 0) return;
  bool same = ::stat(path_.c_str(), &named_one) == 0 && open_one.st_dev == named_one.st_dev &&
              open_one.st_ino == named_one.st_ino;
  if (!same) {  // somebody else has renamed it
    static_cast<void>(open());
    return;
  }
  if (limits_.keep == 0) {
    static_cast<void>(!::ftruncate(fd_.get(), 0));
    return;
  }
  std::string next = path_ + kNewSuffix;
  ::unlink(next.c_str());  // of a life that ended here
  UniqueFd fresh(::open(next.c_str(), kFlags | O_EXCL, 0600));
  if (!fresh) return;
  if (open_one.st_uid != ::geteuid() || open_one.st_gid != ::getegid()) {
    static_cast<void>(!::fchown(fresh.get(), open_one.st_uid, open_one.st_gid));
  }
  ::fchmod(fresh.get(), open_one.st_mode & 0777U);  // whoever owns the old file may have made it setuid
  if (shift_names() && ::rename(next.c_str(), path_.c_str()) == 0) {
    fd_ = std::move(fresh);
  } else {
    ::unlink(next.c_str());
  }
}

bool LogFile::shift_names() const {
  auto name = [this](std::uint32_t number) { return fmt::format("{}.{}", path_, number); };
  for (std::uint32_t i = limits_.keep; i > 1; i--) ::rename(name(i - 1).c_str(), name(i).c_str());
  return ::rename(path_.c_str(), name(1).c_str()) == 0;
}

}  // namespace rota::supervisor
