#include "rota/base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace rota {

void check_failed(const char* file, int line, const char* expression) noexcept {
  char text[512];
  int n = std::snprintf(text, sizeof text, "rota: internal error: CHECK(%s) failed at %s:%d\n", expression, file, line);
  if (n > 0) {
    // Nothing can be done about a failing stderr here.
    [[maybe_unused]] ssize_t written =
        ::write(2, text, static_cast<std::size_t>(n) < sizeof text ? static_cast<std::size_t>(n) : sizeof text - 1);
  }
  std::abort();
}

}  // namespace rota
