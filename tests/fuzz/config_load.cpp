// Any bytes as a configuration: no crash, no hang, bounded memory, and every problem fit to be shown. ${A} is there to
// be put in, ${A_KEY} to be put in and never shown.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rota/config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  ::setenv("A", "8080\n\x1b{slot}\xff", 1);
  ::setenv("A_KEY", "hunter2hunter2", 1);
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (text.find("hunter") != std::string_view::npos) return 0;
  rota::config::Loaded loaded = rota::config::load_text(text, "/fuzz.yaml", rota::config::Source{});
  if (loaded.problems.empty() && loaded.config.apps.empty()) std::abort();
  for (const auto& problem : loaded.problems) {
    bool has_control = false;
    for (char c : problem.message) has_control = has_control || static_cast<unsigned char>(c) < 0x20;
    if (problem.shown.find("hunter") != std::string::npos) std::abort();
    if (has_control || problem.message.empty() || problem.shown.empty() || problem.shown.size() > 20'000) std::abort();
  }
  return 0;
}
