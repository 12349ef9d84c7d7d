// Numeric addresses: what is one, how it is written, which network has it.
#include "rota/http/ip_address.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace rota::http::test {
namespace {

std::string again(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? std::string(address->text().view()) : "none";
}

TEST_CASE("addresses are written as they are usually written") {
  CHECK(again("192.0.2.255") == "192.0.2.255");
  CHECK(again("0.0.0.0") == "0.0.0.0");
  CHECK(again("255.255.255.255") == "255.255.255.255");
  CHECK(again("2001:DB8:0:0::1") == "2001:db8::1");
  CHECK(again("::") == "::");
  CHECK(again("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(again("1:2:3:4:5:6:7:8") == "1:2:3:4:5:6:7:8");
}

TEST_CASE("what is not exactly an address is none") {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "1"sv, "1.2.3"sv, "1.2.3.4.5"sv, "01.2.3.4"sv, "1.2.3.256"sv, " 1.2.3.4"sv, "1.2.3.4 "sv, "1.2.3.4\0"sv,
        "1.2.3.4\0.5"sv, "0x1.2.3.4"sv, "[::1]"sv, "::1%lo"sv, "1.2.3.4:80"sv, ":::"sv, "1:2:3:4:5:6:7:8:9"sv, "g::"sv,
        "unknown"sv, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff:2001:db8:aaaa:bbbb:cccc"sv}) {
    INFO(text);
    CHECK(again(text) == "none");
  }
}

TEST_CASE("a network is a common beginning of bits") {
  const auto within = [](std::string_view address, std::string_view network, unsigned prefix) {
    return IpAddress::parse(address)->is_within(IpAddress::parse(network)->octets(), prefix);
  };
  CHECK(within("10.1.2.3", "10.0.0.0", 96 + 8));
  CHECK_FALSE(within("11.1.2.3", "10.0.0.0", 96 + 8));
  CHECK(within("10.63.0.0", "10.0.0.0", 96 + 10));
  CHECK_FALSE(within("10.64.0.0", "10.0.0.0", 96 + 10));
  CHECK(within("192.0.2.1", "192.0.2.1", 128));
  CHECK_FALSE(within("192.0.2.1", "192.0.2.0", 128));
  CHECK(within("192.0.2.1", "192.0.2.0", 127));
  CHECK_FALSE(within("192.0.2.1", "::", 0));
  CHECK_FALSE(within("192.0.2.1", "::", 64));
  CHECK_FALSE(within("192.0.2.1", "::", 80));
  CHECK(within("192.0.2.1", "0.0.0.0", 96));
  CHECK(within("::ffff:192.0.2.1", "0.0.0.0", 96));
  CHECK(within("::1", "::", 0));
  CHECK(within("2001:db8::1", "2001:db8::", 32));
  CHECK_FALSE(within("2001:db9::1", "2001:db8::", 32));
  CHECK_FALSE(within("2001:db8::1", "0.0.0.0", 96));  // every IPv4 address, and no other
}

}  // namespace
}  // namespace rota::http::test
