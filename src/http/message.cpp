#include "rota/http/message.h"

#include "octets.h"

namespace rota::http {

Method method_of(std::string_view token) {
  switch (token.size()) {
    case 3:
      if (token == "GET") return Method::get;
      if (token == "PUT") return Method::put;
      break;
    case 4:
      if (token == "POST") return Method::post;
      if (token == "HEAD") return Method::head;
      break;
    case 5:
      if (token == "PATCH") return Method::patch;
      if (token == "TRACE") return Method::trace;
      break;
    case 6:
      if (token == "DELETE") return Method::delete_;
      break;
    case 7:
      if (token == "OPTIONS") return Method::options;
      if (token == "CONNECT") return Method::connect;
      break;
    default: break;
  }
  return Method::other;
}

bool equals_lower(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

bool list_has(std::string_view list, std::string_view lower_case) {
  bool found = false;
  for_each_element(list, [&](std::string_view element) { found = found || equals_lower(element, lower_case); });
  return found;
}

bool is_token(std::string_view text) { return !text.empty() && all(text, kToken); }

}  // namespace rota::http
