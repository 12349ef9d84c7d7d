#include "rota/proxy/routing.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace rota::proxy {

namespace {

// How a path is read.
enum class Reading : std::uint8_t {
  normal,  // RFC 3986 6.2.2: escapes of unreserved characters decoded, those of others in capitals, dot segments
           // resolved, nothing else touched
  loose,   // as careless servers do: every escape decoded first, a backslash is a slash, empty segments and what
           // follows a ";" in a segment do not count
};

int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

char upper(char digit) { return digit >= 'a' && digit <= 'f' ? static_cast<char>(digit - 'a' + 'A') : digit; }

bool is_unreserved(char octet) {
  return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9') ||
         octet == '-' || octet == '.' || octet == '_' || octet == '~';
}

void decode(std::string_view path, Reading reading, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < path.size(); i++) {
    char octet = path[i];
    if (octet == '%' && i + 2 < path.size() && hex(path[i + 1]) >= 0 && hex(path[i + 2]) >= 0) {
      const char decoded = static_cast<char>(hex(path[i + 1]) * 16 + hex(path[i + 2]));
      if (reading == Reading::normal && !is_unreserved(decoded)) {
        out += {'%', upper(path[i + 1]), upper(path[i + 2])};
        i += 2;
        continue;
      }
      octet = decoded;
      i += 2;
    }
    if (reading == Reading::loose && octet == '\\') octet = '/';
    out.push_back(octet);
  }
}

// In place: what is kept is never longer than what was read.
void resolve_segments(std::string& path, Reading reading) {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at + 1), path.size());
    std::string_view segment = std::string_view(path).substr(at + 1, end - at - 1);
    if (reading == Reading::loose) segment = segment.substr(0, segment.find(';'));
    if (segment == "..") {
      if (kept > 0) kept = path.rfind('/', kept - 1);
    } else if (segment != "." && (reading == Reading::normal || !segment.empty())) {
      path[kept] = '/';
      std::memmove(path.data() + kept + 1, segment.data(), segment.size());
      kept += 1 + segment.size();
    }
    at = end;
  }
  path.resize(kept);
  if (path.empty()) path.push_back('/');
}

std::string_view read_path(std::string_view path, Reading reading, std::string& scratch) {
  decode(path, reading, scratch);
  resolve_segments(scratch, reading);
  return scratch;
}

// Both readings of any other path are the path itself.
bool can_be_read_otherwise(std::string_view path) {
  char before = 0;
  for (const char octet : path) {
    if (octet == '%' || octet == ';' || (before == '/' && (octet == '.' || octet == '/'))) return true;
    before = octet;
  }
  return false;
}

// "[0:0::1]" as "[::1]", which is how the configuration writes the addresses of routes. Empty: it is no address.
std::string_view plain_address(std::string_view host, std::array<char, RoutingTable::kHostMax>& buffer) {
  std::array<char, INET6_ADDRSTRLEN> inside{};
  if (host.size() < 2 || host.back() != ']' || host.size() - 2 >= inside.size()) return {};
  host.substr(1, host.size() - 2).copy(inside.data(), inside.size());
  in6_addr address{};
  if (::inet_pton(AF_INET6, inside.data(), &address) != 1) return {};
  ::inet_ntop(AF_INET6, &address, buffer.data() + 1, INET6_ADDRSTRLEN);
  const std::size_t length = 1 + std::strlen(buffer.data() + 1);
  buffer[0] = '[';
  buffer[length] = ']';
  return {buffer.data(), length + 1};
}

// The host of a request as routes write it: lower case, no port, no dot at the end. Empty: no name a route can have.
std::string_view plain_host(std::string_view host, std::array<char, RoutingTable::kHostMax>& buffer) {
  const std::size_t bracket = host.rfind(']');  // colons before it are the address's own
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host = host.substr(0, colon);
  if (host.starts_with('[')) {
    if (const std::string_view address = plain_address(host, buffer); !address.empty()) return address;
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > buffer.size()) return {};
  std::transform(host.begin(), host.end(), buffer.begin(),
                 [](char octet) { return octet >= 'A' && octet <= 'Z' ? static_cast<char>(octet | 0x20) : octet; });
  return {buffer.data(), host.size()};
}

}  // namespace

RoutingTable::RoutingTable(const ipc::ProxyState& state) {
  for (std::uint32_t app = 0; app < state.apps.size(); app++) {
    const auto& routes = state.apps[app].routes;
    if (routes.empty() && rest_ == kNone) rest_ = app;
    for (const ipc::RouteState& route : routes) {
      has_paths_ = has_paths_ || route.path.size() > 1;
      if (route.listeners.empty()) of_all_.add(route, app);
      for (const std::string& listener : route.listeners) of_listener_[listener].add(route, app);
    }
  }
}

void RoutingTable::Scope::add(const ipc::RouteState& route, std::uint32_t app) {
  Paths* paths = &any_host;
  if (route.host.starts_with("*.")) {
    longest_wildcard = std::max(longest_wildcard, route.host.size() - 1);
    paths = &hosts[route.host.substr(1)];
  } else if (!route.host.empty()) {
    paths = &hosts[route.host];
  }
  paths->add(route.path, app);
}

void RoutingTable::Paths::add(const std::string& path, std::uint32_t app) {
  std::string scratch;
  normal.add(path, app);
  loose.add(std::string(read_path(path.empty() ? "/" : path, Reading::loose, scratch)), app);
}

void RoutingTable::Prefixes::add(std::string path, std::uint32_t app) {
  while (path.ends_with('/')) path.pop_back();
  auto at = std::lower_bound(sorted.begin(), sorted.end(), path,
                             [](const Prefix& one, const std::string& text) { return one.path < text; });
  if (at != sorted.end() && at->path == path) {
    // The configuration was checked: two apps can be the same in their loose form only, "/a%2Fb" and "/a/b".
    if (at->app != app) at->app = kSeveral;
    return;
  }
  longest = std::max(longest, path.size());
  sorted.insert(at, Prefix{std::move(path), app});
}

std::uint32_t RoutingTable::Prefixes::at(std::string_view prefix) const {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), prefix,
                             [](const Prefix& one, std::string_view text) { return one.path < text; });
  return at != sorted.end() && at->path == prefix ? at->app : kNone;
}

// The longest prefix first; it ends where a segment does.
std::uint32_t RoutingTable::Prefixes::find(std::string_view path) const {
  if (sorted.empty()) return kNone;
  for (std::size_t end = std::min(path.size(), longest); end > 0; end--) {
    if (end < path.size() && path[end] != '/') continue;
    if (const std::uint32_t app = at(path.substr(0, end)); app != kNone) return app;
  }
  return at({});
}

std::uint32_t RoutingTable::Scope::find(std::string_view host, std::string_view path, Prefixes Paths::*reading) const {
  const auto look = [&](std::string_view name) {
    auto at = hosts.find(name);
    return at == hosts.end() ? kNone : (at->second.*reading).find(path);
  };
  if (!host.empty() && host[0] != '.' && !hosts.empty()) {
    if (const std::uint32_t app = look(host); app != kNone) return app;
    for (std::size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
      if (host.size() - dot > longest_wildcard) continue;
      if (const std::uint32_t app = look(host.substr(dot)); app != kNone) return app;
    }
  }
  return (any_host.*reading).find(path);
}

std::uint32_t RoutingTable::best(const Scope* own, std::string_view host, std::string_view path,
                                 Prefixes Paths::*reading) const {
  if (own != nullptr) {
    if (const std::uint32_t app = own->find(host, path, reading); app != kNone) return app;
  }
  const std::uint32_t app = of_all_.find(host, path, reading);
  return app != kNone ? app : rest_;
}

RoutingTable::Found RoutingTable::find(std::string_view listener, std::string_view host, std::string_view target,
                                       std::string& scratch) const {
  const auto answer = [](std::uint32_t app) {
    if (app == kSeveral) return Found{Verdict::ambiguous, 0};
    return app == kNone ? Found{} : Found{Verdict::app, app};
  };
  const Scope* own = nullptr;
  if (!of_listener_.empty()) {
    auto at = of_listener_.find(listener);
    if (at != of_listener_.end()) own = &at->second;
  }
  std::array<char, kHostMax> buffer;
  host = plain_host(host, buffer);
  // "*" is the server as a whole (RFC 9110 9.3.7): nobody's path in particular.
  std::string_view path = target == "*" ? "/" : target.substr(0, target.find('?'));
  if (!has_paths_ || !can_be_read_otherwise(path)) return answer(best(own, host, path, &Paths::normal));
  const std::uint32_t app = best(own, host, read_path(path, Reading::normal, scratch), &Paths::normal);
  if (app != kNone && best(own, host, read_path(path, Reading::loose, scratch), &Paths::loose) != app) {
    return {Verdict::ambiguous, 0};
  }
  return answer(app);
}

}  // namespace rota::proxy
