// Any bytes as a configuration: no crash, no hang, bounded memory, and every problem fit to be shown.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rota/config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  rota::config::Loaded loaded = rota::config::load_text(text, "/fuzz.yaml", rota::config::Source{});
  if (loaded.problems.empty() && loaded.config.apps.empty()) std::abort();
  for (const auto& problem : loaded.problems) {
    bool has_control = false;
    for (char c : problem.message) has_control = has_control || static_cast<unsigned char>(c) < 0x20;
    if (has_control || problem.message.empty() || problem.shown.empty() || problem.shown.size() > 20'000) std::abort();
  }
  return 0;
}
