#include "second_opinion.h"

#include <llhttp.h>

#include "rota/base/check.h"

namespace rota::http {

namespace {

constexpr unsigned kChunked = F_CHUNKED;
constexpr unsigned kContentLength = F_CONTENT_LENGTH;
constexpr unsigned kTransferEncoding = F_TRANSFER_ENCODING;

// What llhttp knew when it had read the empty line; its idea of the body is not asked for.
struct Seen {
  bool complete = false;
  unsigned flags = 0;
  std::uint64_t content_length = 0;
};

int on_headers_complete(llhttp_t* parser) {
  auto* seen = static_cast<Seen*>(parser->data);
  seen->complete = true;
  seen->flags = parser->flags;
  seen->content_length = parser->content_length;
  return HPE_PAUSED;
}

const llhttp_settings_t& settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_headers_complete = on_headers_complete;
    return made;
  }();
  return kSettings;
}

// Feeds the head, patched, and says whether the last octet was the one that completed it.
bool read_whole(llhttp_t& parser, Seen& seen, std::string_view head, const Patches& patches) {
  const auto feed = [&](std::string_view piece, bool last) {
    if (piece.empty()) return true;
    const llhttp_errno_t outcome = llhttp_execute(&parser, piece.data(), piece.size());
    if (!last) return outcome == HPE_OK && !seen.complete;
    return outcome == HPE_PAUSED && seen.complete && llhttp_get_error_pos(&parser) == piece.data() + piece.size();
  };
  const char* at = head.data();
  const char* const end = at + head.size();
  for (const Patch& patch : patches) {
    const char* const place = patch.place.data();
    ROTA_CHECK(place >= at && place + patch.place.size() < end);
    if (!feed({at, static_cast<std::size_t>(place - at)}, false) || !feed(patch.instead, false)) return false;
    at = place + patch.place.size();
  }
  return feed({at, static_cast<std::size_t>(end - at)}, true);
}

llhttp_method_t as_llhttp(Method method) {
  switch (method) {
    case Method::get: return HTTP_GET;
    case Method::head: return HTTP_HEAD;
    case Method::post: return HTTP_POST;
    case Method::put: return HTTP_PUT;
    case Method::delete_: return HTTP_DELETE;
    case Method::options: return HTTP_OPTIONS;
    case Method::patch: return HTTP_PATCH;
    case Method::trace: return HTTP_TRACE;
    case Method::connect: return HTTP_CONNECT;
    case Method::other: break;
  }
  return HTTP_GET;
}

bool same_version(const llhttp_t& parser, int minor) { return parser.http_major == 1 && parser.http_minor == minor; }

}  // namespace

bool second_opinion_agrees(std::string_view head, const Patches& patches, const RequestReading& ours) {
  llhttp_t parser;
  Seen seen;
  llhttp_init(&parser, HTTP_REQUEST, &settings());
  parser.data = &seen;
  if (!read_whole(parser, seen, head, patches)) return false;
  if (parser.method != as_llhttp(ours.method) || !same_version(parser, ours.version_minor)) return false;
  const bool chunked = (seen.flags & kTransferEncoding) != 0;
  switch (ours.framing.kind) {
    case BodyKind::chunked: return chunked && (seen.flags & kChunked) != 0 && (seen.flags & kContentLength) == 0;
    case BodyKind::length:
      return !chunked && (seen.flags & kContentLength) != 0 && seen.content_length == ours.framing.length;
    case BodyKind::none: return !chunked && seen.content_length == 0;
    case BodyKind::until_close: break;
  }
  return false;
}

bool second_opinion_agrees(std::string_view head, const Patches& patches, const ResponseReading& ours) {
  llhttp_t parser;
  Seen seen;
  llhttp_init(&parser, HTTP_RESPONSE, &settings());
  parser.data = &seen;
  if (!read_whole(parser, seen, head, patches)) return false;
  if (parser.status_code != ours.status || !same_version(parser, ours.version_minor)) return false;
  const bool chunked = (seen.flags & kTransferEncoding) != 0;
  if (chunked != ours.chunked || (chunked && (seen.flags & kChunked) == 0)) return false;
  const bool has_length = (seen.flags & kContentLength) != 0;
  return has_length == ours.has_content_length && (!has_length || seen.content_length == ours.content_length);
}

}  // namespace rota::http
