#include "rota/proxy/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

namespace rota::proxy {

std::string client_address(const sys::SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address.storage, sizeof in);
    ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
  } else if (address.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &address.storage, sizeof in6);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
      ::inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    }
  }
  return text;
}

Listener::Listener(uv::Loop& loop, std::string name, UniqueFd fd, ListenerOwner& owner)
    : name_(std::move(name)), fd_(std::move(fd)), owner_(owner), watcher_(loop, fd_.get(), *this) {
  sys::SocketAddress local = sys::local_address(fd_.get());
  port_ = local.port();
  if (local.family() == AF_UNIX) kind_ = uv::Stream::Kind::unix_socket;
}

bool Listener::accept_one() {
  if (!owner_.has_room()) return false;
  sys::Accept got = sys::accept_connection(fd_.get());
  if (got.error == 0) {
    owner_.accepted(kind_, std::move(got.fd), ClientInfo{client_address(got.peer), port_});
    return true;
  }
  if (got.error == EMFILE || got.error == ENFILE || got.error == ENOBUFS || got.error == ENOMEM) {
    owner_.out_of_descriptors();
    return false;
  }
  // accept(2): errors of the new connection itself say nothing of the next one.
  return got.error != EAGAIN && got.error != EBADF && got.error != EINVAL;
}

void Listener::on_readable(uv::FdWatcher&) {
  for (int i = 0; i < kBatch && accept_one(); i++) {
  }
}

void Listener::accept_all() {
  while (accept_one()) {
  }
}

}  // namespace rota::proxy
