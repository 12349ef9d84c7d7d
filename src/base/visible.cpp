#include "rota/base/visible.h"

#include <fmt/format.h>

#include <iterator>

namespace rota {

std::string visible(std::string_view bytes) {
  std::string shown;
  for (char c : bytes) {
    if (c > ' ' && c <= '~') {
      shown.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return shown;
}

}  // namespace rota
