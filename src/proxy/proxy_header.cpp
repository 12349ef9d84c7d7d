#include "rota/proxy/proxy_header.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rota::proxy {

namespace {

using http::Progress;

constexpr std::string_view kTextStart = "PROXY ";
constexpr std::string_view kSignature = std::string_view("\r\n\r\n\0\r\nQUIT\n", 12);

enum Command : std::uint8_t { kLocal = 0x20, kProxy = 0x21 };  // with the version in the high half
enum Family : std::uint8_t { kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnix = 0x31 };

// The part before the next space, which is taken too; at the end, all of it.
std::string_view next_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return word;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

std::uint16_t port_at(const char* from) {
  const auto high = static_cast<std::uint8_t>(from[0]);
  const auto low = static_cast<std::uint8_t>(from[1]);
  return static_cast<std::uint16_t>(high << 8 | low);
}

}  // namespace

Progress ProxyHeaderReader::reject(const char* why) {
  why_ = why;
  return Progress::rejected;
}

// True when `until` bytes are held.
bool ProxyHeaderReader::hold(std::string_view& bytes, std::size_t until) {
  const std::size_t taken = std::min(bytes.size(), until - size_);
  std::memcpy(held_.data() + size_, bytes.data(), taken);
  size_ += taken;
  bytes.remove_prefix(taken);
  return size_ == until;
}

Progress ProxyHeaderReader::read(std::string_view& bytes) {
  if (bytes.empty()) return Progress::incomplete;
  const char first = size_ > 0 ? held_[0] : bytes[0];
  if (first == kTextStart[0]) return read_text(bytes);
  if (first == kSignature[0]) return read_binary(bytes);
  return reject("it does not begin with a PROXY protocol header");
}

Progress ProxyHeaderReader::read_text(std::string_view& bytes) {
  while (!bytes.empty()) {
    if (size_ == kTextMax) return reject("its header has more than 107 bytes");
    const char octet = bytes[0];
    if (size_ < kTextStart.size() && octet != kTextStart[size_]) {
      return reject("it does not begin with a PROXY protocol header");
    }
    held_[size_++] = octet;
    bytes.remove_prefix(1);
    if (octet != '\n') continue;
    const std::string_view line(held_.data(), size_);
    if (!line.ends_with("\r\n") || !parse_text(line.substr(kTextStart.size(), size_ - kTextStart.size() - 2))) {
      return reject("its header breaks the rules of version 1");
    }
    return Progress::complete;
  }
  return Progress::incomplete;
}

bool ProxyHeaderReader::parse_text(std::string_view line) {
  const std::string_view family = next_word(line);
  if (family == "UNKNOWN") return true;  // whatever follows is to be ignored
  if (family != "TCP4" && family != "TCP6") return false;
  const auto source = http::IpAddress::parse(next_word(line));
  const auto destination = http::IpAddress::parse(next_word(line));
  // "::ffff:1.2.3.4" is an IPv6 text and an IPv4 address: of no matter here.
  const bool v4 = family == "TCP4";
  if (!source || !destination || (v4 && !(source->is_v4() && destination->is_v4()))) return false;
  const std::string_view source_port = next_word(line);
  if (!parse_port(source_port, header_.source_port) || !parse_port(line, header_.destination_port)) return false;
  header_.from = ProxyHeader::From::ip;
  header_.source = *source;
  return true;
}

Progress ProxyHeaderReader::read_binary(std::string_view& bytes) {
  if (size_ < kFixed) {
    const bool whole = hold(bytes, kFixed);
    if (std::memcmp(held_.data(), kSignature.data(), std::min(size_, kSignature.size())) != 0) {
      return reject("it does not begin with a PROXY protocol header");
    }
    if (!whole) return Progress::incomplete;
    if (!parse_fixed()) return reject("its header breaks the rules of version 2");
  }
  if (size_ < addresses_end_) {
    if (!hold(bytes, addresses_end_)) return Progress::incomplete;
    parse_addresses();
  }
  const std::size_t skipped = std::min(bytes.size(), extensions_left_);
  bytes.remove_prefix(skipped);
  extensions_left_ -= skipped;
  return extensions_left_ == 0 ? Progress::complete : Progress::incomplete;
}

bool ProxyHeaderReader::parse_fixed() {
  const auto command = static_cast<std::uint8_t>(held_[12]);
  const auto family = static_cast<std::uint8_t>(held_[13]);
  const std::size_t length = port_at(held_.data() + 14);
  std::size_t addresses = 0;
  if (command == kLocal) {
    header_.from = ProxyHeader::From::sender;  // family and addresses are to be ignored
  } else if (command != kProxy) {
    return false;
  } else {
    switch (family) {
      case kUnspecified: break;
      case kTcp4: addresses = 12; break;
      case kTcp6: addresses = 36; break;
      case kUnix: addresses = kAddressesMax; break;
      default: return false;  // datagrams among them, which no stream was
    }
  }
  if (addresses > length) return false;
  addresses_end_ = kFixed + addresses;
  extensions_left_ = length - addresses;
  return true;
}

void ProxyHeaderReader::parse_addresses() {
  const char* const at = held_.data() + kFixed;
  const std::size_t each = held_[13] == kTcp4 ? 4 : 16;
  if (held_[13] == kUnix) return;
  header_.from = ProxyHeader::From::ip;
  if (each == 4) {
    header_.source = http::IpAddress::from_v4(reinterpret_cast<const std::uint8_t*>(at));
  } else {
    http::IpAddress::Octets octets;
    std::memcpy(octets.data(), at, octets.size());
    header_.source = http::IpAddress(octets);
  }
  header_.source_port = port_at(at + 2 * each);
  header_.destination_port = port_at(at + 2 * each + 2);
}

}  // namespace rota::proxy
