// Any bytes as what an earlier supervisor left: nothing is read out of bounds, and what is accepted is exactly what
// would be written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rota/supervisor/kept_config.h"
#include "rota/supervisor/saved_state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rota::supervisor;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(decode_app(bytes));
  static_cast<void>(decode_config(bytes));
  auto state = decode_state(bytes);
  if (!state) return 0;
  if (encode_state(*state) != bytes) std::abort();
  static_cast<void>(restore_shutdown(state->shutdown));
  const rota::TimePoint now{std::chrono::hours(1)};
  for (const SavedApp& app : state->apps) {
    for (const SavedRecipe& recipe : app.recipes) static_cast<void>(decode_app(recipe.app));
    for (const SavedWorker& worker : app.workers) static_cast<void>(restore_state(worker, 42, now));
  }
  return 0;
}
