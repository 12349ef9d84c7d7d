// Reads field lines up to the empty line, for heads and trailer sections alike. Grammar only: what a field means is
// decided by others. Resumable at any octet; an octet that breaks the grammar is refused before the next is looked at.
#pragma once

#include <string_view>
#include <vector>

#include "rota/http/head_scan.h"
#include "rota/http/message.h"

namespace rota::http {

struct FieldRules {
  std::size_t fields_max = 0;
  // White space between name and colon: refused in a request, dropped from a response (RFC 9112 5.1).
  bool space_before_colon = false;
};

// `scan.part` is field_start or later. Goes on until the section is complete, `bytes` are used up (incomplete) or
// something is wrong (rejected; `rejection` is set). Appends each whole line to `fields`.
Progress scan_fields(HeadScan& scan, std::string_view bytes, const FieldRules& rules, std::vector<Field>& fields,
                     Rejection& rejection);

// Skips at most kLeadingEmptyMax octets of empty lines; `scan.part` becomes `next` at the first other octet.
Progress scan_empty_lines(HeadScan& scan, std::string_view bytes, HeadScan::Part next, Rejection& rejection);

// The octets that count for a head which may be `limit` long from `scan.start`; more of them can only be a body.
std::string_view within_limit(const HeadScan& scan, std::string_view bytes, std::size_t limit);

}  // namespace rota::http
