#include "rota/sys/thread.h"

#include <system_error>
#include <thread>
#include <utility>

namespace rota::sys {

bool start_detached(std::function<void()> work) {
  try {
    std::thread(std::move(work)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace rota::sys
