// Request heads: the verdict does not depend on how the bytes come; what our scanner accepts llhttp reads the same way;
// and what we write for a worker is read again, strictly, as the same request.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/check.h"
#include "rota/http/forwarded.h"
#include "rota/http/request_head.h"
#include "rota/http/serialize.h"

using namespace rota::http;

namespace {

constexpr std::string_view kDisagreement = "a head that can be read in two ways";
constexpr std::string_view kClient = "192.0.2.7";

// The text in pieces that end at every `step` octets, each parse in a buffer of its own.
Progress parse_in_steps(RequestHeadParser& parser, std::string_view text, std::size_t step, std::string& kept,
                        RequestHead& head) {
  Progress progress = Progress::incomplete;
  for (std::size_t end = std::min(step, text.size()); progress == Progress::incomplete;
       end = std::min(end + step, text.size())) {
    kept = std::string(text.substr(0, end));
    progress = parser.parse(kept, head);
    if (end == text.size()) break;
  }
  return progress;
}

bool is_own(const Field& field) {
  constexpr std::string_view kNames[] = {
      "host",      "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
      "via",       "content-length",  "transfer-encoding", "expect",           "max-forwards",
      "x-real-ip", "forwarded",       "x-request-id"};
  for (const std::string_view name : kNames) {
    if (equals_lower(field.name, name)) return true;
  }
  return false;
}

bool came_from_client(const RequestHead& client, const Field& field) {
  for (const Field& one : client.fields) {
    if (one.name == field.name && one.value == field.value) return true;
  }
  return false;
}

void check_round_trip(const RequestHead& head) {
  std::string out;
  append_request_head(out, head, {.peer = kClient, .port = 80});
  if (head.host.empty()) return;  // legal towards the worker, refused from a client
  RequestHeadParser parser({.bytes = 1 << 20, .fields = 200, .target = 1 << 16, .any_method = true});
  RequestHead again;
  ROTA_CHECK(parser.parse(out, again) == Progress::complete);
  ROTA_CHECK(parser.consumed() == out.size());
  ROTA_CHECK(again.method_text == head.method_text && again.target == head.target && again.host == head.host);
  ROTA_CHECK(again.framing.kind == head.framing.kind && again.framing.length == head.framing.length);
  ROTA_CHECK(again.expect_continue == head.expect_continue);
  // What this hop asks of the next: one of the two, or neither, and it is never the client's own words.
  const bool asks_trailers = head.te_trailers && !head.websocket;
  const bool last = is_last_of_connection(head) && !head.websocket;
  ROTA_CHECK(again.keep_alive == !last);
  ROTA_CHECK(again.websocket == head.websocket && again.upgrade == head.websocket);
  ROTA_CHECK(again.te_trailers == asks_trailers && again.nominated.empty());
  unsigned forwarded_for = 0;
  unsigned connection = 0;
  for (const Field& field : again.fields) {
    if (equals_lower(field.name, "x-forwarded-for")) {
      ++forwarded_for;
      ROTA_CHECK(field.value == kClient);
    }
    if (equals_lower(field.name, "connection")) {
      ++connection;
      const char* options = last ? (asks_trailers ? "close, TE" : "close") : "TE";
      ROTA_CHECK(field.value == (head.websocket ? "upgrade" : options));
    } else if (equals_lower(field.name, "te")) {
      ROTA_CHECK(asks_trailers && field.value == "trailers");
    } else if (equals_lower(field.name, "upgrade")) {
      ROTA_CHECK(head.websocket && field.value == "websocket");
    } else {
      ROTA_CHECK(is_own(field) || came_from_client(head, field));
    }
  }
  ROTA_CHECK(forwarded_for == 1 && connection == (head.websocket || asks_trailers || last ? 1u : 0u));
}

// Lists that a trusted peer sent and that we add to: whoever reads them finds what was there, and us behind it.
void check_extended(const RequestHead& head) {
  HopClaims before;
  read_hop_claims(head, before);
  if (head.host.empty()) return;
  std::string out;
  Forwarding from{.peer = kClient, .trusted = true};
  from.extend_forwarded_for = before.has_forwarded_for;
  from.extend_forwarded = !before.forwarded.empty();
  append_request_head(out, head, from);
  RequestHeadParser parser({.bytes = 1 << 20, .fields = 200, .target = 1 << 16, .any_method = true});
  RequestHead again;
  ROTA_CHECK(parser.parse(out, again) == Progress::complete);
  HopClaims after;
  read_hop_claims(again, after);
  const auto us = IpAddress::parse(kClient);
  before.forwarded_for.push_back(us);
  before.forwarded.push_back(us);
  ROTA_CHECK(after.forwarded_well_formed);
  ROTA_CHECK(after.forwarded_for == before.forwarded_for && after.forwarded == before.forwarded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const HeadLimits limits{.bytes = 2048, .fields = 20, .target = 300, .any_method = size % 2 == 0};
  RequestHeadParser whole(limits);
  RequestHead head;
  const Progress progress = whole.parse(text, head);

  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, size % 29 + 3}) {
    RequestHeadParser pieces(limits);
    RequestHead other;
    std::string kept;
    ROTA_CHECK(parse_in_steps(pieces, text, step, kept, other) == progress);
    ROTA_CHECK(pieces.rejection().status == whole.rejection().status);
    if (progress != Progress::complete) continue;
    ROTA_CHECK(pieces.consumed() == whole.consumed() && other.fields.size() == head.fields.size());
    ROTA_CHECK(other.target == head.target && other.framing.length == head.framing.length);
  }
  ROTA_CHECK(whole.rejection().why != kDisagreement);
  if (progress == Progress::complete) {
    check_round_trip(head);
    check_extended(head);
  }
  return 0;
}
