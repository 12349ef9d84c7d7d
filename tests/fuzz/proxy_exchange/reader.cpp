#include "reader.h"

#include <algorithm>

namespace rota::fuzz {

namespace {

char lower(char octet) { return octet >= 'A' && octet <= 'Z' ? static_cast<char>(octet + 32) : octet; }
bool is_space(char octet) { return octet == ' ' || octet == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_name(std::string_view text) {
  constexpr std::string_view kMore = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char octet) {
    const char small = lower(octet);
    return (small >= 'a' && small <= 'z') || (octet >= '0' && octet <= '9') || kMore.find(octet) != kMore.npos;
  });
}

bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char octet) {
    const auto code = static_cast<unsigned char>(octet);
    return (code >= 0x20 || code == '\t') && code != 0x7f;
  });
}

// The elements of a list, the empty ones left out.
std::vector<std::string_view> elements(std::string_view list) {
  std::vector<std::string_view> found;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view one = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!one.empty()) found.push_back(one);
  }
  return found;
}

// The line from `at` on, without its end; `at` is moved behind it.
Verdict read_line(std::string_view bytes, std::size_t& at, std::string_view& line) {
  const std::size_t end = bytes.find("\r\n", at);
  if (end == std::string_view::npos) return Verdict::unfinished;
  line = bytes.substr(at, end - at);
  at = end + 2;
  return line.find_first_of("\r\n") == std::string_view::npos ? Verdict::whole : Verdict::broken;
}

// The empty line behind them included.
Verdict read_fields(std::string_view bytes, Manner manner, std::size_t& at, std::vector<Line>& lines) {
  while (true) {
    std::string_view line;
    if (const Verdict read = read_line(bytes, at, line); read != Verdict::whole) return read;
    if (line.empty()) return Verdict::whole;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Verdict::broken;
    Line field{line.substr(0, colon), line.substr(colon + 1)};
    if (manner == Manner::ours) {
      if (!field.value.starts_with(' ')) return Verdict::broken;
      field.value.remove_prefix(1);
      if (trimmed(field.value) != field.value) return Verdict::broken;
    } else {
      field.value = trimmed(field.value);
      while (!field.name.empty() && is_space(field.name.back())) field.name.remove_suffix(1);
    }
    if (!is_name(field.name) || !is_value(field.value)) return Verdict::broken;
    lines.push_back(field);
  }
}

// From the line that announces a chunk.
bool read_chunk_size(std::string_view line, Manner manner, std::uint64_t& size) {
  const std::size_t digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
  std::string_view behind = line.substr(digits);
  if (digits == 0) return false;
  if (manner == Manner::ours && (!behind.empty() || (line[0] == '0' && digits > 1))) return false;
  while (!behind.empty() && is_space(behind.front())) behind.remove_prefix(1);
  if (behind.empty() ? digits != line.size() : behind[0] != ';' || !is_value(behind)) return false;
  size = 0;
  for (const char digit : line.substr(0, digits)) {
    if (size >> 58 != 0) return false;
    size = size * 16 + static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : lower(digit) - 'a' + 10);
  }
  return true;
}

Verdict read_chunks(std::string_view bytes, Manner manner, Body& body) {
  while (true) {
    std::string_view line;
    if (const Verdict read = read_line(bytes, body.size, line); read != Verdict::whole) return read;
    std::uint64_t size = 0;
    if (!read_chunk_size(line, manner, size)) return Verdict::broken;
    if (size == 0) return read_fields(bytes, manner, body.size, body.trailers);
    const std::string_view data = bytes.substr(body.size, size);
    body.content.append(data);
    body.size += data.size();
    const std::string_view end = bytes.substr(body.size, 2);
    if (end != std::string_view("\r\n").substr(0, end.size())) return Verdict::broken;
    if (data.size() < size || end.size() < 2) return Verdict::unfinished;
    body.size += 2;
  }
}

// HTTP/1.d ddd. 0: it is no such line.
int read_status(std::string_view line, Manner manner, int& minor) {
  if (!line.starts_with("HTTP/1.") || line.size() < 12) return 0;
  const std::string_view digits = line.substr(9, 3);
  if (!is_digits(line.substr(7, 1)) || line[8] != ' ' || !is_digits(digits)) return 0;
  if (line.size() > 12 && line[12] != ' ') return 0;
  if (manner == Manner::ours && (line[7] != '1' || line.size() == 12 || !is_value(line))) return 0;
  minor = line[7] == '0' ? 0 : 1;
  const int status = static_cast<int>(number(digits));
  return status >= 100 && status <= 599 ? status : 0;
}

bool may_keep_alive(const Head& head, int minor) {
  bool close = false;
  bool keep = false;
  for (const Line& line : head.lines) {
    if (!same(line.name, "connection")) continue;
    close = close || has_option(line.value, "close");
    keep = keep || has_option(line.value, "keep-alive");
  }
  return !close && (minor > 0 || keep);
}

void read_final(std::string_view bytes, std::string_view method, Manner manner, Response& out) {
  if (out.framing.length == Length::none) out.framing.length = Length::until_close;
  const bool bodiless = method == "HEAD" || out.status == 204 || out.status == 304 || out.status == 101;
  if (bodiless && out.framing.length != Length::counted) out.framing.length = Length::none;
  out.bodiless = bodiless;
  out.keeps_alive =
      may_keep_alive(out.head, out.minor) && out.framing.length != Length::until_close && out.status != 101;
  out.verdict = read_body(bytes.substr(out.size), bodiless ? Framing{} : out.framing, manner, out.body);
  out.size += out.body.size;
}

}  // namespace

bool same(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

bool has_option(std::string_view list, std::string_view lower_case) {
  const auto all = elements(list);
  return std::any_of(all.begin(), all.end(), [&](std::string_view one) { return same(one, lower_case); });
}

bool is_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

std::uint64_t number(std::string_view digits) {
  std::uint64_t sum = 0;
  for (const char digit : digits) {
    if (sum > UINT64_MAX / 10 - 1) return UINT64_MAX;
    sum = sum * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return sum;
}

std::size_t Head::count(std::string_view lower_case) const {
  return static_cast<std::size_t>(
      std::count_if(lines.begin(), lines.end(), [&](const Line& line) { return same(line.name, lower_case); }));
}

std::string_view Head::value(std::string_view lower_case) const {
  const auto at =
      std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return same(line.name, lower_case); });
  return at == lines.end() ? std::string_view{} : at->value;
}

Verdict read_head(std::string_view bytes, Manner manner, Head& head) {
  std::size_t at = 0;
  while (manner == Manner::theirs && bytes.substr(at).starts_with("\r\n")) at += 2;
  if (const Verdict read = read_line(bytes, at, head.start); read != Verdict::whole) return read;
  if (const Verdict read = read_fields(bytes, manner, at, head.lines); read != Verdict::whole) return read;
  head.size = at;
  return Verdict::whole;
}

bool read_framing(const Head& head, int minor, Framing& framing) {
  const std::size_t lengths = head.count("content-length");
  framing = {};
  if (head.count("transfer-encoding") > 0) {
    framing.length = Length::chunked;
    std::vector<std::string_view> codings;
    for (const Line& line : head.lines) {
      if (!same(line.name, "transfer-encoding")) continue;
      for (const std::string_view coding : elements(line.value)) codings.push_back(coding);
    }
    return codings.size() == 1 && same(codings[0], "chunked") && lengths == 0 && minor > 0;
  }
  if (lengths == 0) return true;
  framing.length = Length::counted;
  const std::string_view digits = head.value("content-length");
  if (lengths > 1 || !is_digits(digits)) return false;
  framing.octets = number(digits);
  return framing.octets <= INT64_MAX;
}

Verdict read_body(std::string_view bytes, Framing framing, Manner manner, Body& body) {
  if (framing.length == Length::none) return Verdict::whole;
  if (framing.length == Length::chunked) return read_chunks(bytes, manner, body);
  if (framing.length == Length::counted) bytes = bytes.substr(0, framing.octets);
  body.content = bytes;
  body.size = bytes.size();
  return framing.length == Length::counted && bytes.size() == framing.octets ? Verdict::whole : Verdict::unfinished;
}

Response read_response(std::string_view bytes, std::string_view method, Manner manner) {
  Response out;
  while (true) {
    Head head;
    out.verdict = read_head(bytes.substr(out.size), manner, head);
    if (out.verdict != Verdict::whole) return out;
    out.verdict = Verdict::broken;
    const int status = read_status(head.start, manner, out.minor);
    if (status == 0 || !read_framing(head, out.minor, out.framing)) return out;
    out.begin = out.size;
    out.size += head.size;
    if (status >= 200 || status == 101) {
      out.status = status;
      out.head = std::move(head);
      read_final(bytes, method, manner, out);
      return out;
    }
    if (out.framing.length == Length::chunked || out.framing.octets > 0) return out;
    out.interims.push_back(std::move(head));
  }
}

}  // namespace rota::fuzz
