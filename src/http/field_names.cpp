#include "field_names.h"

#include "octets.h"

namespace rota::http {

namespace {

// `text` is lower-case and written with '-'.
bool same_folded(std::string_view name, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (folded(name[i]) != text[i]) return false;
  }
  return true;
}

KnownName match(std::string_view name, std::string_view text, KnownField field) {
  if (name.size() != text.size() || folded(name[0]) != text[0] || !same_folded(name, text)) return {};
  bool alias = false;
  for (std::size_t i = 0; i < text.size(); ++i) alias |= text[i] == '-' && name[i] != '-';
  return {field, alias};
}

KnownName by_length(std::string_view name) {
  using enum KnownField;
  const auto starts = [name](char letter) { return folded(name[0]) == letter; };
  switch (name.size()) {
    case 2: return match(name, "te", te);
    case 3: return match(name, "via", via);
    case 4: return starts('h') ? match(name, "host", host) : match(name, "date", date);
    case 5: return match(name, "proxy", proxy);
    case 6: return match(name, "expect", expect);
    case 7: return starts('u') ? match(name, "upgrade", upgrade) : match(name, "trailer", trailer);
    case 9: return starts('f') ? match(name, "forwarded", forwarded) : match(name, "x-real-ip", x_real_ip);
    case 10: return starts('c') ? match(name, "connection", connection) : match(name, "keep-alive", keep_alive);
    case 12: return starts('x') ? match(name, "x-request-id", x_request_id) : match(name, "max-forwards", max_forwards);
    case 14:
      return starts('c') ? match(name, "content-length", content_length)
                         : match(name, "http2-settings", http2_settings);
    case 16: return match(name, "proxy-connection", proxy_connection);
    case 17:
      return starts('t') ? match(name, "transfer-encoding", transfer_encoding)
                         : match(name, "sec-websocket-key", sec_websocket_key);
    case 19: return match(name, "proxy-authorization", proxy_authorization);
    case 21: return match(name, "sec-websocket-version", sec_websocket_version);
    default: return {};
  }
}

constexpr std::string_view kForwardedPrefix = "x-forwarded";

KnownName x_forwarded_name(std::string_view name) {
  using enum KnownField;
  const bool alias = name.find_first_of("_.") != std::string_view::npos;
  const std::string_view rest = name.substr(kForwardedPrefix.size());
  if (rest.size() == 4 && same_folded(rest, "-for")) return {x_forwarded_for, alias};
  if (rest.size() == 6 && same_folded(rest, "-proto")) return {x_forwarded_proto, alias};
  if (rest.size() == 5 && same_folded(rest, "-host")) return {x_forwarded_host, alias};
  if (rest.size() == 5 && same_folded(rest, "-port")) return {x_forwarded_port, alias};
  return {x_forwarded, alias};
}

}  // namespace

KnownName known_name(std::string_view name) {
  if (name.size() >= kForwardedPrefix.size() && folded(name[0]) == 'x' &&
      same_folded(name.substr(0, kForwardedPrefix.size()), kForwardedPrefix)) {
    return x_forwarded_name(name);
  }
  return by_length(name);
}

bool is_framing_name(std::string_view name) {
  if (name.size() != 14 && name.size() != 17) return false;
  const KnownName known = known_name(name);
  return !known.alias && (known.field == KnownField::content_length || known.field == KnownField::transfer_encoding);
}

bool may_be_trailer(std::string_view name) {
  const KnownField field = known_name(name).field;
  if (field != KnownField::other && field != KnownField::via) return false;
  constexpr std::string_view kNever[] = {
      "authorization",
      "cookie",
      "set-cookie",
      "www-authenticate",
      "proxy-authenticate",
      "authentication-info",
      "proxy-authentication-info",
      "cache-control",
      "expires",
      "pragma",
      "vary",
      "age",
      "location",
      "retry-after",
      "range",
      "if-match",
      "if-none-match",
      "if-modified-since",
      "if-unmodified-since",
      "if-range",
      "content-encoding",
      "content-type",
      "content-range",
      "accept",
      "origin",
      "referer",
  };
  for (const std::string_view never : kNever) {
    if (match(name, never, KnownField::via).field != KnownField::other) return false;
  }
  return true;
}

}  // namespace rota::http
