// Where a request comes from, and what its worker is told of that. From peers that are not trusted nothing is believed.
// From trusted ones the client is the last address in their list that is not trusted itself: what stands before it was
// said by whoever sent it. One list is the source: X-Forwarded-For, without it Forwarded, without both X-Real-IP. A
// list that tells of another client is not passed on. Scratch of one loop.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rota/http/forwarded.h"
#include "rota/http/serialize.h"
#include "rota/proxy/client_info.h"

namespace rota::proxy {

// Names for requests that came without one: unique among all loops, ever, and telling nothing.
class RequestIds {
 public:
  RequestIds();
  std::string_view next();  // 32 hexadecimal digits, until the next call
  // The part of one of ours by which it differs from the others; nullopt: it is not one of these. And back again.
  std::optional<std::uint64_t> number_of(std::string_view id) const;
  std::string text_of(std::uint64_t number) const;

 private:
  std::uint64_t loop_;     // random
  std::uint64_t counter_;  // likewise at the start
  std::array<char, 32> text_;
};

class Origin {
 public:
  // Good until the next call, and while head and client live.
  const http::Forwarding& judge(const http::RequestHead& head, const ClientInfo& client, const ipc::ProxyState& state);
  const RequestIds& ids() const { return ids_; }
  // The client, as logs show it.
  std::string_view shown() const { return shown_; }
  // Of a request that no worker is told of; `head` may be null when there was none.
  std::string_view shown_of(const http::RequestHead* head, const ClientInfo& client, const ipc::ProxyState& state);

 private:
  void believe(const http::RequestHead& head, const ipc::ProxyState& state);

  RequestIds ids_;
  http::HopClaims claims_;
  http::IpAddress::Text peer_;
  http::IpAddress::Text client_;
  http::Forwarding forwarding_;
  std::string_view shown_;
};

// The client that a list of hops tells of, walked from its end while the hops are trusted. nullopt: none, or the last
// hop cannot be read.
std::optional<http::IpAddress> believed_client(const http::Hops& hops, const ipc::ProxyState& state);

}  // namespace rota::proxy
