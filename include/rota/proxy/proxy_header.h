// The PROXY protocol, versions 1 and 2: what a balancer says of a client's connection before the first byte of it.
// Bytes in, a header out; knows no socket and trusts nobody: who may send one is decided elsewhere.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "rota/http/ip_address.h"
#include "rota/http/message.h"

namespace rota::proxy {

struct ProxyHeader {
  enum class From : std::uint8_t {
    sender,   // the balancer's own connection (LOCAL), a health check for example
    unknown,  // a relayed one of which it cannot name the client (UNKNOWN, a Unix socket)
    ip,
  };
  From from = From::unknown;
  http::IpAddress source;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;  // that the client connected to
};

// Reads one header, strictly. It keeps 232 bytes, and those of a longer header (extensions, which are skipped) not at
// all. The verdict does not depend on how the bytes come.
class ProxyHeaderReader {
 public:
  static constexpr std::size_t kTextMax = 107;  // of version 1, its line end included

  // Takes from the front of `bytes` what belongs to the header. Once complete or rejected it is not asked again.
  http::Progress read(std::string_view& bytes);
  const ProxyHeader& header() const { return header_; }
  const char* why() const { return why_; }  // rejected: a clause

 private:
  static constexpr std::size_t kFixed = 16;          // of version 2: signature, command, family, length
  static constexpr std::size_t kAddressesMax = 216;  // two paths of Unix sockets

  http::Progress read_text(std::string_view& bytes);
  http::Progress read_binary(std::string_view& bytes);
  bool parse_text(std::string_view line);
  bool parse_fixed();
  void parse_addresses();
  bool hold(std::string_view& bytes, std::size_t until);
  http::Progress reject(const char* why);

  ProxyHeader header_;
  const char* why_ = "";
  std::size_t size_ = 0;             // of held_
  std::size_t addresses_end_ = 0;    // of version 2, once its fixed part is there
  std::size_t extensions_left_ = 0;  // likewise
  std::array<char, kFixed + kAddressesMax> held_;
};

}  // namespace rota::proxy
