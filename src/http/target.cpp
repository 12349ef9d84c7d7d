#include "target.h"

#include "authority.h"
#include "octets.h"

namespace rota::http {

namespace {

// Browsers turn a backslash in a path into a slash, so one in a path is made by hand to be read in two ways.
bool path_is_clean(std::string_view path_and_query) {
  const std::size_t backslash = path_and_query.find('\\');
  return backslash == std::string_view::npos || path_and_query.find('?') < backslash;
}

Rejection judge_absolute(Method method, std::string_view after_scheme, Target& target) {
  const std::size_t authority_end = after_scheme.find_first_of("/?");
  std::string_view authority = after_scheme.substr(0, authority_end);
  const std::string_view rest =
      authority_end == std::string_view::npos ? std::string_view() : after_scheme.substr(authority_end);
  if (const std::size_t at = authority.find('@'); at != std::string_view::npos) {
    if (!all(authority.substr(0, at), kUserinfo)) return {400, "an invalid authority in the target"};
    authority.remove_prefix(at + 1);
  }
  if (!is_authority(authority)) return {400, "an invalid authority in the target"};
  if (!path_is_clean(rest)) return {400, "a backslash in the path"};
  target.absolute = true;
  target.authority = authority;
  target.to_worker = rest;
  if (rest.empty()) {
    target.to_worker = method == Method::options ? "*" : "/";  // RFC 9112 3.2.4
  } else if (rest[0] == '?') {
    target.needs_slash = true;
  }
  return {};
}

}  // namespace

Rejection judge_target(Method method, std::string_view text, Target& target) {
  target = {};
  if (text[0] == '/') {
    if (!path_is_clean(text)) return {400, "a backslash in the path"};
    target.to_worker = text;
    return {};
  }
  if (text == "*") {
    if (method != Method::options) return {400, "the target * without OPTIONS"};
    target.to_worker = text;
    return {};
  }
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return {400, "a target that is neither a path nor an absolute URI"};
  const std::string_view scheme = text.substr(0, colon);
  if (equals_lower(scheme, "http")) return judge_absolute(method, text.substr(colon + 3), target);
  // We end no TLS on this connection, so we are not the server of an https URI that comes over it (RFC 9110 7.4).
  if (equals_lower(scheme, "https")) return {421, "an https target on a plain connection"};
  return {400, "a target of a foreign scheme"};
}

}  // namespace rota::http
