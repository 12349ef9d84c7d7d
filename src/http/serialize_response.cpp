// The heads a client gets: a worker's, made anew, and our own.
#include "connection_options.h"
#include "field_names.h"
#include "head_writer.h"
#include "rota/http/serialize.h"

namespace rota::http {

namespace {

void write_status_line(HeadWriter& writer, int status, std::string_view reason) {
  ROTA_CHECK(status >= 100 && status <= 999);
  writer.literal("HTTP/1.1 ");
  writer.number(static_cast<std::uint64_t>(status));
  writer.literal(" ");
  writer.octets(reason);
  writer.literal("\r\n");
}

void write_length(HeadWriter& writer, std::uint64_t length) {
  writer.literal("Content-Length: ");
  writer.number(length);
  writer.literal("\r\n");
}

void write_connection(HeadWriter& writer, bool keep_alive, int client_minor) {
  if (!keep_alive) {
    writer.literal("Connection: close\r\n");
  } else if (client_minor == 0) {
    writer.literal("Connection: keep-alive\r\n");
  }
}

bool is_dropped(KnownName known, const ResponseOptions& options) {
  if (known.alias) return false;  // a client reads no field by its alias
  if (known.field == KnownField::trailer) return !options.trailers;
  return known.field == KnownField::content_length || known.field == KnownField::transfer_encoding ||
         is_hop_by_hop(known.field);
}

void write_framing(HeadWriter& writer, const ResponseOptions& options) {
  switch (options.framing) {
    case ClientFraming::length: write_length(writer, options.length); break;
    case ClientFraming::chunked:
      ROTA_CHECK(options.client_minor > 0);  // RFC 9112 6.1
      writer.literal("Transfer-Encoding: chunked\r\n");
      break;
    case ClientFraming::until_close: ROTA_CHECK(!options.keep_alive); break;
    case ClientFraming::none: break;
  }
}

}  // namespace

void append_response_head(std::string& out, const ResponseHead& head, const ResponseOptions& options) {
  HeadWriter writer(out);
  write_status_line(writer, head.status, head.reason.empty() ? reason_of(head.status) : head.reason);
  bool has_date = false;
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (is_dropped(known, options)) continue;
    if (!head.nominated.empty() && is_nominated(head.nominated, field.name)) continue;
    has_date = has_date || known.field == KnownField::date;
    writer.field(field.name, field.value);
  }
  if (options.to_websocket) writer.literal("Connection: upgrade\r\nUpgrade: websocket\r\n");
  if (!options.interim) {
    if (!has_date && !options.date.empty()) writer.field("Date", options.date);
    if (!options.via.empty()) {
      // The version is the one the worker spoke (RFC 9110 7.6.3).
      writer.literal(head.version_minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
      writer.octets(options.via);
      writer.literal("\r\n");
    }
    write_framing(writer, options);
    write_connection(writer, options.keep_alive, options.client_minor);
  }
  writer.literal("\r\n");
}

void append_last_chunk(std::string& out, const std::vector<Field>& trailers) {
  HeadWriter writer(out);
  writer.literal("0\r\n");
  for (const Field& field : trailers) writer.field(field.name, field.value);
  writer.literal("\r\n");
}

void append_own_response(std::string& out, const OwnResponse& response) {
  HeadWriter writer(out);
  write_status_line(writer, response.status, reason_of(response.status));
  if (!response.date.empty()) writer.field("Date", response.date);
  if (!response.content_type.empty()) writer.field("Content-Type", response.content_type);
  write_length(writer, response.body.size());
  ROTA_CHECK(response.extra_fields.empty() || response.extra_fields.ends_with("\r\n"));
  writer.literal(response.extra_fields);
  write_connection(writer, response.keep_alive, response.client_minor);
  writer.literal("\r\n");
  if (!response.head_only) writer.literal(response.body);
}

}  // namespace rota::http
