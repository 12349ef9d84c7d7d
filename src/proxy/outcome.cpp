#include "rota/proxy/outcome.h"

#include <array>

#include "rota/proxy/suspects.h"

namespace rota::proxy {

namespace {

constexpr std::array<OutcomeInfo, static_cast<std::size_t>(Outcome::count_)> kOutcomes{{
    {"ok", 0, "", 0},
    {"client_closed", 0, "", 0},
    {"bad_request", 400, "The request is not valid HTTP", 0},
    {"body_too_large", 413, "The request body is larger than this server accepts", 0},
    {"request_timeout", 408, "The request did not arrive in time", 0},
    {"client_write_timeout", 0, "", 0},
    {"no_route", 404, "No app is configured for this address", 0},
    {"loop_detected", 508, "The request has come through this proxy again and again", 0},
    {"queue_full", 503, "All workers are busy and the queue is full", 1},
    {"queue_timeout", 503, "No worker became ready in time", 1},
    {"poisoned", 503, "Workers died again and again while they handled this request, so it is refused for now",
     Suspects::kRefusal / std::chrono::seconds(1)},
    {"connect_timeout", 504, "The server behind this proxy did not accept the connection in time", 0},
    {"upstream_closed", 502, "The worker ended while it handled this request", 0},
    {"upstream_invalid", 502, "The worker answered with something that is not valid HTTP", 0},
    {"upstream_timeout", 504, "The worker did not answer in time", 0},
    {"upstream_truncated", 0, "", 0},
    {"upstream_stalled", 0, "", 0},
    {"tunnel_timeout", 0, "", 0},
    {"shutting_down", 503, "The server is shutting down", 1},
}};

}  // namespace

const OutcomeInfo& info_of(Outcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)]; }

}  // namespace rota::proxy
