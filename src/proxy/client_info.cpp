#include "rota/proxy/client_info.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace rota::proxy {

void set_peer(ClientInfo& client, const sys::SocketAddress& peer) {
  client.kind = ClientInfo::Kind::ip;
  if (peer.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &peer.storage, sizeof in);
    client.address = http::IpAddress::from_v4(reinterpret_cast<const std::uint8_t*>(&in.sin_addr));
  } else if (peer.family() == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &peer.storage, sizeof in6);
    http::IpAddress::Octets octets;
    std::memcpy(octets.data(), &in6.sin6_addr, octets.size());
    client.address = http::IpAddress(octets);
  } else {
    client.kind = ClientInfo::Kind::unix_peer;
  }
}

bool is_trusted(const http::IpAddress& address, const ipc::ProxyState& state) {
  return std::any_of(state.trusted_proxies.begin(), state.trusted_proxies.end(), [&](const ipc::NetworkState& network) {
    return address.is_within(network.address, network.prefix);
  });
}

bool is_trusted(const ClientInfo& client, const ipc::ProxyState& state) {
  if (client.only_relays) return false;
  switch (client.kind) {
    case ClientInfo::Kind::unknown: return false;
    case ClientInfo::Kind::ip: return is_trusted(client.address, state);
    case ClientInfo::Kind::unix_peer: return state.trusts_unix_peers;
  }
  return false;
}

}  // namespace rota::proxy
