// The real session, exchange, upstream and tunnel between a client and workers that do whatever the input says, in
// whatever order it says: see proxy_exchange/script.h for the language and proxy_exchange/judge.h for what must hold.
// Single-threaded and in a time of its own: nothing waits, and the same input does the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy_exchange/judge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  rota::fuzz::Script script(input);
  rota::fuzz::World world(script);
  world.play();
  world.finish();
  rota::fuzz::judge(world, input);
  return 0;
}
