#include "rota/supervisor/lines.h"

#include <fmt/format.h>

#include <algorithm>
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

// C2 80 to C2 9F: the control characters of ISO 6429 beyond ASCII, which some terminals obey.
bool is_c1(std::string_view text) {
  return text.size() > 1 && text[0] == '\xC2' && (static_cast<unsigned char>(text[1]) & 0xE0U) == 0x80U;
}

std::string without_colours(std::string_view line) {
  std::string plain;
  plain.reserve(line.size());
  while (!line.empty()) {
    std::size_t length = colour_sequence(line);
    if (length == 0) plain.push_back(line.front());
    line.remove_prefix(length > 0 ? length : 1);
  }
  return plain;
}

const char* stream_of(OutputKind kind) { return kind == OutputKind::standard_error ? "stderr" : "stdout"; }

void append_text_line(std::string& out, const LineStyle& style, const WorkerTag& tag, OutputKind kind,
                      std::string_view line, bool continues, std::int64_t unix_ms) {
  if (style.stamped) {
    append_utc_time(out, unix_ms);
    out += ' ';
  }
  fmt::format_to(std::back_inserter(out), "{}.{}", tag.app, tag.slot);
  if (style.stamped) fmt::format_to(std::back_inserter(out), " {}", stream_of(kind));
  out += " | ";
  append_shown(out, line, style.colours);
  if (continues) out += " [line continues]";
}

void append_json_line(std::string& out, const WorkerTag& tag, OutputKind kind, std::string_view line, bool continues,
                      std::int64_t unix_ms) {
  out += "{\"time\":\"";
  append_utc_time(out, unix_ms);
  fmt::format_to(std::back_inserter(out), "\",\"app\":\"{}\",\"slot\":{},\"pid\":{},", tag.app, tag.slot, tag.pid);
  if (tag.generation > 0) fmt::format_to(std::back_inserter(out), "\"generation\":{},", tag.generation);
  fmt::format_to(std::back_inserter(out), "\"stream\":\"{}\",\"message\":", stream_of(kind));
  if (line.find('\x1b') == std::string_view::npos) {
    append_json_string(out, line);
  } else {
    append_json_string(out, without_colours(line));
  }
  if (continues) out += ",\"partial\":true";
  out += '}';
}

}  // namespace

void append_worker_line(std::string& out, const LineStyle& style, const WorkerTag& tag, OutputKind kind,
                        std::string_view line, bool continues, std::int64_t unix_ms) {
  if (style.format == config::AppLog::Format::passthrough) {
    out += line;
    if (!continues) out += '\n';
    return;
  }
  if (!continues && line.ends_with('\r')) line.remove_suffix(1);
  if (style.journald_prefix) out += kind == OutputKind::standard_error ? "<4>" : "<6>";
  if (style.format == config::AppLog::Format::json) {
    append_json_line(out, tag, kind, line, continues, unix_ms);
  } else {
    append_text_line(out, style, tag, kind, line, continues, unix_ms);
  }
  out += '\n';
}

void append_shown(std::string& out, std::string_view line, Colours colours) {
  for (std::size_t i = 0; i < line.size();) {
    auto byte = static_cast<unsigned char>(line[i]);
    if (is_c1(line.substr(i))) {
      fmt::format_to(std::back_inserter(out), "\\xc2\\x{:02x}", static_cast<unsigned char>(line[i + 1]));
      i += 2;
    } else if (byte >= 0x20 && byte != 0x7F) {
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

std::vector<std::string> LastLines::newest(std::size_t count) const {
  auto from = lines_.end() - static_cast<std::ptrdiff_t>(std::min(count, lines_.size()));
  return {from, lines_.end()};
}

void LastLines::add(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;  // says nothing
  if (lines_.size() == kLastLinesMax) lines_.pop_front();
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::string shown;
  append_shown(shown, line.substr(0, kLastLineBytesMax), Colours::strip);
  if (line.size() > kLastLineBytesMax) shown += " ...";
  lines_.push_back(std::move(shown));
}

}  // namespace rota::supervisor
