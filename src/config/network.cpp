#include "rota/config/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "rota/config/units.h"

namespace rota::config {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr unsigned kMappedBits = 96;

Error bad(std::string context) { return Error{Errc::invalid, 0, std::move(context)}; }

bool is_mapped(const Network& network) {
  return network.prefix >= kMappedBits && std::equal(kMapped.begin(), kMapped.end(), network.address.begin());
}

bool parse_ip(std::string_view text, Network& network, bool& is_v4) {
  std::string copy(text);
  is_v4 = ::inet_pton(AF_INET, copy.c_str(), network.address.data() + kMapped.size()) == 1;
  if (is_v4) std::copy(kMapped.begin(), kMapped.end(), network.address.begin());
  return is_v4 || ::inet_pton(AF_INET6, copy.c_str(), network.address.data()) == 1;
}

// Words that other tools know.
std::optional<Error> about_word(std::string_view text) {
  if (text == "private" || text == "private_ranges") {
    return bad(
        fmt::format("does not know {}; write the networks that your proxies are in, such as 10.0.0.0/8, "
                    "172.16.0.0/12, 192.168.0.0/16 or fc00::/7",
                    in_quotes(text)));
  }
  if (text == "*" || text == "all" || text == "any" || text == "true") {
    return bad(
        fmt::format("does not know {}; name the proxies in front of rota by address or network", in_quotes(text)));
  }
  if (text == "localhost" || text == "loopback") {
    return bad(fmt::format("does not know {}; write 127.0.0.0/8 and ::1", in_quotes(text)));
  }
  return std::nullopt;
}

Error about_address(std::string_view host, std::string_view text) {
  Network ignored;
  bool is_v4 = false;
  std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(':') == colon && parse_ip(host.substr(0, colon), ignored, is_v4)) {
    return bad(fmt::format("has a port in {}; write {}", in_quotes(text), host.substr(0, colon)));
  }
  if (!host.empty() && host[0] == '[')
    return bad(fmt::format("takes addresses without brackets, not {}", in_quotes(text)));
  if (host.substr(0, 5) == "unix:") return bad("takes the word unix alone, for the peers of every Unix listener");
  if (host.find('%') != std::string_view::npos) {
    return bad(fmt::format("cannot tell interfaces apart; write {} without the \"%\"", in_quotes(text)));
  }
  return bad(fmt::format("must be addresses such as 192.0.2.1, networks such as 10.0.0.0/8, or unix, not {}",
                         in_quotes(text)));
}

// "255.255.0.0" is 16.
std::optional<unsigned> prefix_of_mask(std::string_view text) {
  in_addr mask{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &mask) != 1) return std::nullopt;
  std::uint32_t bits = ntohl(mask.s_addr);
  unsigned prefix = 0;
  while (prefix < 32 && (bits & (0x80000000U >> prefix)) != 0) ++prefix;
  bool contiguous = prefix == 32 || (bits << prefix) == 0;
  return contiguous ? std::optional(prefix) : std::nullopt;
}

// Are all bits behind the prefix 0? If not they are made so.
bool clear_host_bits(Network& network) {
  bool clean = true;
  for (unsigned bit = network.prefix; bit < 128; ++bit) {
    auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    std::uint8_t& octet = network.address[bit / 8];
    clean = clean && (octet & mask) == 0;
    octet = static_cast<std::uint8_t>(octet & ~mask);
  }
  return clean;
}

}  // namespace

Result<Network> parse_network(std::string_view text) {
  if (text.empty()) return bad("has an empty entry");
  if (auto error = about_word(text)) return *error;
  std::size_t slash = text.find('/');
  std::string_view host = text.substr(0, slash);
  Network network;
  bool is_v4 = false;
  if (!parse_ip(host, network, is_v4)) return about_address(host, text);
  if (slash == std::string_view::npos) return network;
  std::string_view length = text.substr(slash + 1);
  unsigned most = is_v4 ? 32 : 128;
  if (auto mask = is_v4 ? prefix_of_mask(length) : std::nullopt) {
    return bad(fmt::format("counts bits after the \"/\"; write {}/{}", host, *mask));
  }
  auto bits = parse_count(length);
  if (!bits || *bits > most) {
    return bad(fmt::format("has {} after the \"/\" of {}; it is a number of bits, 0 to {}", in_quotes(length),
                           in_quotes(host), most));
  }
  network.prefix = static_cast<std::uint8_t>(*bits + (is_v4 ? kMappedBits : 0));
  if (!clear_host_bits(network)) {
    return bad(
        fmt::format("has {}, where bits behind the first {} are set; write {} for the network, or {} for the "
                    "one address",
                    in_quotes(text), *bits, format_network(network), host));
  }
  return network;
}

std::string format_network(const Network& network) {
  char text[INET6_ADDRSTRLEN];
  bool is_v4 = is_mapped(network);
  ::inet_ntop(is_v4 ? AF_INET : AF_INET6, network.address.data() + (is_v4 ? kMapped.size() : 0), text, sizeof text);
  if (network.prefix == 128) return text;
  return fmt::format("{}/{}", text, network.prefix - (is_v4 ? kMappedBits : 0));
}

}  // namespace rota::config
