// Where the reading of a head has got to. Two sizes and a word of state are all a parser keeps between two reads, so
// that a head which arrives octet by octet costs no more than twice its length, whatever buffer it has moved to
// meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rota::http {

struct HeadScan {
  // What the next octet belongs to.
  enum class Part : std::uint8_t {
    empty_lines,  // tolerated before a start line
    empty_line_lf,
    method,
    target,
    version,        // of a request; the line's CR LF included
    status,         // "HTTP/1.1 200" of a response
    reason,         // the space before it included
    start_line_lf,  // of a response
    field_start,    // the first octet of a field line, or the CR of the empty line
    name,
    before_colon,  // white space there, in a response
    before_value,
    value,
    value_lf,
    end_lf,
    complete,
  };

  Part part = Part::empty_lines;
  std::size_t at = 0;          // the first octet not yet looked at
  std::size_t start = 0;       // of the start line
  std::size_t first_line = 0;  // of the fields: where the start line is over
  std::size_t begin = 0;       // of the current part (method, target, version, reason, name)
  std::size_t first_end = 0;   // of the method; of the current field's name
  std::size_t second = 0;      // start of the target; of the current field's value
  std::size_t second_end = 0;  // of the target; of the current field's value
  std::size_t fields = 0;      // lines begun
};

}  // namespace rota::http
