// The status line and the meaning of a worker's fields.
#include "rota/http/response_head.h"

#include <algorithm>

#include "connection_options.h"
#include "field_names.h"
#include "field_scanner.h"
#include "framing.h"
#include "octets.h"
#include "second_opinion.h"

namespace rota::http {

namespace {

using Part = HeadScan::Part;

constexpr std::string_view kStart = "HTTP/1.1 200";  // digits stand for any digit, but for the major version
constexpr std::size_t kMinorAt = 7;
constexpr std::size_t kStatusAt = 9;

bool fits_start(char octet, std::size_t at) {
  return at == kMinorAt || at >= kStatusAt ? is_digit(octet) : octet == kStart[at];
}

// Up to the LF of the status line. nullptr: nothing wrong so far.
const char* scan_status_line(HeadScan& scan, std::string_view bytes) {
  if (scan.part == Part::status) {
    const std::string_view start = bytes.substr(scan.start, kStart.size());
    for (std::size_t i = scan.at - scan.start; i < start.size(); ++i) {
      if (!fits_start(start[i], i)) return "not the start of an HTTP/1 response";
    }
    scan.at = scan.start + start.size();
    if (scan.at == bytes.size()) return nullptr;
    // Many servers leave out the space when there is no reason.
    if (bytes[scan.at] != ' ' && bytes[scan.at] != '\r') return "a status that is not three digits";
    scan.begin = scan.at;
    scan.part = Part::reason;
  }
  if (scan.part == Part::reason) {
    while (scan.at < bytes.size() && bytes[scan.at] != '\r' && bytes[scan.at] != '\n') ++scan.at;
    if (scan.at == bytes.size()) return nullptr;
    if (bytes[scan.at] == '\n') return "a status line that ends without CR";
    scan.first_end = scan.at++;
    scan.part = Part::start_line_lf;
  }
  if (scan.part == Part::start_line_lf && scan.at < bytes.size()) {
    if (bytes[scan.at++] != '\n') return "a CR without LF";
    scan.part = Part::field_start;
  }
  return nullptr;
}

const char* fill_status_line(const HeadScan& scan, std::string_view bytes, ResponseHead& head) {
  const auto digit = [&](std::size_t at) { return bytes[scan.start + at] - '0'; };
  head.version_minor = digit(kMinorAt) == 0 ? 0 : 1;
  head.status = digit(kStatusAt) * 100 + digit(kStatusAt + 1) * 10 + digit(kStatusAt + 2);
  if (head.status < 100 || head.status > 599) return "a status outside 100 to 599";
  // Read before the fields, which use the same marks.
  const std::string_view reason = trimmed(bytes.substr(scan.begin, scan.first_end - scan.begin));
  if (all(reason, kValue)) head.reason = reason;
  return nullptr;
}

// "timeout=5, max=100": advice on how long the worker keeps an idle connection.
void take_keep_alive(std::string_view value, ResponseHead& head) {
  for_each_element(value, [&head](std::string_view element) {
    const std::size_t equals = element.find('=');
    if (equals == std::string_view::npos) return;
    std::uint64_t number = 0;
    if (!read_decimal(element.substr(equals + 1), number)) return;
    const auto bounded = static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
    if (equals_lower(element.substr(0, equals), "timeout")) head.keep_alive_timeout_s = bounded;
    if (equals_lower(element.substr(0, equals), "max")) head.keep_alive_max = bounded;
  });
}

// What the fields and the status make of the body (RFC 9112 6.3). nullptr: fine.
const char* judge_body(const FramingFields& fields, Method to, ResponseHead& head) {
  std::uint64_t length = 0;
  if (const char* why = judge_response_framing(fields, head.version_minor, length)) return why;
  const bool chunked = fields.transfer_encodings > 0;
  head.has_content_length = fields.content_lengths > 0;
  head.content_length = length;
  const bool announces_body = chunked || length > 0;
  if (head.status < 200) {
    // Nothing can tell whether the announced octets come before the final response or are it.
    if (announces_body) return "an interim response with a body";
    head.has_content_length = false;
    return nullptr;
  }
  if (head.status == 204) {
    if (announces_body) head.keep_alive = false;  // a body may follow that we shall not read
    head.has_content_length = false;
    return nullptr;
  }
  if (head.status == 304) return nullptr;
  if (to == Method::head) {
    // Many a worker sends it all the same, a moment later. An idle connection would be closed by that, but one that has
    // been used again would take it for a response; and only to be used again that soon is a pool worth anything. Other
    // proxies keep such a connection; here it costs each of these requests a connect.
    if (announces_body) head.keep_alive = false;
    return nullptr;
  }
  if (chunked) {
    head.framing.kind = BodyKind::chunked;
  } else if (!head.has_content_length) {
    head.framing.kind = BodyKind::until_close;
    head.keep_alive = false;
  } else if (length > 0) {
    head.framing = {BodyKind::length, length};
  }
  return nullptr;
}

const char* judge_fields(Method to, ResponseHead& head, FramingFields& framing) {
  for (const Field& field : head.fields) {
    const KnownName known = known_name(field.name);
    if (known.alias) continue;
    const bool framing_field =
        known.field == KnownField::content_length || known.field == KnownField::transfer_encoding;
    if (framing_field && field.name.data()[field.name.size()] != ':')
      return "white space before the colon of a framing field";
    if (known.field == KnownField::content_length) framing.add_content_length(field.value);
    if (known.field == KnownField::transfer_encoding) framing.add_transfer_encoding(field.value);
    if (known.field == KnownField::keep_alive) take_keep_alive(field.value, head);
  }
  const ConnectionOptions options = read_connection_options(head.fields, head.nominated);
  head.keep_alive = !options.close && (head.version_minor > 0 || options.keep_alive);
  head.close_announced = !head.keep_alive;
  head.nominates_trailers = options.names_others;
  return judge_body(framing, to, head);
}

std::string_view space_from(const char* at, std::string_view bytes) {
  const char* end = at;
  while (is_space(*end)) ++end;
  return bytes.substr(static_cast<std::size_t>(at - bytes.data()), static_cast<std::size_t>(end - at));
}

// Takes out for llhttp 9.2 what it cannot read: space before a colon, and a HTAB behind a framing value.
bool patch_spaces(const ResponseHead& head, std::string_view bytes, Patches& patches) {
  for (const Field& field : head.fields) {
    const std::string_view before_colon = space_from(field.name.data() + field.name.size(), bytes);
    if (!before_colon.empty() && !patches.add(before_colon, "")) return false;
    if (!is_framing_name(field.name)) continue;
    const std::string_view behind = space_from(field.value.data() + field.value.size(), bytes);
    if (!behind.empty() && !patches.add(behind, "")) return false;
  }
  return true;
}

bool confirmed(const ResponseHead& head, const FramingFields& framing, const HeadScan& scan, std::string_view bytes) {
  Patches patches;
  const std::string_view minor = bytes.substr(scan.start + kMinorAt, 1);
  if (minor != "0" && minor != "1") patches.add(minor, "1");
  if (!patch_spaces(head, bytes, patches)) return false;
  return second_opinion_agrees(bytes.substr(scan.start, scan.at - scan.start), patches,
                               ResponseReading{head.status, head.version_minor, framing.transfer_encodings > 0,
                                               framing.content_lengths > 0, head.content_length});
}

}  // namespace

void ResponseHead::clear() {
  status = 0;
  reason = {};
  version_minor = 1;
  fields.clear();
  framing = {};
  keep_alive = true;
  close_announced = nominates_trailers = false;
  has_content_length = false;
  content_length = 0;
  keep_alive_timeout_s = keep_alive_max = 0;
  nominated.clear();
}

void ResponseHeadParser::reset() {
  rejection_ = {};
  scan_ = {};
  consumed_ = 0;
}

void ResponseHeadParser::resume(const HeadScan& scan) {
  reset();
  scan_ = scan;
}

Progress ResponseHeadParser::reject(const char* why) {
  rejection_ = {502, why};
  return Progress::rejected;
}

Progress ResponseHeadParser::scan(std::string_view bytes, ResponseHead& head) {
  if (scan_.part <= Part::empty_line_lf) {
    const Progress progress = scan_empty_lines(scan_, bytes, Part::status, rejection_);
    if (progress == Progress::rejected) return reject(rejection_.why);
    if (progress == Progress::incomplete) return progress;
  }
  const std::string_view counted = within_limit(scan_, bytes, limits_.bytes);
  Progress progress = Progress::incomplete;
  if (scan_.part <= Part::start_line_lf) {
    if (const char* why = scan_status_line(scan_, counted)) return reject(why);
    if (scan_.part == Part::field_start) {
      if (const char* why = fill_status_line(scan_, counted, head)) return reject(why);
    }
  }
  if (scan_.part >= Part::field_start) {
    progress = scan_fields(scan_, counted, {limits_.fields, true}, head.fields, rejection_);
    if (progress == Progress::rejected) return reject(rejection_.why);
  }
  const bool full = counted.size() == limits_.bytes + scan_.start;
  if (progress == Progress::incomplete && full) return reject("a head longer than allowed");
  return progress;
}

Progress ResponseHeadParser::parse(std::string_view bytes, Method to, ResponseHead& head) {
  if (rejection_.status != 0) return Progress::rejected;
  const bool resumed = scan_.at > 0;
  head.clear();
  Progress progress = scan(bytes, head);
  if (progress == Progress::complete && resumed) {
    scan_ = {};
    head.clear();
    progress = scan(bytes, head);
  }
  if (progress != Progress::complete) return progress;
  consumed_ = scan_.at;
  FramingFields framing;
  if (const char* why = judge_fields(to, head, framing)) return reject(why);
  if (!confirmed(head, framing, scan_, bytes)) return reject("a head that can be read in two ways");
  return Progress::complete;
}

}  // namespace rota::http
