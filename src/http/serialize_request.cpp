// The head a worker gets. Nothing of the client's start line, framing or connection is copied.
#include "connection_options.h"
#include "field_names.h"
#include "head_writer.h"
#include "rota/http/serialize.h"

namespace rota::http {

namespace {

// What a field of the client's becomes.
bool is_dropped(KnownName known) {
  switch (known.field) {
    case KnownField::host:
    case KnownField::content_length:
    case KnownField::transfer_encoding:
    case KnownField::expect: return true;  // written by us, and their aliases are nobody's
    default: return is_hop_by_hop(known.field) || is_forwarding(known.field);
  }
}

void write_fields(HeadWriter& writer, const RequestHead& head, bool& had_content_length) {
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (known.field == KnownField::content_length) had_content_length = true;
    if (is_dropped(known)) continue;
    if (!head.nominated.empty() && is_nominated(head.nominated, field.name)) continue;
    if (known.field == KnownField::max_forwards && head.max_forwards > 0) {
      writer.literal("Max-Forwards: ");
      writer.number(static_cast<std::uint64_t>(head.max_forwards - 1));
      writer.literal("\r\n");
      continue;
    }
    writer.field(field.name, field.value);
  }
}

// After the client's fields, whatever its Connection field nominated.
void write_forwarding(HeadWriter& writer, const RequestHead& head, const Forwarding& forwarding) {
  if (!forwarding.client_address.empty()) writer.field("X-Forwarded-For", forwarding.client_address);
  writer.field("X-Forwarded-Proto", forwarding.proto);
  if (!head.host.empty()) writer.field("X-Forwarded-Host", head.host);
  if (forwarding.port != 0) {
    writer.literal("X-Forwarded-Port: ");
    writer.number(forwarding.port);
    writer.literal("\r\n");
  }
  // The version is the one we were spoken to in (RFC 9110 7.6.3).
  writer.literal(head.version_minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
  writer.octets(forwarding.via);
  writer.literal("\r\n");
}

}  // namespace

void append_request_head(std::string& out, const RequestHead& head, const Forwarding& forwarding) {
  HeadWriter writer(out);
  writer.octets(head.method_text);
  writer.literal(" ");
  writer.octets(head.target);
  writer.literal(" HTTP/1.1\r\nHost: ");
  writer.octets(head.host);
  writer.literal("\r\n");
  bool had_content_length = false;
  write_fields(writer, head, had_content_length);
  write_forwarding(writer, head, forwarding);
  if (head.expect_continue) writer.literal("Expect: 100-continue\r\n");
  ROTA_CHECK(head.framing.kind != BodyKind::until_close);
  if (head.framing.kind == BodyKind::chunked) {
    writer.literal("Transfer-Encoding: chunked\r\n");
  } else if (head.framing.kind == BodyKind::length || had_content_length) {
    // A zero stays: an app may answer 411 to a POST without any length.
    writer.literal("Content-Length: ");
    writer.number(head.framing.kind == BodyKind::length ? head.framing.length : 0);
    writer.literal("\r\n");
  }
  writer.literal("\r\n");
}

}  // namespace rota::http
