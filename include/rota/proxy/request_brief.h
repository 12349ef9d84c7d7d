// What a crash report tells of a request, in as few bytes as that takes: for requests that go on for long because their
// client is slow. Knows no exchange.
#pragma once

#include <string_view>

#include "rota/base/held_bytes.h"
#include "rota/ipc/proxy_protocol.h"
#include "rota/proxy/origin.h"

namespace rota::proxy {

// Its method, path and id; `method` is what its text means.
HeldBytes brief_of(const ipc::RequestInFlight& request, http::Method method, const RequestIds& ids);
ipc::RequestInFlight read_brief(std::string_view brief, const RequestIds& ids);

}  // namespace rota::proxy
