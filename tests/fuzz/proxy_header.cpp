// The PROXY protocol header: the verdict, the header and the bytes behind it do not depend on how the bytes come; a
// header of version 1 that is accepted is the one that is written from what was understood.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "rota/base/check.h"
#include "rota/proxy/proxy_header.h"

using namespace rota::proxy;
using rota::http::Progress;

namespace {

struct Result {
  Progress progress = Progress::incomplete;
  std::string_view why;
  std::size_t consumed = 0;
  ProxyHeader header;
};

Result read(std::string_view text, std::size_t step) {
  Result result;
  ProxyHeaderReader reader;
  for (std::size_t at = 0; at < text.size() && result.progress == Progress::incomplete; at += step) {
    const std::string piece(text.substr(at, step));
    std::string_view bytes = piece;
    result.progress = reader.read(bytes);
    if (result.progress == Progress::complete) result.consumed = at + piece.size() - bytes.size();
    ROTA_CHECK(result.progress != Progress::incomplete || bytes.empty());
  }
  result.why = reader.why();
  result.header = reader.header();
  return result;
}

void check_text(std::string_view line, const ProxyHeader& header) {
  ROTA_CHECK(line.size() <= ProxyHeaderReader::kTextMax && line.ends_with("\r\n"));
  if (header.from != ProxyHeader::From::ip) return ROTA_CHECK(line.starts_with("PROXY UNKNOWN"));
  // Spellings of an address differ, its place does not: the second word, before three others.
  const std::string_view words = line.substr(11, line.size() - 13);
  ROTA_CHECK(rota::http::IpAddress::parse(words.substr(0, words.find(' '))) == header.source);
  ROTA_CHECK(line.ends_with(" " + std::to_string(header.source_port) + " " + std::to_string(header.destination_port) +
                            "\r\n"));
}

void check_binary(std::string_view bytes, const ProxyHeader& header) {
  const auto octet = [&](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
  ROTA_CHECK(bytes.size() == 16U + octet(14) * 256U + octet(15));
  ROTA_CHECK((header.from == ProxyHeader::From::sender) == (octet(12) == 0x20));
  if (header.from != ProxyHeader::From::ip) return;
  const std::size_t size = octet(13) == 0x11 ? 4 : 16;
  const auto& octets = header.source.octets();
  ROTA_CHECK(std::memcmp(octets.data() + 16 - size, bytes.data() + 16, size) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size == 0) return 0;
  const Result whole = read(text, size);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, size % 29 + 3}) {
    const Result other = read(text, step);
    ROTA_CHECK(other.progress == whole.progress && other.why == whole.why && other.consumed == whole.consumed);
    ROTA_CHECK(other.header.from == whole.header.from && other.header.source == whole.header.source);
    ROTA_CHECK(other.header.destination_port == whole.header.destination_port);
  }
  if (whole.progress != Progress::complete) return 0;
  const std::string_view header = text.substr(0, whole.consumed);
  if (text[0] == 'P') {
    check_text(header, whole.header);
  } else {
    check_binary(header, whole.header);
  }
  return 0;
}
