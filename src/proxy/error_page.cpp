#include "rota/proxy/error_page.h"

#include <fmt/format.h>

#include <iterator>

#include "rota/base/json.h"
#include "rota/http/serialize.h"

namespace rota::proxy {

namespace {

bool contains_lower(std::string_view text, std::string_view lower) {
  for (std::size_t i = 0; i + lower.size() <= text.size(); i++) {
    std::size_t k = 0;
    while (k < lower.size() &&
           ((text[i + k] >= 'A' && text[i + k] <= 'Z') ? text[i + k] + 32 : text[i + k]) == lower[k]) {
      k++;
    }
    if (k == lower.size()) return true;
  }
  return false;
}

}  // namespace

bool wants_json(std::string_view accept) {
  bool json = contains_lower(accept, "application/json") || contains_lower(accept, "+json");
  return json && !contains_lower(accept, "text/html");
}

ErrorPage make_error_page(int status, std::string_view why, std::string_view word, bool json) {
  ErrorPage page;
  std::string what(why);  // a clause, in the access log
  if (!what.empty() && what[0] >= 'a' && what[0] <= 'z') what[0] = static_cast<char>(what[0] - 'a' + 'A');
  if (json) {
    page.content_type = "application/json";
    page.body = fmt::format("{{\"status\":{},\"error\":", status);
    append_json_string(page.body, http::reason_of(status));
    page.body += ",\"message\":";
    append_json_string(page.body, what);
    page.body += ",\"outcome\":";
    append_json_string(page.body, word);
    page.body += "}\n";
  } else {
    page.content_type = "text/plain; charset=utf-8";
    fmt::format_to(std::back_inserter(page.body), "{} {}\n\n{}.\n", status, http::reason_of(status), what);
  }
  return page;
}

}  // namespace rota::proxy
