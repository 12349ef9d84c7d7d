// The PROXY protocol: byte by byte, cut anywhere, and everything that is not one.
#include "rota/proxy/proxy_header.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace rota::proxy;
using rota::http::Progress;

namespace {

using namespace std::string_literals;
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(int command, int family, const std::string& rest, int length = -1) {
  const std::size_t size = length < 0 ? rest.size() : static_cast<std::size_t>(length);
  return kSignature + static_cast<char>(command) + static_cast<char>(family) + static_cast<char>(size >> 8) +
         static_cast<char>(size & 0xff) + rest;
}
const std::string kTcp4 = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x01\xbb"s;  // 192.0.2.1:4660 -> 10.0.0.1:443
const std::string kTcp6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07"s + std::string(15, '\0') +
                          "\x01\x00\x50\x1f\x90"s;  // [2001:db8::7]:80 -> [::1]:8080

// "192.0.2.1 4660 443 <rest>", "sender <rest>", "unknown <rest>", "incomplete", or why not.
std::string outcome(ProxyHeaderReader& reader, Progress progress, std::string_view rest) {
  if (progress == Progress::incomplete) return "incomplete";
  if (progress == Progress::rejected) return reader.why();
  const ProxyHeader& header = reader.header();
  std::string out;
  if (header.from == ProxyHeader::From::sender) out = "sender";
  if (header.from == ProxyHeader::From::unknown) out = "unknown";
  if (header.from == ProxyHeader::From::ip) {
    out = std::string(header.source.text().view()) + " " + std::to_string(header.source_port) + " " +
          std::to_string(header.destination_port);
  }
  return out + " <" + std::string(rest) + ">";
}

std::string read_in_steps(const std::string& text, std::size_t step) {
  ProxyHeaderReader reader;
  for (std::size_t at = 0; at < text.size(); at += step) {
    const std::string piece = text.substr(at, step);
    std::string_view bytes = piece;
    const Progress progress = reader.read(bytes);
    if (progress == Progress::incomplete) {
      CHECK(bytes.empty());
      continue;
    }
    return outcome(reader, progress,
                   progress == Progress::rejected ? "" : text.substr(at + piece.size() - bytes.size()));
  }
  return "incomplete";
}

// However the bytes come.
std::string read(const std::string& text) {
  const std::string whole = read_in_steps(text, text.size() + 1);
  for (std::size_t step = 1; step < std::min<std::size_t>(text.size(), 40); step++) {
    INFO(step);
    CHECK(read_in_steps(text, step) == whole);
  }
  return whole;
}

const std::string kNone = "it does not begin with a PROXY protocol header";
const std::string kBadText = "its header breaks the rules of version 1";
const std::string kBadBinary = "its header breaks the rules of version 2";

}  // namespace

TEST_CASE("version 1 names the client, and what follows is not touched") {
  CHECK(read("PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\nGET /") == "192.0.2.1 4660 443 <GET />");
  CHECK(read("PROXY TCP6 2001:db8::7 ::1 80 8080\r\n\r\nx") == "2001:db8::7 80 8080 <\r\nx>");
  CHECK(read("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") == "255.255.255.255 65535 65535 <>");
  CHECK(read("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n") == "0.0.0.0 0 0 <>");
  CHECK(read("PROXY UNKNOWN\r\nGET") == "unknown <GET>");
  CHECK(read("PROXY UNKNOWN ffff::1 whatever 1 2\r\n") == "unknown <>");
  const std::string longest = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
  REQUIRE(longest.size() == ProxyHeaderReader::kTextMax);
  CHECK(read(longest + "y") == "unknown <y>");
  CHECK(read("PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r") == "incomplete");
}

TEST_CASE("version 1 is taken by its letter") {
  for (const char* bad : {"PROXY \r\n",
                          "PROXY TCP4\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
                          "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
                          "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
                          "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
                          "PROXY TCP4 ::1 ::1 1 2\r\n",
                          "PROXY TCP6 ::1 x 1 2\r\n",
                          "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
                          "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
                          "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
                          "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
                          "PROXY UNKNOWNS\r\n",
                          "PROXY TCP4 1.2.3.4\r5.6.7.8 1 2\r\n",
                          "PROXY \n"}) {
    INFO(bad);
    CHECK(read(bad) == kBadText);
  }
  CHECK(read("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n") == "its header has more than 107 bytes");
  CHECK(read("PROXY UNKNOWN " + std::string(200, 'x')) == "its header has more than 107 bytes");
}

TEST_CASE("what is no header is told from one at its first wrong byte") {
  for (const char* bad :
       {"GET / HTTP/1.1\r\n", "PROXX", "PROXYTCP4", "POST / HTTP/1.1\r\n", "\r\nGET /", "\r\n\r\nX", "proxy "}) {
    INFO(bad);
    CHECK(read(bad) == kNone);
  }
  CHECK(read("\0"s) == kNone);
  CHECK(read("P") == "incomplete");
  CHECK(read("\r\n\r\n") == "incomplete");
}

TEST_CASE("version 2 names the client, and skips what it adds") {
  CHECK(read(binary(0x21, 0x11, kTcp4) + "GET /") == "192.0.2.1 4660 443 <GET />");
  CHECK(read(binary(0x21, 0x21, kTcp6) + "x") == "2001:db8::7 80 8080 <x>");
  CHECK(read(binary(0x21, 0x31, std::string(216, 'p')) + "x") == "unknown <x>");
  CHECK(read(binary(0x21, 0x00, "") + "x") == "unknown <x>");
  CHECK(read(binary(0x21, 0x00, "anything") + "x") == "unknown <x>");
  CHECK(read(binary(0x20, 0x00, "") + "x") == "sender <x>");
  CHECK(read(binary(0x20, 0x11, kTcp4) + "x") == "sender <x>");
  CHECK(read(binary(0x20, 0x77, "??") + "x") == "sender <x>");
  const std::string extensions = "\x04\x00\x03noop"s.substr(0, 6) + std::string(300, 'e');
  CHECK(read(binary(0x21, 0x11, kTcp4 + extensions) + "x") == "192.0.2.1 4660 443 <x>");
  CHECK(read(binary(0x21, 0x21, kTcp6 + std::string(65535 - 36, 'e')) + "x") == "2001:db8::7 80 8080 <x>");
  CHECK(read(binary(0x21, 0x11, kTcp4, 13)) == "incomplete");
}

TEST_CASE("version 2 is taken by its letter") {
  struct {
    int command;
    int family;
    std::string rest;
  } const cases[] = {
      {0x11, 0x11, kTcp4},  // version 1 there is none
      {0x31, 0x11, kTcp4},  // nor 3
      {0x22, 0x11, kTcp4},  // no such command
      {0x21, 0x12, kTcp4},  // datagrams
      {0x21, 0x22, kTcp6},
      {0x21, 0x32, std::string(216, 'p')},
      {0x21, 0x10, kTcp4},  // no such transport, no such family
      {0x21, 0x13, kTcp4},
      {0x21, 0x41, kTcp6},
      {0x21, 0x11, kTcp4.substr(1)},  // shorter than its addresses
      {0x21, 0x21, kTcp6.substr(1)},
      {0x21, 0x31, std::string(215, 'p')},
      {0x21, 0x11, ""},
  };
  for (const auto& one : cases) {
    INFO(one.command << " " << one.family << " " << one.rest.size());
    CHECK(read(binary(one.command, one.family, one.rest)) == kBadBinary);
  }
}
