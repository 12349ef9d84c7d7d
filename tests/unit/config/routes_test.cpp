// Routes and networks: how they are written, and what they mean to a whole file.
#include <catch2/catch_test_macros.hpp>

#include "loading.h"
#include "rota/config/network.h"
#include "rota/config/route.h"

using namespace rota;
using namespace rota::config;
using namespace rota::config::testing;

TEST_CASE("a route is a host, a port and a path, each of which may be missing") {
  struct {
    const char* text;
    const char* host;
    int port;
    const char* path;
  } cases[] = {{"example.com", "example.com", 0, "/"},
               {"Example.COM", "example.com", 0, "/"},
               {"*.example.com", "*.example.com", 0, "/"},
               {"example.com/", "example.com", 0, "/"},
               {"example.com/api", "example.com", 0, "/api"},
               {"example.com/api/", "example.com", 0, "/api"},
               {":9090", "", 9090, "/"},
               {":9090/api", "", 9090, "/api"},
               {"/api", "", 0, "/api"},
               {"/", "", 0, "/"},
               {"example.com:9090/x/y", "example.com", 9090, "/x/y"},
               {"localhost", "localhost", 0, "/"},
               {"10.0.0.1:80", "10.0.0.1", 80, "/"},
               {"[::1]", "[::1]", 0, "/"},
               {"[0:0::1]:80/a", "[::1]", 80, "/a"},
               {"[2001:DB8::1]", "[2001:db8::1]", 0, "/"},
               {"xn--bcher-kva.example", "xn--bcher-kva.example", 0, "/"},
               {"/a%2fb", "", 0, "/a%2Fb"},
               {"/%C3%BC", "", 0, "/%C3%BC"},
               {"/~me/a.b_c-d/@:!$&'()+,;=", "", 0, "/~me/a.b_c-d/@:!$&'()+,;="},
               {"/...", "", 0, "/..."},
               {"unix:/run/a.sock", "", 0, "/"}};
  for (const auto& one : cases) {
    INFO(one.text);
    auto written = parse_route(one.text);
    REQUIRE(written);
    CHECK(written->route.host == one.host);
    CHECK(written->port.value_or(0) == one.port);
    CHECK(written->route.path == one.path);
    CHECK(written->route.text == one.text);
  }
  CHECK(parse_route("unix:/run/a.sock")->unix_path == "/run/a.sock");
}

TEST_CASE("routes that no request could match are refused") {
  for (const char* text :
       {"",       "*",      "*:80",     "*.",        "a.*.b",        "*a.b",  "**",      "http://a/b",
        "unix:",  "unix:a", "unix://a", "a:",        "a:http",       "a:0",   "a:65536", "a:1:2",
        "::1",    "[::1",   "[a]",      "[::1]a",    "[1.2.3.4]",    "9090",  "1.2.3",   ".a.b",
        "a.b.",   "a..b",   "a b",      "a@b",       "b\xC3\xBC.de", "/a?b",  "/a#b",    "a?b",
        "/a/./b", "/..",    "/a/../b",  "//",        "/a//b",        "//a",   "/a/*",    "/%41",
        "/%2",    "/%zz",   "/a b",     "/\xC3\xBC", "/{id}",        "/a\\b", "/a%7Eb",  "/a|b"}) {
    INFO(text);
    CHECK_FALSE(parse_route(text));
  }
  CHECK_FALSE(parse_route(std::string(64, 'a') + ".de"));
  CHECK_FALSE(parse_route("/" + std::string(1024, 'a')));
  CHECK(parse_route("/" + std::string(1023, 'a')));
}

TEST_CASE("networks are held as IPv6, with the bits that were written") {
  auto one = parse_network("10.0.0.0/8");
  REQUIRE(one);
  CHECK(one->prefix == 104);
  CHECK(one->address == std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0});
  for (const char* text :
       {"10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "192.168.4.0/22", "fd00::/8", "2001:db8::1", "::/0"}) {
    INFO(text);
    auto network = parse_network(text);
    REQUIRE(network);
    CHECK(format_network(*network) == text);
  }
  CHECK(format_network(*parse_network("192.0.2.7/32")) == "192.0.2.7");
  for (const char* text : {"",
                           "private",
                           "*",
                           "all",
                           "localhost",
                           "a",
                           "10/8",
                           "10.0.0.0/33",
                           "10.0.0.0/",
                           "10.0.0.0/-1",
                           "10.0.0.0/255.0.0.0",
                           "10.0.0.1/8",
                           "fd00::1/8",
                           "::/129",
                           "10.0.0.1:80",
                           "[::1]",
                           "unix:/a",
                           "fe80::1%eth0",
                           "10.0.0.0/8/8",
                           "010.0.0.1"}) {
    INFO(text);
    CHECK_FALSE(parse_network(text));
  }
  CHECK(parse_network("10.1.2.3/12").error().context.find("write 10.0.0.0/12") != std::string::npos);
  CHECK(parse_network("10.0.0.0/255.240.0.0").error().context.find("write 10.0.0.0/12") != std::string::npos);
}

TEST_CASE("a port is every listener with that port, a path one Unix listener") {
  Config config = good(R"(
apps:
  a: {command: sh, routes: [":80", "example.com:81/x", "unix:/run/a.sock"]}
  b: {command: sh, routes: example.org}
  c: {command: sh}
listen: [80, "127.0.0.1:81", "unix:/run/a.sock", "localhost:80"]
)");
  const auto& routes = config.apps.at(0).routes;
  REQUIRE(routes.size() == 3);
  CHECK(routes[0].listeners == std::vector<std::uint32_t>{0, 3});
  CHECK(routes[1].listeners == std::vector<std::uint32_t>{1});
  CHECK(routes[2].listeners == std::vector<std::uint32_t>{2});
  CHECK(config.apps.at(1).routes.at(0).listeners.empty());
  CHECK(config.apps.at(2).routes.empty());
}

TEST_CASE("a route on another listener or below another path is another route") {
  good(
      "listen: [80, 81]\napps:\n  a: {command: sh, routes: [\":80\", a, /x]}\n"
      "  b: {command: sh, routes: [\":81\", \"a:80\", \"a/x\", /x/y]}\n");
  Loaded loaded = load_yaml(
      "listen: [80, 81]\napps:\n  a: {command: sh, routes: [A.b, \"/x/\"]}\n  b: {command: sh, routes: [a.B/, /x]}\n");
  REQUIRE(loaded.problems.size() == 2);
  CHECK(loaded.problems[0].message == "the route \"a.B/\" belongs to app \"a\" already, in line 3");
}

TEST_CASE("--listen decides which listeners routes can name") {
  Source source;
  source.listen = "9000";
  std::string text = "listen: 80\napps: {a: {command: sh, routes: \":9000\"}}\n";
  CHECK(load_text(text, "/tmp/rota.yaml", source).problems.empty());
  Loaded loaded = load_yaml(text);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "\"routes\" names port 9000, which is not listened on; there is \"*:80\"");
}

TEST_CASE("a listener with a PROXY protocol needs a peer to trust of its own kind") {
  std::string app = "\napps: {web: {command: sh}}\n";
  std::string tcp = "listen: {address: 80, proxy_protocol: true}\n";
  std::string unix_one = "listen: {address: \"unix:/run/a\", proxy_protocol: true}\n";
  CHECK(load_yaml(tcp + "trusted_proxies: 10.0.0.0/8" + app).problems.empty());
  CHECK(load_yaml(unix_one + "trusted_proxies: unix" + app).problems.empty());
  CHECK(load_yaml(tcp + app).problems.size() == 1);
  CHECK(load_yaml(tcp + "trusted_proxies: []" + app).problems.size() == 1);
  CHECK(load_yaml(tcp + "trusted_proxies: unix" + app).problems.size() == 1);
  CHECK(load_yaml(unix_one + "trusted_proxies: 10.0.0.0/8" + app).problems.size() == 1);
}
