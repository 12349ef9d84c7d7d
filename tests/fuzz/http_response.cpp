// Response heads: as for requests; and what we write for a client is read again as the same response.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/check.h"
#include "rota/http/response_head.h"
#include "rota/http/serialize.h"

using namespace rota::http;

namespace {

constexpr std::string_view kDisagreement = "a head that can be read in two ways";

Progress parse_in_steps(ResponseHeadParser& parser, std::string_view text, std::size_t step, Method to,
                        std::string& kept, ResponseHead& head) {
  Progress progress = Progress::incomplete;
  for (std::size_t end = std::min(step, text.size()); progress == Progress::incomplete;
       end = std::min(end + step, text.size())) {
    kept = std::string(text.substr(0, end));
    progress = parser.parse(kept, to, head);
    if (end == text.size()) break;
  }
  return progress;
}

// Space before a colon is taken out for llhttp a few times only; a head with more of it is rightly refused.
bool has_many_spaced_colons(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    count += (text[i] == ' ' || text[i] == '\t') && text[i + 1] == ':' ? 1U : 0U;
  return count > 4;
}

ResponseOptions options_for(const ResponseHead& head, Method to) {
  ResponseOptions options{
      .keep_alive = head.keep_alive, .interim = head.status < 200, .date = "Sun, 06 Nov 1994 08:49:37 GMT"};
  if (head.status < 200 || head.status == 204) return options;
  if (head.framing.kind == BodyKind::length || head.has_content_length) {
    options.framing = ClientFraming::length;
    options.length = head.content_length;
  } else if (to != Method::head && head.status != 304) {
    options.framing = ClientFraming::chunked;
  }
  return options;
}

void check_round_trip(const ResponseHead& head, Method to) {
  std::string out;
  append_response_head(out, head, options_for(head, to));
  ResponseHeadParser parser({.bytes = 1 << 20, .fields = 200});
  ResponseHead again;
  ROTA_CHECK(parser.parse(out, to, again) == Progress::complete);
  ROTA_CHECK(parser.consumed() == out.size());
  ROTA_CHECK(again.status == head.status && again.version_minor == 1);
  ROTA_CHECK(head.status < 200 || again.keep_alive == head.keep_alive);
  const bool reframed = head.framing.kind == BodyKind::until_close;
  ROTA_CHECK(again.framing.kind == (reframed ? BodyKind::chunked : head.framing.kind));
  ROTA_CHECK(again.framing.length == head.framing.length);
  ROTA_CHECK(again.fields.size() <= head.fields.size() + 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const HeadLimits limits{.bytes = 2048, .fields = 20};
  for (const Method to : {Method::get, Method::head}) {
    ResponseHeadParser whole(limits);
    ResponseHead head;
    const Progress progress = whole.parse(text, to, head);
    for (const std::size_t step : {std::size_t{1}, size % 29 + 2}) {
      ResponseHeadParser pieces(limits);
      ResponseHead other;
      std::string kept;
      ROTA_CHECK(parse_in_steps(pieces, text, step, to, kept, other) == progress);
      if (progress != Progress::complete) continue;
      ROTA_CHECK(pieces.consumed() == whole.consumed() && other.fields.size() == head.fields.size());
      ROTA_CHECK(other.status == head.status && other.reason == head.reason);
      ROTA_CHECK(other.framing.kind == head.framing.kind && other.framing.length == head.framing.length);
    }
    ROTA_CHECK(whole.rejection().why != kDisagreement || has_many_spaced_colons(text));
    if (progress == Progress::complete) check_round_trip(head, to);
  }
  return 0;
}
