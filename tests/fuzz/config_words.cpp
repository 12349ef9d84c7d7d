// Any bytes as a command, a time, a size, an address, a route and a network.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rota/config/address.h"
#include "rota/config/network.h"
#include "rota/config/route.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "rota/config/words.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace rota::config;
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  Words words = split_words(text);
  if (words.problem && words.problem->offset + words.problem->length > size) std::abort();
  static_cast<void>(parse_duration(text));
  static_cast<void>(parse_size(text));
  static_cast<void>(parse_count(text));
  for (AddressUse use : {AddressUse::listener, AddressUse::server}) {
    auto address = parse_address(text, use);
    // What an address says of itself is understood again, as the same address.
    if (address) {
      auto again = parse_address(address->text(), use);
      if (!again || !(*again == *address)) std::abort();
    }
  }
  if (auto network = parse_network(text)) {
    auto again = parse_network(format_network(*network));
    if (!again || !(*again == *network)) std::abort();
  }
  if (auto route = parse_route(text)) {
    if (route->route.path.empty() || route->route.path[0] != '/') std::abort();
    // A route means the same when its host and path are written as they were understood.
    auto again = parse_route(route->route.host + route->route.path);
    if (!again || again->route.host != route->route.host || again->route.path != route->route.path) std::abort();
  }
  if (size >= 2) edit_distance(text.substr(0, size / 2), text.substr(size / 2));
  return 0;
}
