// The head a worker gets. Nothing of the client's start line, framing or connection is copied.
#include "connection_options.h"
#include "field_names.h"
#include "head_writer.h"
#include "rota/http/serialize.h"

namespace rota::http {

namespace {

// What a field of the client's becomes.
bool is_dropped(KnownName known, bool trusted) {
  switch (known.field) {
    case KnownField::host:
    case KnownField::content_length:
    case KnownField::transfer_encoding:
    case KnownField::x_request_id:
    case KnownField::expect: return true;  // written by us, and their aliases are nobody's
    case KnownField::x_forwarded: return !trusted || known.alias;
    default: return is_hop_by_hop(known.field) || is_forwarding(known.field);
  }
}

bool passes_trailers(const RequestHead& head) {
  return head.framing.kind == BodyKind::chunked && !head.nominates_trailers;
}

void write_fields(HeadWriter& writer, const RequestHead& head, bool trusted, bool& had_content_length) {
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (known.field == KnownField::content_length) had_content_length = true;
    const bool names_trailers = known.field == KnownField::trailer && !known.alias && passes_trailers(head);
    if (is_dropped(known, trusted) && !names_trailers) continue;
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

// The values of a field's lines as one list: visit(value) for each.
template <class Visit>
void for_each_line(const RequestHead& head, KnownField wanted, Visit visit) {
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (known.field == wanted && !known.alias && !field.value.empty()) visit(field.value);
  }
}

// A list field of which the beginning may be the request's own.
class ListWriter {
 public:
  ListWriter(HeadWriter& writer, std::string_view name) : writer_(writer), name_(name) {}
  // The next element's place; the field begins with the first.
  HeadWriter& next() {
    writer_.literal(begun_ ? std::string_view(", ") : name_);
    begun_ = true;
    return writer_;
  }
  void end() {
    if (begun_) writer_.literal("\r\n");
  }

 private:
  HeadWriter& writer_;
  std::string_view name_;
  bool begun_ = false;
};

void write_forwarded_element(HeadWriter& writer, std::string_view address, std::string_view host,
                             std::string_view proto) {
  writer.literal("for=");
  if (address.empty()) {
    writer.literal("unknown");
  } else if (address.find(':') != std::string_view::npos) {
    writer.literal("\"[");
    writer.octets(address);
    writer.literal("]\"");
  } else {
    writer.octets(address);
  }
  if (!host.empty()) {
    // What is_authority() passed holds no quote and no backslash.
    const bool plain = is_token(host);
    writer.literal(plain ? ";host=" : ";host=\"");
    writer.octets(host);
    if (!plain) writer.literal("\"");
  }
  writer.literal(";proto=");
  writer.literal(proto);
}

// After the client's fields, whatever its Connection field nominated.
void write_forwarding(HeadWriter& writer, const RequestHead& head, const Forwarding& from) {
  constexpr std::string_view kSpoken = "http";  // to us
  const std::string_view client = from.client.empty() ? from.peer : from.client;
  const std::string_view host = from.host.empty() ? head.host : from.host;
  const bool for_itself = client == from.peer;

  ListWriter forwarded_for(writer, "X-Forwarded-For: ");
  if (from.extend_forwarded_for) {
    for_each_line(head, KnownField::x_forwarded_for,
                  [&](std::string_view value) { forwarded_for.next().octets(value); });
  } else if (!for_itself) {
    forwarded_for.next().octets(client);
  }
  if (!from.peer.empty()) forwarded_for.next().octets(from.peer);
  forwarded_for.end();

  ListWriter forwarded(writer, "Forwarded: ");
  if (from.extend_forwarded) {
    for_each_line(head, KnownField::forwarded, [&](std::string_view value) { forwarded.next().octets(value); });
  } else {
    write_forwarded_element(forwarded.next(), client, host, from.proto);
  }
  if (from.extend_forwarded || !for_itself) write_forwarded_element(forwarded.next(), from.peer, head.host, kSpoken);
  forwarded.end();

  if (!client.empty()) writer.field("X-Real-IP", client);
  writer.field("X-Forwarded-Proto", from.proto);
  if (!host.empty()) writer.field("X-Forwarded-Host", host);
  if (from.port != 0) {
    writer.literal("X-Forwarded-Port: ");
    writer.number(from.port);
    writer.literal("\r\n");
  }
  if (!from.request_id.empty()) writer.field("X-Request-ID", from.request_id);
  // The version is the one we were spoken to in (RFC 9110 7.6.3).
  writer.literal(head.version_minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
  writer.octets(from.via);
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
  write_fields(writer, head, forwarding.trusted, had_content_length);
  write_forwarding(writer, head, forwarding);
  // The three things that a hop may ask of the next (RFC 9110 7.8, 10.1.4, 9112 9.6).
  const bool last = is_last_of_connection(head);
  if (head.websocket) {
    writer.literal("Connection: upgrade\r\nUpgrade: websocket\r\n");
  } else if (head.te_trailers) {
    writer.literal(last ? "Connection: close, TE\r\nTE: trailers\r\n" : "Connection: TE\r\nTE: trailers\r\n");
  } else if (last) {
    writer.literal("Connection: close\r\n");
  }
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
