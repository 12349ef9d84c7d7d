// What a request says of the way it came, and how that is passed on.
#include "rota/http/forwarded.h"

#include <catch2/catch_test_macros.hpp>

#include "parsing.h"
#include "rota/http/serialize.h"

namespace rota::http::test {
namespace {

// "192.0.2.1 ? ::1": the hops as text, "?" for one that cannot be read.
std::string shown(const Hops& hops) {
  std::string out;
  for (const auto& hop : hops) {
    if (!out.empty()) out += ' ';
    out += hop ? std::string(hop->text().view()) : "?";
  }
  return out;
}

struct Read {
  explicit Read(std::string_view lines)
      : request(parse_request("GET / HTTP/1.1\r\nHost: t.example\r\n" + std::string(lines) + "\r\n")) {
    REQUIRE(request.progress == Progress::complete);
    read_hop_claims(request.head, claims);
  }
  ParsedRequest request;
  HopClaims claims;
};

std::string forwarded(std::string_view value) {
  Read read("Forwarded: " + std::string(value) + "\r\n");
  CHECK(read.claims.has_forwarded);
  return read.claims.forwarded_well_formed ? shown(read.claims.forwarded) : "malformed";
}

std::string written(std::string_view lines, const Forwarding& from, std::string_view name) {
  Read read(lines);
  std::string out;
  append_request_head(out, read.request.head, from);
  const ParsedRequest again = parse_request(out);
  REQUIRE(again.progress == Progress::complete);
  std::string found;
  for (const Field& field : again.head.fields) {
    if (equals_lower(field.name, name)) found += (found.empty() ? "" : " | ") + std::string(field.value);
  }
  return found;
}

TEST_CASE("a hop is an address, with or without a port") {
  const auto hop = [](std::string_view text) {
    const auto address = parse_hop(text);
    return address ? std::string(address->text().view()) : "?";
  };
  CHECK(hop("192.0.2.1") == "192.0.2.1");
  CHECK(hop("192.0.2.1:80") == "192.0.2.1");
  CHECK(hop("2001:db8::1") == "2001:db8::1");
  CHECK(hop("[2001:db8::1]") == "2001:db8::1");
  CHECK(hop("[2001:db8::1]:65535") == "2001:db8::1");
  CHECK(hop("::ffff:192.0.2.1") == "192.0.2.1");
  for (const char* bad : {"", "unknown", "_hidden", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:8x",
                          "[192.0.2.1]", "[::1", "::1]", "[::1]80", "[::1]:", "192.0.2", "example.com", "[]", ":80"}) {
    INFO(bad);
    CHECK(hop(bad) == "?");
  }
}

TEST_CASE("X-Forwarded-For is one list over all its lines, without its aliases") {
  Read read(
      "X-Forwarded-For: 192.0.2.1 , ,2001:db8::1\r\nX-Forwarded-For: nonsense,198.51.100.1:5\r\n"
      "X_Forwarded_For: 6.6.6.6\r\nX.Forwarded-For: 6.6.6.6\r\n");
  CHECK(read.claims.has_forwarded_for);
  CHECK(shown(read.claims.forwarded_for) == "192.0.2.1 2001:db8::1 ? 198.51.100.1");
  CHECK_FALSE(Read("X-Forwarded-For: ,\r\n").claims.has_forwarded_for);
}

TEST_CASE("row 144: Forwarded is read by its grammar") {
  CHECK(forwarded("for=192.0.2.43") == "192.0.2.43");
  CHECK(forwarded("For=192.0.2.43;proto=http;by=203.0.113.43") == "192.0.2.43");
  CHECK(forwarded("by=1.1.1.1;FOR=\"[2001:db8:cafe::17]:4711\"") == "2001:db8:cafe::17");
  CHECK(forwarded("for=192.0.2.43, for=198.51.100.17;by=x, host=h") == "192.0.2.43 198.51.100.17 ?");
  CHECK(forwarded("for=_hidden, for=unknown, for=\"_x:_y\"") == "? ? ?");
  CHECK(forwarded(" , for=192.0.2.1 ; proto=http ,") == "192.0.2.1");
  CHECK(forwarded("for=\"192.0.2.1\\:80\"") == "192.0.2.1");
  CHECK(forwarded("for=\"a,for=6.6.6.6;\"") == "?");
  CHECK(forwarded(";;for=192.0.2.1;;") == "192.0.2.1");
}

TEST_CASE("what is no valid Forwarded counts for nothing at all") {
  for (const char* bad : {"for", "for=", "for=a b", "for=\"_x;proto=https,for=6.6.6.6", "for=\"a\\", "for=\"a\"b", "=x",
                          "for=1.2.3.4;for=5.6.7.8", "for=[::1]", "for = 1.2.3.4", "for=1.2.3.4, x", "\"for\"=a"}) {
    INFO(bad);
    CHECK(forwarded(bad) == "malformed");
  }
  Read read("Forwarded: for=192.0.2.1\r\nForwarded: for=\"\r\nForwarded: for=192.0.2.2\r\n");
  CHECK_FALSE(read.claims.forwarded_well_formed);
  CHECK(read.claims.forwarded.empty());
}

TEST_CASE("the other fields count when they are there once and valid") {
  Read good(
      "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: shop.example:444\r\nX-Forwarded-Port: 444\r\n"
      "X-Real-IP: 192.0.2.1\r\n");
  CHECK(good.claims.proto == "https");
  CHECK(good.claims.host == "shop.example:444");
  CHECK(good.claims.port == 444);
  CHECK(good.claims.real_ip == IpAddress::parse("192.0.2.1"));
  Read bad("X-Forwarded-Proto: https, http\r\nX-Forwarded-Host: a b\r\nX-Forwarded-Port: 70000\r\nX-Real-IP: me\r\n");
  Read twice(
      "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\n"
      "X-Forwarded-Port: 1\r\nX-Forwarded-Port: 1\r\nX-Real-IP: ::1\r\nX-Real-IP: ::1\r\n");
  for (const Read* read : {&bad, &twice}) {
    CHECK(read->claims.proto.empty());
    CHECK(read->claims.host.empty());
    CHECK(read->claims.port == 0);
    CHECK_FALSE(read->claims.real_ip);
  }
}

TEST_CASE("row 145: our element stands behind the others, or is the only one") {
  const std::string lines =
      "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n"
      "Forwarded: for=192.0.2.1\r\nForwarded: for=192.0.2.3;proto=https\r\n";
  const Forwarding fresh{.peer = "198.51.100.1"};
  CHECK(written(lines, fresh, "x-forwarded-for") == "198.51.100.1");
  CHECK(written(lines, fresh, "forwarded") == "for=198.51.100.1;host=t.example;proto=http");
  CHECK(written(lines, fresh, "x-real-ip") == "198.51.100.1");
  const Forwarding extended{.peer = "2001:db8::1",
                            .client = "192.0.2.3",
                            .proto = "https",
                            .extend_forwarded_for = true,
                            .extend_forwarded = true};
  CHECK(written(lines, extended, "x-forwarded-for") == "192.0.2.1, 192.0.2.2, 192.0.2.3, 2001:db8::1");
  CHECK(written(lines, extended, "forwarded") ==
        "for=192.0.2.1, for=192.0.2.3;proto=https, for=\"[2001:db8::1]\";host=t.example;proto=http");
  CHECK(written(lines, extended, "x-real-ip") == "192.0.2.3");
  CHECK(written(lines, extended, "x-forwarded-proto") == "https");
}

TEST_CASE("a list made anew tells of the client and of who speaks for it") {
  const Forwarding from{.peer = "198.51.100.1", .client = "2001:db8::7", .proto = "https", .host = "shop.example:444"};
  CHECK(written("", from, "x-forwarded-for") == "2001:db8::7, 198.51.100.1");
  CHECK(written("", from, "forwarded") ==
        "for=\"[2001:db8::7]\";host=\"shop.example:444\";proto=https, for=198.51.100.1;host=t.example;proto=http");
  CHECK(written("", from, "x-forwarded-host") == "shop.example:444");
}

TEST_CASE("a peer without an address is unknown, and named in no list of addresses") {
  CHECK(written("X-Forwarded-For: 6.6.6.6\r\n", {}, "x-forwarded-for").empty());
  CHECK(written("", {}, "forwarded") == "for=unknown;host=t.example;proto=http");
  CHECK(written("", {}, "x-real-ip").empty());
  CHECK(written("", {}, "x-forwarded-port").empty());
  CHECK(written("X-Forwarded-For: 192.0.2.1\r\n", {.client = "192.0.2.1", .extend_forwarded_for = true},
                "x-forwarded-for") == "192.0.2.1");
}

TEST_CASE("other X-Forwarded fields pass from trusted peers only, aliases never") {
  const std::string lines = "X-Forwarded-Prefix: /a\r\nX-Forwarded_Prefix: /b\r\nX_Real_IP: 6.6.6.6\r\n";
  CHECK(written(lines, {.peer = "192.0.2.1"}, "x-forwarded-prefix").empty());
  const Forwarding trusted{.peer = "192.0.2.1", .trusted = true};
  CHECK(written(lines, trusted, "x-forwarded-prefix") == "/a");
  CHECK(written(lines, trusted, "x-forwarded_prefix").empty());
  CHECK(written(lines, trusted, "x_real_ip").empty());
}

TEST_CASE("a request id is kept when it can do no harm in a log") {
  const auto id = [](const std::string& lines) { return std::string(Read(lines).request.head.request_id); };
  CHECK(id("X-Request-ID: 7d6e-a_b.c:d+e/f=@~\r\n") == "7d6e-a_b.c:d+e/f=@~");
  CHECK(id("X-Request-Id: " + std::string(128, 'a') + "\r\n") == std::string(128, 'a'));
  for (const std::string& bad :
       {std::string(), std::string("X-Request-ID:\r\n"), "X-Request-ID: " + std::string(129, 'a') + "\r\n",
        std::string("X-Request-ID: a b\r\n"), std::string("X-Request-ID: a\"b\r\n"),
        std::string("X-Request-ID: \xe9\r\n"), std::string("X-Request-ID: a\r\nX-Request-ID: a\r\n"),
        std::string("X_Request_ID: a\r\n")}) {
    INFO(bad);
    CHECK(id(bad).empty());
  }
}

TEST_CASE("row 40: our own entries in Via are counted") {
  const auto count = [](const std::string& lines) { return Read(lines).request.head.own_vias; };
  CHECK(count("") == 0);
  CHECK(count("Via: 1.1 rota\r\n") == 1);
  CHECK(count("Via: 1.0 fred, HTTP/1.1  rota (a comment),1.1 rotaryclub, 1.1 rota\r\nVia: 2 rota\r\n") == 3);
  CHECK(count("Via: rota\r\nVia: ,\r\nVia: 1.1 fred rota\r\n") == 0);
}

}  // namespace
}  // namespace rota::http::test
