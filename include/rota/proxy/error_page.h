// The short answers rota gives itself: plain text for people, JSON for clients that ask for JSON. Nothing the client
// sent is echoed.
#pragma once

#include <string>
#include <string_view>

namespace rota::proxy {

struct ErrorPage {
  std::string body;
  std::string_view content_type;
};
// `why` is a sentence without a full stop, or a clause; `word` the outcome's.
ErrorPage make_error_page(int status, std::string_view why, std::string_view word, bool json);
// Does this Accept value prefer JSON? True when it names a JSON type and not text/html.
bool wants_json(std::string_view accept);

}  // namespace rota::proxy
