// One switch over what the next octet belongs to; a complete section in one piece falls through it line by line.
#include "field_scanner.h"

#include "octets.h"
#include "rota/base/check.h"

namespace rota::http {

namespace {

Progress refuse(Rejection& rejection, int status, const char* why) {
  rejection = {status, why};
  return Progress::rejected;
}

const char* why_not_a_name(char octet, bool first) {
  if (first && is_space(octet)) return "a field line is folded or starts with white space";
  if (is_space(octet)) return "white space before the colon of a field";
  if (octet == ':') return "a field without a name";
  if (octet == '\r' || octet == '\n') return "a field line without a colon";
  return "an octet that a field name must not hold";
}

}  // namespace

Progress scan_fields(HeadScan& scan, std::string_view bytes, const FieldRules& rules, std::vector<Field>& fields,
                     Rejection& rejection) {
  using Part = HeadScan::Part;
  HeadScan s = scan;  // a copy, which the compiler can keep in registers
  const char* const base = bytes.data();
  const char* const end = base + bytes.size();
  const char* at = base + s.at;
  const auto offset = [base](const char* p) { return static_cast<std::size_t>(p - base); };

  while (at < end) {
    switch (s.part) {
      case Part::field_start:
        if (*at == '\r') {
          ++at;
          s.part = Part::end_lf;
          continue;
        }
        if (s.fields == rules.fields_max) return refuse(rejection, 431, "more fields than allowed");
        ++s.fields;
        s.begin = offset(at);
        s.part = Part::name;
        [[fallthrough]];
      case Part::name:
        while (at < end && is(*at, kToken)) ++at;
        if (at == end) continue;
        s.first_end = offset(at);
        if (s.first_end > s.begin && *at == ':') {
          ++at;
          s.part = Part::before_value;
        } else if (s.first_end > s.begin && rules.space_before_colon && is_space(*at)) {
          s.part = Part::before_colon;
          continue;
        } else {
          return refuse(rejection, 400, why_not_a_name(*at, s.first_end == s.begin));
        }
        [[fallthrough]];
      case Part::before_value:
        while (at < end && is_space(*at)) ++at;
        if (at == end) continue;
        s.second = offset(at);
        s.part = Part::value;
        [[fallthrough]];
      case Part::value:
        at = value_end(at, end);
        if (at == end) continue;
        if (*at != '\r') {
          return refuse(rejection, 400,
                        *at == '\n' ? "a line that ends without CR" : "a control octet in a field value");
        }
        s.second_end = offset(at);
        ++at;
        s.part = Part::value_lf;
        if (at == end) continue;
        [[fallthrough]];
      case Part::value_lf: {
        if (*at != '\n') return refuse(rejection, 400, "a CR without LF");
        ++at;
        std::string_view value = bytes.substr(s.second, s.second_end - s.second);
        while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
        fields.push_back({bytes.substr(s.begin, s.first_end - s.begin), value});
        s.part = Part::field_start;
        continue;
      }
      case Part::before_colon:
        while (at < end && is_space(*at)) ++at;
        if (at == end) continue;
        if (*at != ':') return refuse(rejection, 400, "a field line without a colon");
        ++at;
        s.part = Part::before_value;
        continue;
      case Part::end_lf:
        if (*at != '\n') return refuse(rejection, 400, "a CR without LF");
        s.part = Part::complete;
        s.at = offset(at) + 1;
        scan = s;
        return Progress::complete;
      default: ROTA_CHECK(false && "scan_fields outside the fields");
    }
  }
  s.at = bytes.size();
  scan = s;
  return Progress::incomplete;
}

Progress scan_empty_lines(HeadScan& scan, std::string_view bytes, HeadScan::Part next, Rejection& rejection) {
  using Part = HeadScan::Part;
  while (scan.at < bytes.size()) {
    const char octet = bytes[scan.at];
    if (scan.part == Part::empty_lines && octet != '\r') {
      scan.start = scan.begin = scan.at;
      scan.part = next;
      return Progress::complete;
    }
    if (scan.part == Part::empty_line_lf && octet != '\n') return refuse(rejection, 400, "a CR without LF");
    if (scan.at == kLeadingEmptyMax) return refuse(rejection, 400, "too many empty lines before a message");
    scan.part = scan.part == Part::empty_lines ? Part::empty_line_lf : Part::empty_lines;
    ++scan.at;
  }
  scan.start = scan.at;
  return Progress::incomplete;
}

std::string_view within_limit(const HeadScan& scan, std::string_view bytes, std::size_t limit) {
  return bytes.substr(0, scan.start + limit);
}

}  // namespace rota::http
