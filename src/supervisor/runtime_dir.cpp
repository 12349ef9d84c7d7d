#include "rota/supervisor/runtime_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>

#include "rota/supervisor/log_file.h"
#include "rota/sys/directory.h"
#include "rota/sys/lock.h"

namespace rota::supervisor {

namespace {

constexpr const char* kLockName = "lock";
constexpr std::uint32_t kOwnMode = 0700;
constexpr std::uint32_t kSharedMode = 0711;  // the proxy and the workers pass through it
constexpr std::uint32_t kAppMode = 02750;    // setgid: sockets made here belong to the proxy's group

ExitCode code_of(int error) {
  return error == EACCES || error == EPERM || error == EROFS ? ExitCode::not_permitted : ExitCode::cannot_create;
}
ExitCode code_of(const Error& error) {
  return error.code == Errc::denied ? ExitCode::not_permitted : code_of(error.sys);
}
const char* kChoose = "choose another one with --runtime-dir or runtime_dir";

// "PID\nSEQUENCE\n"
struct LockText {
  std::string pid;
  std::uint64_t reserved = 0;
};
LockText parse_lock(int fd) {
  std::array<char, 64> bytes{};
  ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
  std::string_view text(bytes.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  LockText lock;
  std::size_t end = std::min(text.size(), text.find_first_not_of("0123456789"));
  lock.pid = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  std::from_chars(text.data(), text.data() + text.size(), lock.reserved);
  return lock;
}

}  // namespace

Failure RuntimeDir::open(const std::string& path, bool for_other_users) {
  path_ = path;
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) {
    auto made = sys::make_directory(AT_FDCWD, path, {for_other_users ? kSharedMode : kOwnMode});
    if (!made) {
      return StartFailure{code_of(made.error()), fmt::format("the runtime directory {} cannot be made ({}): {}", path,
                                                             made.error().text(), kChoose)};
    }
    fd_ = std::move(*made);
    return {};
  }
  auto opened = sys::open_directory(AT_FDCWD, path);
  if (!opened) {
    return StartFailure{code_of(opened.error()), fmt::format("the runtime directory {} cannot be used ({}): {}", path,
                                                             opened.error().text(), kChoose)};
  }
  fd_ = std::move(*opened);
  // What is there may be a directory of somebody else's with things in it (/tmp, a home): its mode is not ours to
  // change, and where others may write they could put a socket of their own in a worker's place.
  if (::fstat(fd_.get(), &about) != 0 || (about.st_uid != ::geteuid() && about.st_uid != 0)) {
    return StartFailure{ExitCode::not_permitted,
                        fmt::format("the runtime directory {} belongs to user {}: {}", path, about.st_uid, kChoose)};
  }
  if ((about.st_mode & 0022U) != 0) {
    return StartFailure{
        ExitCode::not_permitted,
        fmt::format("other users may write to the runtime directory {} (mode {:04o}): use one that only its "
                    "owner may write to, or let rota make it",
                    path, about.st_mode & 07777U)};
  }
  if (for_other_users && (about.st_mode & 0011U) != 0011U &&
      ::fchmod(fd_.get(), (about.st_mode & 07777U) | 0011U) != 0) {
    return StartFailure{ExitCode::not_permitted,
                        fmt::format("the proxy's user may not enter the runtime directory {}: {}", path, kChoose)};
  }
  return {};
}

Failure RuntimeDir::lock(int keeper_pid) {
  auto taken = sys::take_lock(fd_.get(), kLockName);
  if (!taken && taken.error().code == Errc::in_use) {
    UniqueFd other(::openat(fd_.get(), kLockName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    std::string pid = other ? parse_lock(other.get()).pid : std::string();
    return StartFailure{ExitCode::already_running,
                        fmt::format("already running{} in {}: stop it, or use another directory with --runtime-dir",
                                    pid.empty() ? "" : " (pid " + pid + ")", path_)};
  }
  if (!taken) {
    return StartFailure{code_of(taken.error()), fmt::format("cannot write to the runtime directory {} ({}): {}", path_,
                                                            taken.error().text(), kChoose)};
  }
  lock_ = std::move(*taken);
  begin_sequence();
  keeper_pid_ = std::to_string(keeper_pid);
  write_lock();
  return {};
}

void RuntimeDir::adopt_lock(UniqueFd lock) {
  lock_ = std::move(lock);
  keeper_pid_ = parse_lock(lock_.get()).pid;
  begin_sequence();
}

void RuntimeDir::begin_sequence() {
  auto clock = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  sequence_ =
      std::max(parse_lock(lock_.get()).reserved, static_cast<std::uint64_t>(std::max<std::int64_t>(0, clock.count())));
  reserved_ = sequence_;
}

std::uint64_t RuntimeDir::next_sequence() {
  if (++sequence_ > reserved_) {
    reserved_ = sequence_ + kReservedSequences;
    write_lock();
  }
  return sequence_;
}

// The pid is for people only, and a sequence that a full disk does not take is left to the clock.
void RuntimeDir::write_lock() const {
  std::string text = fmt::format("{}\n{}\n", keeper_pid_, reserved_);
  if (::ftruncate(lock_.get(), 0) == 0) static_cast<void>(!::pwrite(lock_.get(), text.data(), text.size(), 0));
}

Failure RuntimeDir::make_app(const std::string& name, uid_t worker, gid_t proxy, bool in_use) {
  if (in_use && sys::open_directory(fd_.get(), name)) {
    apps_[name] = {static_cast<uid_t>(-1), proxy};  // whose it is shows at the next start
    return {};
  }
  // Where all are one user there is no group to share with, and systemd's RestrictSUIDSGID= refuses the setgid bit.
  std::uint32_t mode = ::geteuid() == 0 ? kAppMode : kOwnMode;
  auto made = sys::make_directory(fd_.get(), name, {mode, worker, proxy});
  if (!made) {
    return StartFailure{code_of(made.error()),
                        fmt::format("{}/{} cannot be made for the sockets of app {} ({}): remove it, or {}", path_,
                                    name, name, made.error().text(), kChoose)};
  }
  apps_[name] = {worker, proxy};
  sys::remove_sockets(made->get());
  return {};
}

void RuntimeDir::give_app(const std::string& name, uid_t worker) {
  auto app = apps_.find(name);
  if (app == apps_.end() || app->second.worker == worker) return;
  auto directory = sys::open_directory(fd_.get(), name);
  // A worker that cannot make its socket says so itself.
  if (directory && ::fchown(directory->get(), worker, app->second.proxy) == 0) app->second.worker = worker;
}

void RuntimeDir::remove_app(const std::string& name) {
  if (apps_.erase(name) == 0) return;
  if (auto directory = sys::open_directory(fd_.get(), name)) sys::remove_sockets(directory->get());
  ::unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR);
}

std::string RuntimeDir::relative_socket(const std::string& app, std::uint32_t slot, std::uint64_t sequence) {
  return fmt::format("{}/{}-{}.sock", app, slot, sequence);
}

void RuntimeDir::remove(const std::string& relative) const {
  if (fd_) ::unlinkat(fd_.get(), relative.c_str(), 0);
}

void RuntimeDir::clean_up() {
  if (!lock_) return;  // another rota's files
  while (!apps_.empty()) remove_app(std::string(apps_.begin()->first));
}

OpenedLog open_log_file(const std::string& path) {
  OpenedLog log;
  std::string real_path = path;
  auto opened = open_for_append(real_path);
  if (opened) {
    log.fd = std::move(*opened);
  } else {
    log.failure = StartFailure{code_of(opened.error()),
                               fmt::format("the access log {} cannot be opened ({}): check the directory and its "
                                           "permissions, or name another file",
                                           path, opened.error().text())};
  }
  return log;
}

}  // namespace rota::supervisor
