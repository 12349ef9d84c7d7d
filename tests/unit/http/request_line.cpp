// Request line, target and Host. Row numbers are those of the table of requirements the module is written by.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "parsing.h"

namespace rota::http::test {
namespace {

ParsedRequest line(std::string_view start) { return parse_with("", start); }

struct Expected {
  const char* text;
  int status;
};

TEST_CASE("a browser's request is understood") {
  const ParsedRequest r = parse_with("Accept: */*\r\nCookie: a=b; c=d\r\n", "GET /a/b?c=d HTTP/1.1");
  REQUIRE(r.progress == Progress::complete);
  CHECK(r.consumed == r.bytes.size());
  CHECK(r.head.method == Method::get);
  CHECK(r.head.target == "/a/b?c=d");
  CHECK(r.head.host == "t.example");
  CHECK(r.head.fields.size() == 3);
  CHECK(r.head.framing.kind == BodyKind::none);
  CHECK(r.head.keep_alive);
}

TEST_CASE("octets behind a head are left alone") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const ParsedRequest r = parse_request(head + "GET /next HTTP/1.1\r\n");
  REQUIRE(r.progress == Progress::complete);
  CHECK(r.consumed == head.size());
}

TEST_CASE("row 2 and 3: only CR LF ends a line") {
  for (const char* text :
       {"GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n", "GET /\rX HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n", "GET / HTTP/1.1\r\nHost: a\r\r\n"}) {
    CHECK(status_of(parse_request(text)) == 400);
  }
}

TEST_CASE("row 4: empty lines before a request are skipped, not without end") {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(status_of(parse_request("\r\n" + request)) == 200);
  std::string lines;
  while (lines.size() < kLeadingEmptyMax) lines += "\r\n";
  CHECK(status_of(parse_request(lines + request)) == 200);
  CHECK(status_of(parse_request(lines + "\r\n" + request)) == 400);
  CHECK(status_of(parse_request("\n" + request)) == 400);
}

TEST_CASE("a connection on which only empty lines have come is untouched") {
  CHECK(parse_request("").untouched);
  CHECK(parse_request("\r\n\r").untouched);
  CHECK_FALSE(parse_request("\r\nG").untouched);
  CHECK_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\n").untouched);
}

TEST_CASE("row 5: white space before the first field is refused") {
  CHECK(status_of(parse_request("GET / HTTP/1.1\r\n Host: a\r\n\r\n")) == 400);
  CHECK(status_of(parse_request("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n")) == 400);
}

TEST_CASE("row 6: what is not HTTP is refused at its first wrong octet") {
  for (const char* text : {"\x16\x03\x01", "SSH-2.0-x\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", " GET / HTTP/1.1\r\n",
                           "OPTIONS rtsp://t.example/x RTSP/1.0\r\n", "GET / ICE/1.0\r\n"}) {
    CHECK(status_of(parse_request(text)) == 400);
  }
}

TEST_CASE("rows 7 to 9: versions") {
  CHECK(line("GET / HTTP/1.1").head.version_minor == 1);
  CHECK(line("GET / HTTP/1.0").head.version_minor == 0);
  CHECK(line("GET / HTTP/1.2").head.version_minor == 1);
  CHECK(status_of(line("GET / HTTP/1.9")) == 200);
  for (const Expected& e :
       {Expected{"GET / HTTP/2.0", 505}, Expected{"GET / HTTP/0.9", 505}, Expected{"GET / HTTP/9.9", 505},
        Expected{"GET / HTTP/1", 400}, Expected{"GET / HTTP/1.1x", 400}, Expected{"GET / HTTP/1.1 ", 400},
        Expected{"GET / HTTP/01.1", 400}, Expected{"GET / http/1.1", 400}, Expected{"GET /", 400},
        Expected{"PRI * HTTP/2.0", 505}}) {
    CHECK(status_of(line(e.text)) == e.status);
  }
}

TEST_CASE("rows 11 and 12: a target of the limit passes, one octet more is 414 before the line ends") {
  HeadLimits limits = wide_limits();
  limits.target = 8000;
  const std::string fits = "/" + std::string(7999, 'a');
  CHECK(status_of(parse_request("GET " + fits + " HTTP/1.1\r\nHost: a\r\n\r\n", limits)) == 200);
  CHECK(status_of(parse_request("GET " + fits + "a", limits)) == 414);
  CHECK(status_of(parse_request("GET " + fits, limits)) == 0);
}

TEST_CASE("row 13: a method longer than any is 501") {
  CHECK(status_of(parse_request(std::string(kMethodMax + 1, 'M'))) == 501);
  CHECK(status_of(parse_request(std::string(kMethodMax, 'M'))) == 0);
}

TEST_CASE("row 14: a request line is not corrected") {
  for (const char* text :
       {"GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET /a b HTTP/1.1", "GET\t/ HTTP/1.1", "GET /a\tb HTTP/1.1",
        "GET HTTP/1.1", "GET", "G[T / HTTP/1.1", "GET /\xc3\xa9 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /a#b HTTP/1.1",
        "GET /\"a HTTP/1.1", "GET /<a> HTTP/1.1", "GET /a\\b HTTP/1.1", "GET ?a HTTP/1.1"}) {
    CHECK(status_of(line(text)) == 400);
  }
}

TEST_CASE("row 15: registered methods pass, unknown ones are 501 unless allowed") {
  for (const char* method : {"PROPFIND", "QUERY", "MKCALENDAR", "PURGE", "VERSION-CONTROL", "UPDATEREDIRECTREF"}) {
    const ParsedRequest r = line(std::string(method) + " / HTTP/1.1");
    CHECK(status_of(r) == 200);
    CHECK(r.head.method == Method::other);
    CHECK(r.head.method_text == method);
  }
  for (const char* method : {"FOO", "get", "Get", "PRI", "DESCRIBE"}) {
    const std::string text = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    CHECK(status_of(parse_request(text)) == 501);
    HeadLimits any = wide_limits();
    any.any_method = true;
    CHECK(status_of(parse_request(text, any)) == 200);
  }
}

TEST_CASE("rows 56, 124 and 125: CONNECT and TRACE are refused with the request line") {
  CHECK(status_of(parse_request("CONNECT a.example:443 HTTP/1.1\r\n")) == 405);
  CHECK(status_of(parse_request("TRACE / HTTP/1.1\r\n")) == 405);
}

TEST_CASE("row 29: Host is there once, and is a host") {
  CHECK(status_of(parse_request("GET / HTTP/1.1\r\n\r\n")) == 400);
  CHECK(status_of(parse_with("Host: t.example\r\n")) == 400);
  CHECK(status_of(parse_request("GET / HTTP/1.0\r\n\r\n")) == 200);
  CHECK(status_of(parse_request("GET / HTTP/1.0\r\nHost:\r\n\r\n")) == 200);
  CHECK(status_of(parse_request("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n")) == 400);
  const auto with_host = [](const std::string& host) {
    return status_of(parse_request("GET / HTTP/1.1\r\nhOsT: \t" + host + " \t\r\n\r\n"));
  };
  for (const char* host : {"a", "a.example", "a_b.example", "a.example:80", "a.example:", "a.example:65535",
                           "127.0.0.1", "[::1]", "[::1]:8080", "[::ffff:1.2.3.4]", "xn--bcher-kva.example", "a~b"}) {
    CHECK(with_host(host) == 200);
  }
  for (const char* host : {"",
                           "a/x",
                           "a b",
                           "a,b",
                           "a:b",
                           "a:80:80",
                           "a:65536",
                           "a:000080",
                           "[::1",
                           "[::1]x",
                           "[]",
                           "[::g]",
                           "[fe80::1%25eth0]",
                           "[v1.a]",
                           "a?x",
                           "<a>",
                           "\"a\"",
                           "a@b",
                           "%74.example",
                           "a\\b",
                           ":80",
                           "a\tb",
                           "[1:2:3:4:5:6:7:8:9]",
                           "caf\xe9"}) {
    CHECK(with_host(host) == 400);
  }
}

TEST_CASE("rows 30 to 36: absolute-form") {
  struct Case {
    const char* start;
    const char* target;
    const char* host;
  };
  for (const Case& c :
       {Case{"GET http://a.example/x?y HTTP/1.1", "/x?y", "a.example"},
        Case{"GET http://a.example HTTP/1.1", "/", "a.example"},
        Case{"GET HTTP://A.example:81/ HTTP/1.1", "/", "A.example:81"},
        Case{"GET http://u:p@a.example/ HTTP/1.1", "/", "a.example"},
        Case{"GET http://a.example?q=1 HTTP/1.1", "/?q=1", "a.example"},
        Case{"OPTIONS http://a.example HTTP/1.1", "*", "a.example"},
        Case{"OPTIONS http://a.example/ HTTP/1.1", "/", "a.example"}, Case{"OPTIONS * HTTP/1.1", "*", "t.example"},
        Case{"GET http://[::1]:8080/ HTTP/1.1", "/", "[::1]:8080"},
        Case{"GET //evil.example/ HTTP/1.1", "//evil.example/", "t.example"},
        Case{"GET /?u=http://b/ HTTP/1.1", "/?u=http://b/", "t.example"}}) {
    const ParsedRequest r = line(c.start);
    INFO(c.start);
    REQUIRE(status_of(r) == 200);
    CHECK(r.head.target == c.target);
    CHECK(r.head.host == c.host);
  }
  for (const char* start : {"GET http:///x HTTP/1.1", "GET http://:80/ HTTP/1.1", "GET http://a:80a/ HTTP/1.1",
                            "GET http://a@b@c/ HTTP/1.1", "GET http://a\\@b/ HTTP/1.1", "GET http://a/b\\c HTTP/1.1",
                            "GET ftp://a/ HTTP/1.1", "GET ws://a/ HTTP/1.1", "GET http:/a HTTP/1.1",
                            "GET http:a HTTP/1.1", "GET foo HTTP/1.1", "GET * HTTP/1.1", "OPTIONS *x HTTP/1.1",
                            "GET a.example:80 HTTP/1.1", "GET http://a,b/ HTTP/1.1"}) {
    CHECK(status_of(line(start)) == 400);
  }
  // The Host line is ignored for routing, and must be right all the same.
  CHECK(status_of(parse_request("GET http://a/ HTTP/1.1\r\n\r\n")) == 400);
  CHECK(status_of(parse_request("GET http://a/ HTTP/1.1\r\nHost: <\r\n\r\n")) == 400);
}

TEST_CASE("a target made of a query alone survives the head's being moved") {
  ParsedRequest r = line("GET http://a?q HTTP/1.1");
  const RequestHead moved = std::move(r.head);
  CHECK(moved.target == "/?q");
}

TEST_CASE("row 37: an https target on a plain connection is misdirected") {
  CHECK(status_of(line("GET https://t.example/ HTTP/1.1")) == 421);
}

TEST_CASE("row 38: path and query stay as they are") {
  for (const char* target :
       {"/%00", "/a/%2e%2e/b", "/a/../b", "//x", "/a;b=c", "/?a=b\\c", "/{x}|[y]^`~", "/?", "/a?b?c", "/%zz"}) {
    const ParsedRequest r = line(std::string("GET ") + target + " HTTP/1.1");
    INFO(target);
    REQUIRE(status_of(r) == 200);
    CHECK(r.head.target == target);
  }
}

}  // namespace
}  // namespace rota::http::test
