#include "rota/proxy/outcome.h"

#include <array>

namespace rota::proxy {

namespace {

constexpr std::array<OutcomeInfo, static_cast<std::size_t>(Outcome::count_)> kOutcomes{{
    {"ok", 0, "", false},
    {"client_closed", 0, "", false},
    {"bad_request", 400, "The request is not valid HTTP", false},
    {"body_too_large", 413, "The request body is larger than this server accepts", false},
    {"request_timeout", 408, "The request did not arrive in time", false},
    {"client_write_timeout", 0, "", false},
    {"no_route", 404, "No app is configured for this address", false},
    {"loop_detected", 508, "The request has come through this proxy again and again", false},
    {"queue_full", 503, "All workers are busy and the queue is full", true},
    {"queue_timeout", 503, "No worker became ready in time", true},
    {"connect_timeout", 504, "The server behind this proxy did not accept the connection in time", false},
    {"upstream_closed", 502, "The worker ended while it handled this request", false},
    {"upstream_invalid", 502, "The worker answered with something that is not valid HTTP", false},
    {"upstream_timeout", 504, "The worker did not answer in time", false},
    {"upstream_truncated", 0, "", false},
    {"upstream_stalled", 0, "", false},
    {"tunnel_timeout", 0, "", false},
    {"shutting_down", 503, "The server is shutting down", true},
}};

}  // namespace

const OutcomeInfo& info_of(Outcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)]; }

}  // namespace rota::proxy
