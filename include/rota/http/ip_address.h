// A numeric internet address as a value: compared, matched with networks, read and written. An IPv4 address is held as
// its IPv6 form ::ffff:a.b.c.d, so that both are one type. Knows no socket.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rota::http {

class IpAddress {
 public:
  using Octets = std::array<std::uint8_t, 16>;

  IpAddress() = default;  // ::
  explicit IpAddress(const Octets& octets) : octets_(octets) {}
  static IpAddress from_v4(const std::uint8_t* four);
  // "192.0.2.1" or "2001:db8::1": no brackets, port, scope or leading zeros.
  static std::optional<IpAddress> parse(std::string_view text);

  const Octets& octets() const { return octets_; }
  bool is_v4() const;
  // `prefix`: how many of the 128 bits must be the same (96 more than one would write for IPv4). A network of IPv6,
  // ::/0 say, has no IPv4 address in it, although their texts would be neighbours.
  bool is_within(const Octets& network, unsigned prefix) const;

  // As it is usually written; IPv4 without the ::ffff:.
  class Text {
   public:
    std::string_view view() const { return {chars_.data(), size_}; }
    operator std::string_view() const { return view(); }

   private:
    friend class IpAddress;
    std::array<char, 46> chars_;  // INET6_ADDRSTRLEN
    std::uint8_t size_ = 0;
  };
  Text text() const;

  bool operator==(const IpAddress&) const = default;

 private:
  Octets octets_{};
};

}  // namespace rota::http
