// Who is at the other end of a client connection, and by which listener it came.
#pragma once

#include <cstdint>
#include <string>

#include "rota/http/ip_address.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/client_gate.h"
#include "rota/sys/socket.h"

namespace rota::proxy {

struct ClientInfo {
  enum class Kind : std::uint8_t {
    unknown,    // nobody said
    ip,         // `address`
    unix_peer,  // of one of our Unix listeners
  };
  http::IpAddress address;
  Kind kind = Kind::unknown;
  // It relays the connection of a client that it cannot name: however trusted, what comes is another's word.
  bool only_relays = false;
  std::uint16_t port = 0;                 // that the client connected to; 0: not a TCP one
  const std::string* listener = nullptr;  // its name, which outlives the listener
  ClientGate::Slot slot;                  // its place among the connections of its address
};

// An accepted socket's peer.
void set_peer(ClientInfo& client, const sys::SocketAddress& peer);
// May this peer say on whose behalf it speaks?
bool is_trusted(const http::IpAddress& address, const ipc::ProxyState& state);
bool is_trusted(const ClientInfo& client, const ipc::ProxyState& state);

}  // namespace rota::proxy
