// The request line and the meaning of the fields; grammar of field lines, framing and target are next door.
#include "rota/http/request_head.h"

#include <algorithm>

#include "authority.h"
#include "connection_options.h"
#include "field_names.h"
#include "field_scanner.h"
#include "framing.h"
#include "methods.h"
#include "octets.h"
#include "second_opinion.h"
#include "target.h"
#include "websocket.h"

namespace rota::http {

namespace {

using Part = HeadScan::Part;

constexpr std::string_view kVersion = "HTTP/1.1\r\n";  // digits stand for any digit
constexpr std::size_t kMajorAt = 5;
constexpr std::size_t kMinorAt = 7;

// The part of the request line that is at hand. complete: the part is over and `scan` is at the next one.
Progress scan_method(HeadScan& scan, std::string_view bytes, Rejection& rejection) {
  while (scan.at < bytes.size()) {
    const char octet = bytes[scan.at];
    if (is(octet, kToken)) {
      if (scan.at - scan.begin == kMethodMax) {
        rejection = {501, "a method longer than any there is"};
        return Progress::rejected;
      }
      ++scan.at;
      continue;
    }
    if (octet != ' ' || scan.at == scan.begin) {
      rejection = {400, "not the start of an HTTP request"};
      return Progress::rejected;
    }
    scan.first_end = scan.at;
    scan.second = ++scan.at;
    scan.part = Part::target;
    return Progress::complete;
  }
  return Progress::incomplete;
}

Progress scan_target(HeadScan& scan, std::string_view bytes, std::size_t target_max, Rejection& rejection) {
  const std::size_t end = std::min(bytes.size(), scan.second + target_max + 1);
  std::size_t at = scan.at;
  while (at < end && is(bytes[at], kTarget)) ++at;
  scan.at = at;
  if (at - scan.second > target_max) {
    rejection = {414, "a target longer than allowed"};
    return Progress::rejected;
  }
  if (at == bytes.size()) return Progress::incomplete;
  if (bytes[at] != ' ' || at == scan.second) {
    rejection = {400, at == scan.second ? "a request line without a target" : "an octet that a target must not hold"};
    return Progress::rejected;
  }
  scan.second_end = at;
  scan.begin = ++scan.at;
  scan.part = Part::version;
  return Progress::complete;
}

Progress scan_version(HeadScan& scan, std::string_view bytes, Rejection& rejection) {
  const std::string_view line = bytes.substr(scan.begin, kVersion.size());
  for (std::size_t i = scan.at - scan.begin; i < line.size(); ++i) {
    const bool fits = i == kMajorAt || i == kMinorAt ? is_digit(line[i]) : line[i] == kVersion[i];
    if (fits) continue;
    rejection = {400, "a request line that does not end in HTTP/1.1"};
    return Progress::rejected;
  }
  scan.at = scan.begin + line.size();
  if (line.size() < kVersion.size()) return Progress::incomplete;
  if (line[kMajorAt] != '1') {
    rejection = {505, "a version other than HTTP/1"};
    return Progress::rejected;
  }
  scan.first_line = scan.at;
  scan.part = Part::field_start;
  return Progress::complete;
}

// All that the request line alone can be refused for, and what of it goes into the head.
Rejection judge_request_line(const HeadScan& scan, std::string_view bytes, bool any_method, RequestHead& head) {
  head.method_text = bytes.substr(scan.start, scan.first_end - scan.start);
  head.method = method_of(head.method_text);
  head.version_minor = bytes[scan.begin + kMinorAt] == '0' ? 0 : 1;
  if (head.method == Method::connect) return {405, "CONNECT is not offered"};
  Target target;
  const Rejection rejection =
      judge_target(head.method, bytes.substr(scan.second, scan.second_end - scan.second), target);
  if (rejection.status != 0) return rejection;
  if (head.method == Method::trace) return {405, "TRACE is not offered"};
  if (head.method == Method::other && !any_method && !is_registered_method(head.method_text))
    return {501, "an unknown method"};
  head.target = target.to_worker;
  head.host = target.authority;
  if (target.needs_slash) {
    head.made_target.assign(1, '/');
    head.made_target.insert(head.made_target.end(), target.to_worker.begin(), target.to_worker.end());
    head.target = {head.made_target.data(), head.made_target.size()};
  }
  return {};
}

// Fields that say something to us, gathered in one walk.
struct Findings {
  FramingFields framing;
  unsigned hosts = 0;
  std::string_view host;
  unsigned expects = 0;
  bool expects_only_continue = true;
  bool upgrade = false;
  bool content_length_alias = false;
  bool bad_max_forwards = false;
  unsigned request_ids = 0;
  WebSocketFields websocket;
};

void take_max_forwards(std::string_view value, RequestHead& head, Findings& found) {
  std::uint64_t number = 0;
  if (!read_decimal(value, number) || head.max_forwards >= 0) found.bad_max_forwards = true;
  head.max_forwards = static_cast<int>(std::min<std::uint64_t>(number, kMaxForwardsMax));
}

// What ends up in logs and is searched for there: nothing that would need escaping.
bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > kRequestIdMax) return false;
  for (const char octet : text) {
    if (!is(octet, kHost) && octet != ':' && octet != '+' && octet != '/' && octet != '=' && octet != '@') return false;
  }
  return true;
}

// Entries are "[protocol/]version received-by [(comment)]".
unsigned own_entries(std::string_view via) {
  unsigned count = 0;
  for_each_element(via, [&](std::string_view entry) {
    const std::size_t space = entry.find(' ');
    if (space == std::string_view::npos) return;
    const std::string_view rest = trimmed(entry.substr(space));
    if (rest.substr(0, rest.find_first_of(" \t(")) == kViaName) ++count;
  });
  return count;
}

void take_field(const Field& field, RequestHead& head, Findings& found) {
  const KnownName known = known_name(field.name);
  if (known.alias) {
    found.content_length_alias |= known.field == KnownField::content_length;
    return;
  }
  switch (known.field) {
    case KnownField::host:
      ++found.hosts;
      found.host = field.value;
      break;
    case KnownField::content_length: found.framing.add_content_length(field.value); break;
    case KnownField::transfer_encoding: found.framing.add_transfer_encoding(field.value); break;
    case KnownField::te: head.te_trailers |= list_has(field.value, "trailers"); break;
    case KnownField::expect:
      ++found.expects;
      found.expects_only_continue &= equals_lower(field.value, "100-continue");
      break;
    case KnownField::upgrade:
      found.upgrade = true;
      found.websocket.offered |= list_has(field.value, "websocket");
      break;
    case KnownField::sec_websocket_key: found.websocket.add_key(field.value); break;
    case KnownField::sec_websocket_version: ++found.websocket.versions; break;
    case KnownField::max_forwards:
      if (head.method == Method::options) take_max_forwards(field.value, head, found);
      break;
    case KnownField::via: head.own_vias += own_entries(field.value); break;
    case KnownField::x_request_id:
      head.request_id = ++found.request_ids == 1 && is_request_id(field.value) ? field.value : std::string_view();
      break;
    case KnownField::forwarded:
    case KnownField::x_forwarded_for:
    case KnownField::x_forwarded_proto:
    case KnownField::x_forwarded_host:
    case KnownField::x_forwarded_port:
    case KnownField::x_real_ip: head.has_forwarding = true; break;
    default: break;
  }
}

Rejection judge_host(const Findings& found, RequestHead& head) {
  if (found.hosts > 1) return {400, "more than one Host"};
  if (found.hosts == 0 && head.version_minor > 0) return {400, "an HTTP/1.1 request without Host"};
  const bool may_be_empty = head.version_minor == 0;
  if (found.hosts == 1 && !(may_be_empty && found.host.empty()) && !is_authority(found.host))
    return {400, "an invalid Host"};
  if (head.host.empty()) head.host = found.host;  // an absolute-form target's authority wins (RFC 9112 3.2.2)
  return {};
}

Rejection judge_fields(RequestHead& head, Findings& found) {
  for (const Field& field : head.fields) take_field(field, head, found);
  if (const Rejection host = judge_host(found, head); host.status != 0) return host;
  const Rejection framing = judge_request_framing(found.framing, head.version_minor, head.framing);
  if (framing.status != 0) return framing;
  // An app behind CGI-like naming would read a length there that we do not.
  if (found.content_length_alias) return {400, "a field that may pass for Content-Length"};
  if (found.bad_max_forwards) return {400, "an invalid Max-Forwards"};

  const ConnectionOptions options = read_connection_options(head.fields, head.nominated);
  if (options.names_content_length) return {400, "Connection names Content-Length"};
  head.nominates_trailers = options.names_others;
  if (head.version_minor == 0) {
    head.keep_alive = options.keep_alive && !options.close;
    head.te_trailers = false;
    return {};  // Expect and Upgrade are not of HTTP/1.0 (RFC 9110 7.8, 10.1.1)
  }
  head.keep_alive = !options.close;
  head.upgrade = found.upgrade && options.upgrade;
  head.expect_continue = found.expects == 1 && found.expects_only_continue;
  if (found.expects > 0 && !head.expect_continue) return {417, "an expectation other than 100-continue"};
  if (!head.upgrade || head.method != Method::get || !found.websocket.offered) return {};
  head.websocket = true;
  head.websocket_key = found.websocket.key;
  return judge_websocket(found.websocket);
}

// White space behind a framing value is legal, but llhttp 9.2 takes a HTAB there for a part of the value.
bool patch_trailing_space(const Field& field, std::string_view bytes, Patches& patches) {
  const char* const value_end = field.value.data() + field.value.size();
  const char* at = value_end;
  while (is_space(*at)) ++at;
  const auto length = static_cast<std::size_t>(at - value_end);
  if (length == 0) return true;
  return patches.add(bytes.substr(static_cast<std::size_t>(value_end - bytes.data()), length), "");
}

bool confirmed(const RequestHead& head, const HeadScan& scan, std::string_view bytes) {
  Patches patches;
  // llhttp knows a fixed list of methods and versions, and ours have been checked and are written anew.
  if (head.method == Method::other) patches.add(head.method_text, "GET");
  const std::string_view minor = bytes.substr(scan.first_line - kVersion.size() + kMinorAt, 1);
  if (minor != "0" && minor != "1") patches.add(minor, "1");
  for (const Field& field : head.fields) {
    if (!is_framing_name(field.name)) continue;
    if (!patch_trailing_space(field, bytes, patches)) return false;
  }
  return second_opinion_agrees(bytes.substr(scan.start, scan.at - scan.start), patches,
                               {head.method, head.version_minor, head.framing});
}

}  // namespace

bool is_last_of_connection(const RequestHead& head) {
  if (head.framing.kind == BodyKind::none) return false;
  return head.method == Method::get || head.method == Method::head || head.method == Method::delete_ ||
         head.method == Method::options;
}

void RequestHead::clear() {
  method = Method::other;
  method_text = target = host = {};
  version_minor = 1;
  fields.clear();
  framing = {};
  keep_alive = true;
  expect_continue = te_trailers = upgrade = websocket = nominates_trailers = false;
  websocket_key = {};
  max_forwards = -1;
  request_id = {};
  own_vias = 0;
  has_forwarding = false;
  nominated.clear();
  made_target.clear();
}

void RequestHeadParser::reset() {
  rejection_ = {};
  scan_ = {};
  consumed_ = 0;
}

void RequestHeadParser::resume(const HeadScan& scan) {
  reset();
  scan_ = scan;
}

Progress RequestHeadParser::reject(const Rejection& rejection) {
  rejection_ = rejection;
  return Progress::rejected;
}

// One walk from where the last call ended. Only a walk from the first octet leaves all of the head behind.
Progress RequestHeadParser::scan(std::string_view bytes, RequestHead& head) {
  Progress progress = Progress::complete;
  if (scan_.part <= Part::empty_line_lf) progress = scan_empty_lines(scan_, bytes, Part::method, rejection_);
  if (progress != Progress::complete) return progress;
  const std::string_view counted = within_limit(scan_, bytes, limits_.bytes);
  if (scan_.part == Part::method) progress = scan_method(scan_, counted, rejection_);
  if (progress == Progress::complete && scan_.part == Part::target) {
    progress = scan_target(scan_, counted, limits_.target, rejection_);
  }
  if (progress == Progress::complete && scan_.part == Part::version) {
    progress = scan_version(scan_, counted, rejection_);
    if (progress == Progress::complete) {
      const Rejection line = judge_request_line(scan_, counted, limits_.any_method, head);
      if (line.status != 0) return reject(line);
    }
  }
  if (progress == Progress::complete) {
    progress = scan_fields(scan_, counted, {limits_.fields, false}, head.fields, rejection_);
  }
  const bool full = counted.size() == limits_.bytes + scan_.start;
  if (progress == Progress::incomplete && full) return reject({431, "a head longer than allowed"});
  return progress;
}

Progress RequestHeadParser::parse(std::string_view bytes, RequestHead& head) {
  if (rejection_.status != 0) return Progress::rejected;
  const bool resumed = scan_.at > 0;
  head.clear();
  Progress progress = scan(bytes, head);
  if (progress == Progress::complete && resumed) {
    // What was seen earlier may have moved since; now that the head is whole, read it in one go.
    scan_ = {};
    head.clear();
    progress = scan(bytes, head);
  }
  if (progress != Progress::complete) return progress;
  consumed_ = scan_.at;
  Findings found;
  if (const Rejection fields = judge_fields(head, found); fields.status != 0) return reject(fields);
  if (!confirmed(head, scan_, bytes)) return reject({400, "a head that can be read in two ways"});
  return Progress::complete;
}

}  // namespace rota::http
