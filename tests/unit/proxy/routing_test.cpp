// Which app a request belongs to, as a table.
#include "rota/proxy/routing.h"

#include <catch2/catch_test_macros.hpp>
#include <chrono>

using namespace rota;
using namespace rota::proxy;

namespace {

struct Routes {
  const char* app;
  std::vector<ipc::RouteState> routes;
};

class Table {
 public:
  explicit Table(const std::vector<Routes>& apps) : state_(make(apps)), table_(state_) {}

  // The app's name, "-" for none, "?" for a path that can be read in two ways.
  std::string of(std::string_view host, std::string_view target = "/", std::string_view listener = "front") {
    const RoutingTable::Found found = table_.find(listener, host, target, scratch_);
    if (found.verdict == RoutingTable::Verdict::none) return "-";
    if (found.verdict == RoutingTable::Verdict::ambiguous) return "?";
    return state_.apps[found.app].name;
  }

 private:
  static ipc::ProxyState make(const std::vector<Routes>& apps) {
    ipc::ProxyState state;
    for (const Routes& one : apps) {
      state.apps.emplace_back().name = one.app;
      state.apps.back().routes = one.routes;
    }
    return state;
  }

  ipc::ProxyState state_;
  RoutingTable table_;
  std::string scratch_;
};

}  // namespace

TEST_CASE("an app without routes gets everything, and nothing is for nobody") {
  CHECK(Table(std::vector<Routes>{{"web", {}}}).of("any.example", "/a?b") == "web");
  CHECK(Table(std::vector<Routes>{{"web", {}}}).of("", "*") == "web");
  CHECK(Table(std::vector<Routes>{}).of("any.example") == "-");
}

TEST_CASE("hosts are compared without case, port and dot at the end") {
  Table table(std::vector<Routes>{{"shop", {{"shop.example", "/", {}}}}, {"six", {{"[2001:db8::1]", "", {}}}}});
  for (const char* host :
       {"shop.example", "SHOP.Example", "shop.example:8080", "shop.example.", "shop.example.:80", "shop.example:"}) {
    INFO(host);
    CHECK(table.of(host) == "shop");
  }
  for (const char* host : {"", "www.shop.example", "shop.example..", "example", "xshop.example", "shop.example2"}) {
    INFO(host);
    CHECK(table.of(host) == "-");
  }
  CHECK(table.of("[2001:db8::1]:80") == "six");
  CHECK(table.of("[2001:DB8::1]") == "six");
  CHECK(table.of("[2001:db8::2]") == "-");
}

TEST_CASE("an IPv6 address is the same however it is written") {
  Table table(std::vector<Routes>{
      {"one", {{"[::1]", "", {}}}}, {"six", {{"[2001:db8::1]", "", {}}}}, {"mapped", {{"[::ffff:10.0.0.1]", "", {}}}}});
  for (const char* host : {"[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]:80", "[::0:1]", "[::0.0.0.1]"}) {
    INFO(host);
    CHECK(table.of(host) == "one");
  }
  CHECK(table.of("[2001:0DB8:0:0::1]:8080") == "six");
  CHECK(table.of("[::ffff:a00:1]") == "mapped");
  for (const char* host : {"[", "[]", "[::1", "[::1]x", "[::g]", "[v1.a]", "[0:0:0:0:0:0:0:0:1]",
                           "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]"}) {
    INFO(host);
    CHECK(table.of(host) == "-");
  }
}

TEST_CASE("an exact host comes before a wildcard, a longer wildcard before a shorter one, any of them before none") {
  Table table(std::vector<Routes>{{"rest", {}},
                                  {"wide", {{"*.example", "/", {}}}},
                                  {"narrow", {{"*.shop.example", "/", {}}}},
                                  {"exact", {{"a.shop.example", "/", {}}}}});
  CHECK(table.of("a.shop.example") == "exact");
  CHECK(table.of("b.shop.example") == "narrow");
  CHECK(table.of("c.b.shop.example") == "narrow");
  CHECK(table.of("x.a.shop.example") == "narrow");
  CHECK(table.of("shop.example") == "wide");
  CHECK(table.of("x.y.z.example") == "wide");
  CHECK(table.of("example") == "rest");
  CHECK(table.of(".example") == "rest");
  CHECK(table.of(".shop.example") == "rest");
  CHECK(table.of(std::string(300, 'a') + ".shop.example") == "rest");
}

TEST_CASE("a path is a prefix of whole segments, the longest wins") {
  Table table(
      std::vector<Routes>{{"web", {{"", "/", {}}}}, {"api", {{"", "/api", {}}}}, {"v2", {{"", "/api/v2/", {}}}}});
  for (const char* target : {"/api", "/api/", "/api/x", "/api?x", "/api/v", "/api/v22", "/api/V2"}) {
    INFO(target);
    CHECK(table.of("h", target) == "api");
  }
  for (const char* target : {"/", "/apix", "/ap", "/API", "/x/api", "/?/api", "*"}) {
    INFO(target);
    CHECK(table.of("h", target) == "web");
  }
  CHECK(table.of("h", "/api/v2") == "v2");
  CHECK(table.of("h", "/api/v2?q") == "v2");
  CHECK(table.of("h", "/api/v2/x/y") == "v2");
}

TEST_CASE("the listener decides before the host, and the host before the path") {
  Table table(std::vector<Routes>{{"web", {}},
                                  {"host", {{"a.example", "/", {}}}},
                                  {"path", {{"", "/deep/path", {}}, {"*.example", "/deep/path", {}}}},
                                  {"admin", {{"", "/", {"back", "side"}}}},
                                  {"adminhost", {{"b.example", "/x", {"back"}}}}});
  CHECK(table.of("a.example", "/deep/path") == "host");
  CHECK(table.of("b.example", "/deep/path") == "path");
  CHECK(table.of("c", "/deep/path/x") == "path");
  CHECK(table.of("a.example", "/deep/path", "back") == "admin");
  CHECK(table.of("b.example", "/x", "back") == "adminhost");
  CHECK(table.of("b.example", "/y", "back") == "admin");
  CHECK(table.of("b.example", "/x", "side") == "admin");
  CHECK(table.of("b.example", "/x") == "web");
}

TEST_CASE("a host whose paths do not match leaves the request to the next best host") {
  Table table(
      std::vector<Routes>{{"a", {{"a.example", "/a", {}}}}, {"b", {{"*.example", "/b", {}}}}, {"c", {{"", "/c", {}}}}});
  CHECK(table.of("a.example", "/a/1") == "a");
  CHECK(table.of("a.example", "/b/1") == "b");
  CHECK(table.of("a.example", "/c/1") == "c");
  CHECK(table.of("a.example", "/d/1") == "-");
}

TEST_CASE("OPTIONS * belongs to the app that has the root of the host") {
  Table table(
      std::vector<Routes>{{"api", {{"a.example", "/api", {}}}}, {"site", {{"a.example", "/", {}}}}, {"rest", {}}});
  CHECK(table.of("a.example", "*") == "site");
  CHECK(table.of("b.example", "*") == "rest");
}

TEST_CASE("no spelling of a path leads to an app that would read it as another's") {
  Table table(
      std::vector<Routes>{{"site", {{"", "/", {}}}}, {"admin", {{"", "/admin", {}}}}, {"files", {{"", "/files", {}}}}});
  struct {
    const char* target;
    const char* app;
  } const cases[] = {
      // plainly the same path (RFC 3986 6.2.2)
      {"/%61dmin", "admin"},
      {"/%61%64%6D%69%6e/x", "admin"},
      {"/./admin", "admin"},
      {"/x/../admin", "admin"},
      {"/x/%2e%2E/admin", "admin"},
      {"/../admin", "admin"},
      {"/../../../admin/", "admin"},
      {"/files/../admin", "admin"},
      {"/files/./x/../../admin", "admin"},
      {"/admin/..", "site"},
      {"/admin/../x", "site"},
      {"/admin/.", "admin"},
      {"/admin/...", "admin"},
      {"/admin/..x", "admin"},
      {"/adm%69n2", "site"},
      // a matter of who reads it
      {"//admin", "?"},
      {"/x//..//admin", "?"},
      {"/files//../admin", "?"},
      {"/files%2f..%2fadmin", "?"},
      {"/files/..%2Fadmin", "?"},
      {"/files/..%5cadmin", "?"},
      {"/files%2f%2e%2e%2fadmin", "?"},
      {"/files/..;/admin", "?"},
      {"/files/..;a=b/admin/x", "?"},
      {"/%2fadmin", "?"},
      {"/admin%2fx", "?"},
      {"/admin;v=1/x", "?"},
      {"/x%2f..%2fadmin", "?"},
      // odd, but the same app's in every reading
      {"//x", "site"},
      {"/a;b/c%2Fd", "site"},
      {"/files/group%2Fproject//x;y", "files"},
      {"/files/%2e%2e%2Ffiles/x", "files"},
      {"/files/%", "files"},
      {"/files/%zz%1", "files"},
      {"/%25%36%31dmin", "site"},
      {"/x?/../admin", "site"},
      {"/x?a=%2f..%2fadmin;", "site"},
  };
  for (const auto& one : cases) {
    INFO(one.target);
    CHECK(table.of("h", one.target) == one.app);
  }
}

TEST_CASE("leaving the part of an app that has a route is no way into the rest of it") {
  Table table(std::vector<Routes>{{"app", {{"", "/public", {}}}}});
  CHECK(table.of("h", "/public/x") == "app");
  CHECK(table.of("h", "/public/../internal") == "-");
  CHECK(table.of("h", "/public/..%2finternal") == "?");
  CHECK(table.of("h", "/public/..;/internal") == "?");
  CHECK(table.of("h", "/internal/..%2fpublic") == "-");
}

TEST_CASE("a route with an escape gets the requests that have it, in either case of its digits") {
  Table table(std::vector<Routes>{{"coffee", {{"", "/caf%C3%A9", {}}}},
                                  {"one", {{"", "/group%2Fone", {}}}},
                                  {"params", {{"", "/p;v=1", {}}}},
                                  {"site", {}}});
  CHECK(table.of("h", "/caf%C3%A9") == "coffee");
  CHECK(table.of("h", "/caf%c3%a9/menu?x") == "coffee");
  CHECK(table.of("h", "/caf%C3%A9s") == "site");
  CHECK(table.of("h", "/group%2fone/x") == "one");
  CHECK(table.of("h", "/group/one/x") == "site");
  CHECK(table.of("h", "/p;v=1/x") == "params");
  CHECK(table.of("h", "/p;v=2") == "?");
  CHECK(table.of("h", "/x/..%2fcaf%C3%A9") == "?");
}

TEST_CASE("what two routes are the same in to a careless server belongs to neither") {
  for (bool plain_first : {true, false}) {
    const Routes plain{"plain", {{"", "/a/b", {}}}};
    const Routes escaped{"escaped", {{"", "/a%2Fb", {}}}};
    Table table(plain_first ? std::vector<Routes>{plain, escaped} : std::vector<Routes>{escaped, plain});
    CHECK(table.of("h", "/a/b/c") == "plain");
    CHECK(table.of("h", "/a%2Fb/c") == "?");
    CHECK(table.of("h", "/a//b") == "-");
  }
}

TEST_CASE("without paths in the routes no path is odd") {
  Table table(std::vector<Routes>{{"a", {{"a.example", "/", {}}}}, {"b", {{"b.example", "", {}}}}});
  CHECK(table.of("a.example", "/x%2f..%2f..;//") == "a");
  CHECK(table.of("b.example", "//") == "b");
}

TEST_CASE("a thousand hosts cost a look-up what one host costs") {
  std::vector<Routes> apps;
  std::vector<std::string> names(1000);
  for (std::size_t i = 0; i < names.size(); i++) {
    names[i] = "app" + std::to_string(i);
    apps.push_back({names[i].c_str(), {{names[i] + ".example", "/", {}}, {"*." + names[i] + ".example", "/x", {}}}});
  }
  Table many(apps);
  Table one(std::vector<Routes>{{"app999", {{"app999.example", "/", {}}}}});
  CHECK(many.of("app0.example") == "app0");
  CHECK(many.of("APP999.example:80", "/x") == "app999");
  CHECK(many.of("y.app500.example", "/x/y") == "app500");
  CHECK(many.of("y.app500.example", "/y") == "-");
  const auto time = [](Table& table) {
    auto best = std::chrono::nanoseconds::max();
    for (int round = 0; round < 5; round++) {
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < 2000; i++) REQUIRE(table.of("app999.example", "/") == "app999");
      best = std::min<std::chrono::nanoseconds>(best, std::chrono::steady_clock::now() - start);
    }
    return best;
  };
  CHECK(time(many) < 10 * time(one));  // a scan would be about 500 times slower
}
