// Whose word about the client is believed, and how far.
#include "rota/proxy/origin.h"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

#include "rota/http/request_head.h"

using namespace rota;
using namespace rota::proxy;

namespace {

// A state that trusts 10.0.0.0/8 and 2001:db8::/32.
ipc::ProxyState trusting() {
  ipc::ProxyState state;
  for (const auto& [network, prefix] : {std::pair{"10.0.0.0", 104}, std::pair{"2001:db8::", 32}}) {
    ipc::NetworkState one;
    one.address = http::IpAddress::parse(network)->octets();
    one.prefix = static_cast<std::uint8_t>(prefix);
    state.trusted_proxies.push_back(one);
  }
  return state;
}

ClientInfo from(std::string_view address) {
  ClientInfo client;
  client.port = 8080;
  client.kind = ClientInfo::Kind::ip;
  if (address == "unix") {
    client.kind = ClientInfo::Kind::unix_peer;
    client.port = 0;
  } else {
    client.address = *http::IpAddress::parse(address);
  }
  return client;
}

class Judged {
 public:
  Judged(std::string_view peer, const std::string& lines, const ipc::ProxyState& state = trusting())
      : client_(from(peer)), text_("GET / HTTP/1.1\r\nHost: t.example\r\n" + lines + "\r\n"), parser_({}) {
    REQUIRE(parser_.parse(text_, head_) == http::Progress::complete);
    it_ = &origin_.judge(head_, client_, state);
  }
  const http::Forwarding* operator->() const { return it_; }
  std::string shown() const { return std::string(origin_.shown()); }

 private:
  ClientInfo client_;
  std::string text_;
  http::RequestHeadParser parser_;
  http::RequestHead head_;
  Origin origin_;
  const http::Forwarding* it_ = nullptr;
};

// The client that is believed, for a X-Forwarded-For from a trusted peer.
std::string client_of(const std::string& list) {
  return Judged("10.0.0.1", "X-Forwarded-For: " + list + "\r\n").shown();
}

}  // namespace

TEST_CASE("nothing is believed of who is not trusted") {
  Judged judged(
      "192.0.2.9",
      "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n");
  CHECK(judged.shown() == "192.0.2.9");
  CHECK(judged->peer == "192.0.2.9");
  CHECK(judged->client.empty());
  CHECK(judged->proto == "http");
  CHECK(judged->host.empty());
  CHECK(judged->port == 8080);
  CHECK_FALSE(judged->extend_forwarded_for);
  CHECK_FALSE(judged->extend_forwarded);
  CHECK_FALSE(judged->trusted);
}

TEST_CASE("the client is the last address of the list that is not trusted itself") {
  CHECK(client_of("192.0.2.1") == "192.0.2.1");
  CHECK(client_of("192.0.2.1:5000") == "192.0.2.1");
  CHECK(client_of("6.6.6.6, 192.0.2.1") == "192.0.2.1");
  CHECK(client_of("6.6.6.6, 192.0.2.1, 10.1.1.1, 2001:db8::2") == "192.0.2.1");
  CHECK(client_of("10.9.9.9, 192.0.2.1, 10.1.1.1") == "192.0.2.1");
  CHECK(client_of("10.3.3.3, 10.2.2.2") == "10.3.3.3");  // all trusted: the first
  CHECK(client_of("2001:db9::1") == "2001:db9::1");
}

TEST_CASE("behind an entry that cannot be read nothing is believed") {
  CHECK(client_of("6.6.6.6, nonsense, 10.2.2.2") == "10.2.2.2");
  CHECK(client_of("6.6.6.6, unknown, 192.0.2.1, 10.2.2.2") == "192.0.2.1");
  CHECK(client_of("6.6.6.6, nonsense") == "10.0.0.1");
  Judged judged("10.0.0.1", "X-Forwarded-For: 6.6.6.6, nonsense, 192.0.2.1\r\n");
  CHECK(judged->client == "192.0.2.1");
  CHECK_FALSE(judged->extend_forwarded_for);
  CHECK(Judged("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n")->extend_forwarded_for);
}

TEST_CASE("row 146: one list is the source, and one that tells otherwise is not passed on") {
  Judged agree("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1;proto=https\r\n");
  CHECK(agree->extend_forwarded);
  Judged differ("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n");
  CHECK(differ->client == "192.0.2.1");
  CHECK(differ->extend_forwarded_for);
  CHECK_FALSE(differ->extend_forwarded);
  Judged only("2001:db8::1", "Forwarded: for=6.6.6.6, for=192.0.2.1, for=10.0.0.2\r\nX-Real-IP: 6.6.6.6\r\n");
  CHECK(only->client == "192.0.2.1");
  CHECK(only->extend_forwarded);
  Judged hidden("10.0.0.1", "Forwarded: for=_hidden\r\n");
  CHECK(hidden.shown() == "10.0.0.1");
  CHECK(hidden->extend_forwarded);
  Judged broken("10.0.0.1", "Forwarded: for=\"6.6.6.6\r\n");
  CHECK(broken.shown() == "10.0.0.1");
  CHECK_FALSE(broken->extend_forwarded);
  Judged real("10.0.0.1", "X-Real-IP: 192.0.2.1\r\n");
  CHECK(real->client == "192.0.2.1");
}

TEST_CASE("scheme, host and port of a trusted peer are kept, and no port of ours is told for a host of theirs") {
  Judged all("10.0.0.1", "X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 8443\r\n");
  CHECK(all->proto == "https");
  CHECK(all->host == "shop.example");
  CHECK(all->port == 8443);
  CHECK(Judged("10.0.0.1", "X-Forwarded-Proto: https\r\n")->port == 443);
  CHECK(Judged("10.0.0.1", "X-Forwarded-Host: shop.example:81\r\n")->port == 81);
  CHECK(Judged("10.0.0.1", "X-Forwarded-Host: [::1]\r\n")->port == 80);
  CHECK(Judged("10.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n")->port == 8080);
  CHECK(Judged("10.0.0.1", "X-Forwarded-Proto: gopher\r\n")->proto == "http");
  CHECK(Judged("10.0.0.1", "")->trusted);
}

TEST_CASE("a Unix peer is believed when the file says so") {
  const std::string lines = "X-Forwarded-For: 192.0.2.1\r\n";
  Judged stranger("unix", lines);
  CHECK(stranger.shown() == "unix");
  CHECK(stranger->peer.empty());
  ipc::ProxyState state = trusting();
  state.trusts_unix_peers = true;
  Judged trusted("unix", lines, state);
  CHECK(trusted.shown() == "192.0.2.1");
  CHECK(trusted->peer.empty());
  CHECK(trusted->extend_forwarded_for);
  ClientInfo nobody;
  CHECK_FALSE(is_trusted(nobody, state));
}

TEST_CASE("every request has an id: its own, or a new one") {
  CHECK(Judged("192.0.2.1", "X-Request-ID: abc-1\r\n")->request_id == "abc-1");
  CHECK(Judged("192.0.2.1", "X-Request-ID: a b\r\n")->request_id.size() == 32);
  RequestIds one;
  RequestIds two;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; i++) {
    for (RequestIds* ids : {&one, &two}) {
      std::string id(ids->next());
      CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
      CHECK(seen.insert(id).second);
    }
  }
}
