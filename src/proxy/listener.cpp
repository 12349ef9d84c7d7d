#include "rota/proxy/listener.h"

#include <cerrno>

namespace rota::proxy {

Listener::Listener(uv::Loop& loop, const std::string& name, UniqueFd fd, ListenerOwner& owner)
    : name_(name), fd_(std::move(fd)), owner_(owner), watcher_(loop, fd_.get(), *this) {
  sys::SocketAddress local = sys::local_address(fd_.get());
  port_ = local.port();
}

bool Listener::accept_one() {
  if (!owner_.has_room()) return false;
  sys::Accept got = sys::accept_connection(fd_.get());
  if (got.error == 0) {
    ClientInfo client;
    set_peer(client, got.peer);
    client.port = port_;
    client.listener = &name_;
    owner_.accepted(*this, std::move(got.fd), std::move(client));
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
