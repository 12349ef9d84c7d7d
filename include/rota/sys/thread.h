// A thread that is left to itself, started without an exception. Knows nothing of what it does; what it uses, it owns.
#pragma once

#include <functional>

namespace rota::sys {

// False: the system gives none, for want of memory or because a limit of processes is reached (pthread_create(3),
// EAGAIN).
bool start_detached(std::function<void()> work);

}  // namespace rota::sys
