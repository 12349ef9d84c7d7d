#include "rota/keeper/shelf.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "rota/sys/socket.h"

namespace rota::keeper {

namespace {

struct Group {
  std::array<UniqueFd, ipc::kFdsMax> fds;
  std::size_t count = 0;
  std::uint16_t port = 0;
  int error = 0;
  const char* step = "";

  void fail(const char* where, int why) {
    step = where;
    error = why;
  }
};

// ours: this port is one of our own listeners' at another address ("127.0.0.1:80" that becomes "*:80").
Group listen_tcp(const ipc::Bind& wanted, bool ours) {
  Group group;
  Result<sys::SocketAddress> address = sys::tcp_address(wanted.host, wanted.port);
  int family = wanted.kind == ipc::BindKind::tcp4 ? AF_INET : AF_INET6;
  if (!address || address->family() != family) {
    group.fail("bind", EADDRNOTAVAIL);
    return group;
  }
  sys::ListenOptions options;
  options.v6only = wanted.v6only;
  if (wanted.port != 0 && !ours) {
    // SO_REUSEPORT would let us share a port with another program of this user without a word; a plain bind is refused.
    sys::Listen probe = sys::bind_only(*address, options);
    if (probe.error != 0) {
      group.fail(probe.step, probe.error);
      return group;
    }
  }
  options.reuse_port = true;
  std::size_t count = wanted.sockets == 0 ? 1 : wanted.sockets;
  while (group.count < count) {
    sys::Listen listener = sys::listen_on(*address, options);
    if (listener.error != 0) {
      group.fail(listener.step, listener.error);
      return group;
    }
    if (group.count == 0) {
      group.port = sys::local_address(listener.fd.get()).port();
      address->set_port(group.port);  // with port 0 the others join the first
    }
    group.fds[group.count++] = std::move(listener.fd);
  }
  return group;
}

Group listen_path(const ipc::Bind& wanted) {
  Group group;
  sys::Listen listener = sys::listen_unix(std::string(wanted.path), wanted.mode & 0777U);
  if (listener.error != 0) {
    group.fail(listener.step, listener.error);
  } else {
    group.fds[group.count++] = std::move(listener.fd);
  }
  return group;
}

}  // namespace

std::span<const int> ShelfEntry::descriptors(std::array<int, ipc::kFdsMax>& room) const {
  for (std::size_t i = 0; i < fd_count; i++) room[i] = fds[i].get();
  return std::span<const int>(room).first(fd_count);
}

Shelf::Shelf() : entries_(kShelfMax) {
  for (ShelfEntry& entry : entries_) entry.name.reserve(ipc::kShelfNameMax);
}

Shelf::~Shelf() {
  for (ShelfEntry& entry : entries_) clear(entry);
}

void Shelf::clear(ShelfEntry& entry) {
  struct stat about {};
  if (!entry.path.empty() && ::lstat(entry.path.c_str(), &about) == 0 && about.st_dev == entry.device &&
      about.st_ino == entry.inode) {
    ::unlink(entry.path.c_str());
  }
  for (UniqueFd& fd : entry.fds) fd.reset();
  entry.fd_count = 0;
  entry.name.clear();
  entry.path.clear();
  entry.for_proxy = entry.listener = false;
  entry.port = 0;
}

const ShelfEntry* Shelf::find(std::string_view name) const {
  for (const ShelfEntry& entry : entries_) {
    if (entry.used() && entry.name == name) return &entry;
  }
  return nullptr;
}

ShelfEntry* Shelf::place_for(std::string_view name) {
  if (name.empty() || name.size() > ipc::kShelfNameMax) return nullptr;
  ShelfEntry* free = nullptr;
  for (ShelfEntry& entry : entries_) {
    if (entry.used() && entry.name == name) return &entry;
    if (!entry.used() && free == nullptr) free = &entry;
  }
  return free;
}

Shelf::BindResult Shelf::bind(const ipc::Bind& wanted) {
  BindResult result;
  ShelfEntry* place = place_for(wanted.name);
  if (place == nullptr || wanted.sockets > ipc::kFdsMax) {
    result.step = "bind";
    result.error = EMFILE;
    return result;
  }
  result.entry = place;
  if (place->used() && place->listener) return result;

  bool ours = std::any_of(entries_.begin(), entries_.end(), [&](const ShelfEntry& entry) {
    return entry.used() && entry.listener && entry.port == wanted.port;
  });
  Group group = wanted.kind == ipc::BindKind::unix_path ? listen_path(wanted) : listen_tcp(wanted, ours);
  if (group.error != 0) return BindResult{nullptr, false, group.error, group.step};
  clear(*place);
  place->name = wanted.name;
  place->fds = std::move(group.fds);
  place->fd_count = group.count;
  place->for_proxy = place->listener = true;
  place->port = group.port;
  struct stat about {};
  if (wanted.kind == ipc::BindKind::unix_path && ::lstat(std::string(wanted.path).c_str(), &about) == 0) {
    place->path = wanted.path;
    place->device = about.st_dev;
    place->inode = about.st_ino;
  }
  result.made = true;
  return result;
}

const ShelfEntry* Shelf::put(std::string_view name, bool for_proxy, std::span<UniqueFd> fds) {
  ShelfEntry* place = place_for(name);
  if (place == nullptr) return nullptr;
  clear(*place);
  place->name = name;
  place->for_proxy = for_proxy;
  for (UniqueFd& fd : fds) place->fds[place->fd_count++] = std::move(fd);
  return place;
}

bool Shelf::remove(std::string_view name, bool& was_for_proxy) {
  ShelfEntry* place = place_for(name);
  if (place == nullptr || !place->used()) return false;
  was_for_proxy = place->for_proxy;
  clear(*place);
  return true;
}

}  // namespace rota::keeper
