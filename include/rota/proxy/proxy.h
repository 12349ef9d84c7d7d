// The proxy role: serves clients on 1..N data loops. Its main thread only listens to the keeper and the supervisor and
// hands what they say to the loops. It opens no file, spawns nothing, resolves no name, and goes on with the last state
// when the supervisor is gone.
#pragma once

namespace rota::proxy {

// The whole life of the process; ipc::kChannelFd is the channel to the keeper. Returns an exit code.
int run();

}  // namespace rota::proxy
