// Decodes arbitrary bytes as every message and every bulk: nothing may be read out of bounds, and what is accepted must
// be exactly what the encoder writes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "unit/ipc/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rota::ipc;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  test::for_each_message([&]<class M>(const M&) {
    M message;
    if (!decode_message(bytes, message)) return;
    std::string again;
    encode_message(again, message);
    if (again != bytes) std::abort();
  });
  auto bulk = [&]<class T>(T value) {
    if (decode_bulk(bytes, value) && encode_bulk(value) != bytes) std::abort();
  };
  bulk(SpawnSpec{});
  bulk(ProxyState{});
  bulk(InFlight{});
  return 0;
}
