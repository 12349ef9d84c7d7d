#include "rota/supervisor/lines.h"

#include <fmt/format.h>

#include <iterator>

namespace rota::supervisor {

namespace {

// The length of a colour sequence at the start of `text`, or 0.
std::size_t colour_sequence(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  std::size_t i = 2;
  while (i < text.size() && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';')) i++;
  return i < text.size() && text[i] == 'm' ? i + 1 : 0;
}

}  // namespace

void append_shown(std::string& out, std::string_view line, Colours colours) {
  for (std::size_t i = 0; i < line.size();) {
    auto byte = static_cast<unsigned char>(line[i]);
    if (byte >= 0x20 && byte != 0x7F) {
      out.push_back(line[i++]);
    } else if (byte == '\t') {
      out.push_back(line[i++]);
    } else if (std::size_t length = colour_sequence(line.substr(i)); length > 0) {
      if (colours == Colours::pass) out.append(line.substr(i, length));
      i += length;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
      i++;
    }
  }
}

void LastLines::add(std::string_view line) {
  if (lines_.size() == kLastLinesMax) lines_.pop_front();
  std::string shown;
  append_shown(shown, line.substr(0, kLastLineBytesMax), Colours::strip);
  if (line.size() > kLastLineBytesMax) shown += " ...";
  lines_.push_back(std::move(shown));
}

}  // namespace rota::supervisor
