// Field lines of requests, framing, Connection, Expect.
#include <catch2/catch_test_macros.hpp>
#include <cctype>
#include <initializer_list>
#include <string>

#include "parsing.h"

namespace rota::http::test {
namespace {

struct Expected {
  const char* lines;
  int status;
};

void check_all(std::initializer_list<Expected> cases, std::string_view start = "POST / HTTP/1.1") {
  for (const Expected& c : cases) {
    INFO(c.lines);
    CHECK(status_of(parse_with(c.lines, start)) == c.status);
  }
}

TEST_CASE("row 16: a field name is a token") {
  for (int octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    const bool token = octet < 128 && (std::isalnum(octet) != 0 ||
                                       std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
    INFO(octet);
    CHECK(status_of(parse_with(std::string("X") + c + "A: 1\r\n")) == (token || c == ':' ? 200 : 400));
  }
  check_all({{": x\r\n", 400}, {":\r\n", 400}, {"NoColon\r\n", 400}, {"X:\r\n", 200}});
}

TEST_CASE("row 17: white space before the colon of a request is refused") {
  check_all(
      {{"X-A : 1\r\n", 400}, {"X-A\t: 1\r\n", 400}, {"Content-Length : 5\r\n", 400}, {"Content-Length 5\r\n", 400}});
}

TEST_CASE("row 19: a folded line is refused") { check_all({{"X-A: 1\r\n 2\r\n", 400}, {"X-A:\r\n\t2\r\n", 400}}); }

TEST_CASE("rows 22 and 23: values are trimmed and hold no control octets") {
  CHECK(parse_with("X-A: \t v w\t \r\n").value("x-a") == "v w");
  CHECK(parse_with("X-A:\r\n").value("x-a").empty());
  CHECK(parse_with("X-A: \t \r\n").value("x-a").empty());
  for (int octet = 0; octet < 256; ++octet) {
    const char c = static_cast<char>(octet);
    const bool allowed = c == '\t' || (octet >= 0x20 && octet != 0x7f);
    INFO(octet);
    for (const char* around : {"", "1234567", "12345678", "1234567890abcdef"}) {  // both sides of a word's border
      CHECK(status_of(parse_with(std::string("X-A: ") + around + c + around + "\r\n")) == (allowed ? 200 : 400));
    }
  }
}

TEST_CASE("row 24: number of fields and size of the head are limited, to the octet") {
  HeadLimits limits = wide_limits();
  limits.fields = 3;
  const std::string three = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n";
  CHECK(status_of(parse_request(three + "\r\n", limits)) == 200);
  CHECK(status_of(parse_request(three + "C", limits)) == 431);
  limits.bytes = three.size() + 2;
  CHECK(status_of(parse_request(three + "\r\nbody", limits)) == 200);
  CHECK(status_of(parse_request("\r\n\r\n" + three + "\r\nbody", limits)) == 200);
  limits.bytes -= 1;
  CHECK(status_of(parse_request(three + "\r\nbody", limits)) == 431);
  CHECK(status_of(parse_request("GET / HTTP/1.1\r\nCookie: " + std::string(70'000, 'a'))) == 431);
}

TEST_CASE("row 25: fields keep their order") {
  const ParsedRequest r = parse_with("X-L: a\r\nX-M: m\r\nx-l: b\r\n");
  REQUIRE(r.head.fields.size() == 4);
  CHECK(r.head.fields[1].value == "a");
  CHECK(r.head.fields[2].value == "m");
  CHECK(r.head.fields[3].value == "b");
}

TEST_CASE("rows 59 to 68: what is only spelt like framing is an ordinary field, however often it comes") {
  std::string lines;
  for (int i = 0; i < 20; i++) lines += "Transfer.Encoding: x\t\r\n";
  CHECK(status_of(parse_with(lines)) == 200);
}

TEST_CASE("rows 59 to 68: framing of requests") {
  check_all({{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
             {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
             {"Transfer-Encoding:\r\nContent-Length: 5\r\n", 400},
             {"Transfer-Encoding: chunked\r\n", 200},
             {"Transfer-Encoding: CHUNKED\r\n", 200},
             {"Transfer-Encoding: chunked\t\r\n", 200},
             {"Transfer-Encoding: \t chunked \t \r\n", 200},
             {"Transfer-Encoding: gzip\r\n", 501},
             {"Transfer-Encoding: identity\r\n", 400},
             {"Transfer-Encoding: identity, chunked\r\n", 400},
             {"Transfer-Encoding: gzip, chunked\r\n", 501},
             {"Transfer-Encoding: chunked, gzip\r\n", 400},
             {"Transfer-Encoding: chunked, chunked\r\n", 400},
             {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
             {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400},
             {"Transfer-Encoding: chunked;a=b\r\n", 400},
             {"Transfer-Encoding: , chunked\r\n", 400},
             {"Transfer-Encoding: chunked,\r\n", 400},
             {"Transfer-Encoding: \"chunked\"\r\n", 400},
             {"Transfer-Encoding: chun ked\r\n", 400},
             {"Transfer-Encoding: \r\n", 400},
             {"Transfer_Encoding: chunked\r\n", 200},
             {"Content-Length: 5\r\n", 200},
             {"Content-Length: 0\r\n", 200},
             {"Content-Length: 5\t\r\n", 200},
             {"Content-Length: 05\r\n", 400},
             {"Content-Length: 00\r\n", 400},
             {"Content-Length: +5\r\n", 400},
             {"Content-Length: -5\r\n", 400},
             {"Content-Length: 0x5\r\n", 400},
             {"Content-Length: 5 5\r\n", 400},
             {"Content-Length: 5, 5\r\n", 400},
             {"Content-Length:\r\n", 400},
             {"Content-Length: 5\r\nContent-Length: 5\r\n", 400},
             {"Content_Length: 5\r\n", 400},
             {"Content.Length: 5\r\n", 400},
             {"Content-Length: 9223372036854775807\r\n", 200},
             {"Content-Length: 9223372036854775808\r\n", 413},
             {"Content-Length: 18446744073709551616\r\n", 413},
             {"Content-Length: 18446744073709551621\r\n", 413},
             {"Connection: Content-Length\r\nContent-Length: 5\r\n", 400},
             {"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", 200}});
  check_all({{"Transfer-Encoding: chunked\r\n", 400}, {"Content-Length: 5\r\n", 200}}, "POST / HTTP/1.0");
  CHECK(parse_with("Transfer-Encoding: chunked\r\n").head.framing.kind == BodyKind::chunked);
  CHECK(parse_with("Content-Length: 0\r\n").head.framing.kind == BodyKind::none);
  const ParsedRequest r = parse_with("Content-Length: 9223372036854775807\r\n");
  CHECK(r.head.framing.kind == BodyKind::length);
  CHECK(r.head.framing.length == kContentLengthMax);
}

TEST_CASE("row 91: persistence follows version and Connection") {
  CHECK(parse_with("").head.keep_alive);
  CHECK_FALSE(parse_with("Connection: close\r\n").head.keep_alive);
  CHECK_FALSE(parse_with("Connection: keep-alive, x\r\nConnection: , CLOSE\t\r\n").head.keep_alive);
  CHECK_FALSE(parse_with("", "GET / HTTP/1.0").head.keep_alive);
  CHECK(parse_with("Connection: Keep-Alive\r\n", "GET / HTTP/1.0").head.keep_alive);
  CHECK_FALSE(parse_with("Connection: keep-alive, close\r\n", "GET / HTTP/1.0").head.keep_alive);
  CHECK(parse_with("Connection: @@@, ,, \"\r\n").head.keep_alive);
}

TEST_CASE("row 46: nominated names are those with a field, each once, and none that has a rule of its own") {
  const ParsedRequest r = parse_with(
      "Connection: x-foo, X-Foo, x-none, Host, TE, X-Forwarded-For, Via, upgrade\r\nX-Foo: 1\r\nVia: 1.1 "
      "a\r\nX-Forwarded-For: 1\r\n");
  REQUIRE(r.progress == Progress::complete);
  REQUIRE(r.head.nominated.size() == 1);
  CHECK(r.head.nominated[0] == "x-foo");
}

TEST_CASE("rows 53, 140: Upgrade counts in 1.1 with Connection: upgrade, and a WebSocket needs one key") {
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
  CHECK(parse_with(upgrade + key + version).head.upgrade);
  CHECK_FALSE(parse_with("Upgrade: websocket\r\n").head.upgrade);
  CHECK_FALSE(parse_with(upgrade, "GET / HTTP/1.0").head.upgrade);
  CHECK(status_of(parse_with(upgrade, "GET / HTTP/1.0")) == 200);
  CHECK(status_of(parse_with(upgrade + version)) == 400);
  CHECK(status_of(parse_with(upgrade + key)) == 400);
  CHECK(status_of(parse_with(upgrade + key + key + version)) == 400);
  CHECK(status_of(parse_with(upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" + version)) == 400);
  CHECK(status_of(parse_with(upgrade + "Sec-WebSocket-Key: dGhlIHNhbXB*ZSBub25jZQ==\r\n" + version)) == 400);
  CHECK(status_of(parse_with(upgrade + version, "POST / HTTP/1.1")) == 200);
  CHECK(status_of(parse_with("Connection: Upgrade\r\nUpgrade: h2c\r\n")) == 200);
}

TEST_CASE("rows 116 to 118: Expect") {
  CHECK(parse_with("Expect: 100-Continue\r\nContent-Length: 5\r\n").head.expect_continue);
  CHECK_FALSE(parse_with("Content-Length: 5\r\n").head.expect_continue);
  check_all({{"Expect: foo\r\n", 417},
             {"Expect: y 100-continue\r\n", 417},
             {"Expect:\r\n", 417},
             {"Expect: 100-continue\r\nExpect: x\r\n", 417}});
  const ParsedRequest old = parse_with("Expect: 100-continue\r\n", "POST / HTTP/1.0");
  CHECK(status_of(old) == 200);
  CHECK_FALSE(old.head.expect_continue);
  CHECK(status_of(parse_with("Expect: foo\r\n", "POST / HTTP/1.0")) == 200);
}

TEST_CASE("row 122: Max-Forwards of OPTIONS") {
  CHECK(parse_with("", "OPTIONS / HTTP/1.1").head.max_forwards == -1);
  CHECK(parse_with("Max-Forwards: 5\r\n", "OPTIONS / HTTP/1.1").head.max_forwards == 5);
  CHECK(parse_with("Max-Forwards: 0\r\n", "OPTIONS / HTTP/1.1").head.max_forwards == 0);
  CHECK(parse_with("Max-Forwards: 99999999999999999999999\r\n", "OPTIONS / HTTP/1.1").head.max_forwards ==
        kMaxForwardsMax);
  CHECK(parse_with("Max-Forwards: 0\r\n").head.max_forwards == -1);
  CHECK(status_of(parse_with("Max-Forwards: x\r\n", "OPTIONS / HTTP/1.1")) == 400);
  CHECK(status_of(parse_with("Max-Forwards: 1\r\nMax-Forwards: 2\r\n", "OPTIONS / HTTP/1.1")) == 400);
}

TEST_CASE("row 49: TE: trailers is noted") {
  CHECK(parse_with("TE: gzip;q=1, Trailers\r\n").head.te_trailers);
  CHECK_FALSE(parse_with("TE: gzip\r\n").head.te_trailers);
}

TEST_CASE("a parser is of use again after reset, and says no more after a refusal") {
  RequestHeadParser parser(wide_limits());
  RequestHead head;
  const std::string bad = "GET / HTTP/1.1\r\nHost: a b\r\n\r\n";
  CHECK(parser.parse(bad, head) == Progress::rejected);
  const std::string good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(parser.parse(good, head) == Progress::rejected);
  parser.reset();
  CHECK(parser.parse(good, head) == Progress::complete);
  CHECK(parser.consumed() == good.size());
}

TEST_CASE("thousands of connection options boil down to the names that there are fields for") {
  std::string options;
  for (int i = 0; i < 15'000; ++i) options += "xa,";
  std::string fields;
  for (char c = 'a'; c <= 'z'; ++c) fields += std::string("x") + c + ": 1\r\n";
  HeadLimits limits = wide_limits();
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "Connection: " + options + "close\r\n\r\n";
  const ParsedRequest r = parse_request_cut(text, {}, limits);
  REQUIRE(r.progress == Progress::complete);
  CHECK(r.head.nominated.size() == 1);
  CHECK_FALSE(r.head.keep_alive);
}

}  // namespace
}  // namespace rota::http::test
