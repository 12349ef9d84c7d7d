#include "rota/http/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rota::http {

namespace {
constexpr std::array<std::uint8_t, 12> kMappedV4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

IpAddress IpAddress::from_v4(const std::uint8_t* four) {
  IpAddress address;
  std::copy(kMappedV4.begin(), kMappedV4.end(), address.octets_.begin());
  std::copy_n(four, 4, address.octets_.begin() + 12);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.empty() || text.size() >= sizeof terminated) return std::nullopt;
  text.copy(terminated, text.size());
  // A NUL inside would hide what follows it.
  if (std::strlen(terminated) != text.size()) return std::nullopt;
  Octets octets;
  if (text.find(':') == std::string_view::npos) {
    if (::inet_pton(AF_INET, terminated, octets.data()) != 1) return std::nullopt;
    return from_v4(octets.data());
  }
  if (::inet_pton(AF_INET6, terminated, octets.data()) != 1) return std::nullopt;
  return IpAddress(octets);
}

bool IpAddress::is_v4() const { return std::equal(kMappedV4.begin(), kMappedV4.end(), octets_.begin()); }

bool IpAddress::is_within(const Octets& network, unsigned prefix) const {
  if (is_v4() && prefix < kMappedV4.size() * 8) return false;
  const std::size_t whole = std::min(prefix / 8, 16U);
  if (std::memcmp(octets_.data(), network.data(), whole) != 0) return false;
  if (whole == 16 || prefix % 8 == 0) return true;
  const unsigned differing = static_cast<unsigned>(octets_[whole]) ^ network[whole];
  return differing >> (8 - prefix % 8) == 0;
}

IpAddress::Text IpAddress::text() const {
  Text text;
  char* const begin = text.chars_.data();
  if (is_v4()) {
    // Once for every request: without the detour that the C library's formatting takes.
    char* at = begin;
    for (std::size_t i = 12; i < 16; ++i) {
      if (i > 12) *at++ = '.';
      at = std::to_chars(at, begin + text.chars_.size(), static_cast<unsigned>(octets_[i])).ptr;
    }
    text.size_ = static_cast<std::uint8_t>(at - begin);
  } else {
    ::inet_ntop(AF_INET6, octets_.data(), begin, static_cast<socklen_t>(text.chars_.size()));
    text.size_ = static_cast<std::uint8_t>(std::strlen(begin));
  }
  return text;
}

}  // namespace rota::http
