// Which app a request belongs to. Compiled once from a state and only read afterwards, by every loop at the same time;
// a look-up allocates nothing and costs the same with one host or a thousand. Knows names and numbers: no App, no
// connection.
//
// Of several routes that match, the one that names a listener comes first, then the one with the longer host (an exact
// one before a wildcard), then the one with the longer path. What no route matches belongs to the app without routes.
//
// A path is routed by its RFC 3986 normal form and forwarded as it came. App servers read odd paths differently, and
// more loosely: where such a reading would belong to another app, the request is refused (docs/decisions).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rota/ipc/proxy_protocol.h"

namespace rota::proxy {

class RoutingTable {
 public:
  explicit RoutingTable(const ipc::ProxyState& state);

  enum class Verdict : std::uint8_t {
    app,
    none,       // no app for it
    ambiguous,  // it depends on who reads the path
  };
  struct Found {
    Verdict verdict = Verdict::none;
    std::uint32_t app = 0;  // index into the state's apps
    bool operator==(const Found&) const = default;
  };
  // `listener`: the name of the one it came through. `host`: as in the request, port and all; may be empty. `target`:
  // origin-form or "*". `scratch`: memory to be used again.
  Found find(std::string_view listener, std::string_view host, std::string_view target, std::string& scratch) const;

  // Longer than any name of the DNS: no route has such a host.
  static constexpr std::size_t kHostMax = 255;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kSeveral = UINT32_MAX - 1;  // a path that belongs to one app or another

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  struct Prefix {
    std::string path;  // without a slash at its end: "/api", "" for every path
    std::uint32_t app;
  };
  // Each once.
  struct Prefixes {
    std::vector<Prefix> sorted;
    std::size_t longest = 0;

    void add(std::string path, std::uint32_t app);
    std::uint32_t find(std::string_view path) const;
    std::uint32_t at(std::string_view prefix) const;
  };
  // The paths of one host, as routes have them and as careless servers would read these.
  struct Paths {
    Prefixes normal;
    Prefixes loose;

    void add(const std::string& path, std::uint32_t app);
  };
  // The hosts of one listener, or of all.
  struct Scope {
    ByName<Paths> hosts;  // "example.com", and ".example.com" for any name below it
    Paths any_host;
    std::size_t longest_wildcard = 0;

    void add(const ipc::RouteState& route, std::uint32_t app);
    std::uint32_t find(std::string_view host, std::string_view path, Prefixes Paths::*reading) const;
  };

  std::uint32_t best(const Scope* own, std::string_view host, std::string_view path, Prefixes Paths::*reading) const;

  ByName<Scope> of_listener_;
  Scope of_all_;
  std::uint32_t rest_ = kNone;  // the app without routes
  bool has_paths_ = false;      // some route has a path other than "/"
};

}  // namespace rota::proxy
