// What must be true of every run, whatever the two sides did: read from nothing but the octets that each end has sent
// and got. A breach is printed with the whole exchange and ends the process.
#pragma once

#include "world.h"

namespace rota::fuzz {

//  - A worker gets whole requests, one at a time, each answered before the next; only the last may be unfinished. Each
//    is one that its client sent, with its body to the octet, and nothing that was not the client's or rota's own.
//  - What is not idempotent is read to its end by one worker at most, what is by one and as many as retries allow.
//  - A client gets responses in the order of its requests, no more than those, each framed for its request. One that is
//    not rota's own page is the answer that a worker gave to this very request, and looks whole only if that was.
void judge(const World& world, std::string_view input);

}  // namespace rota::fuzz
