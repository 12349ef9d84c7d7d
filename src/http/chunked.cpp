// A state per thing awaited, each octet looked at once. See the header for the rules.
#include "rota/http/chunked.h"

#include <algorithm>

#include "field_names.h"
#include "field_scanner.h"
#include "octets.h"
#include "rota/base/check.h"

namespace rota::http {

namespace {

// -1: no hexadecimal digit.
int hex_value(char octet) {
  if (is_digit(octet)) return octet - '0';
  const char letter = lower(octet);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

constexpr int kDigitsMax = 16;

}  // namespace

ChunkedDecoder::Event ChunkedDecoder::fail(int status, const char* why) {
  rejection_ = {status, why};
  state_ = State::failed;
  return Event::error;
}

ChunkedDecoder::Event ChunkedDecoder::read_size_digit(char octet) {
  const int value = hex_value(octet);
  if (value < 0) return fail(400, "a chunk size that is not hexadecimal");
  state_ = State::size;
  if (value == 0 && digits_ == 0)
    return ++zeros_ > kLeadingZerosMax ? fail(400, "a chunk size of too many digits") : Event::more;
  if (++digits_ > kDigitsMax) return fail(400, "a chunk size of too many digits");
  left_ = left_ << 4 | static_cast<std::uint64_t>(value);
  return Event::more;
}

// The LF of a size line has come.
ChunkedDecoder::Event ChunkedDecoder::end_size_line() {
  digits_ = zeros_ = 0;
  if (left_ == 0) {
    state_ = State::trailer;
    trailer_scan_ = {};
    trailer_scan_.part = HeadScan::Part::field_start;
    return Event::more;
  }
  if (left_ > content_max_ - content_bytes_) return fail(413, "a body larger than allowed");
  ++chunks_;
  state_ = State::data;
  return Event::more;
}

// One octet of a size line outside an extension.
ChunkedDecoder::Event ChunkedDecoder::read_size(std::string_view& in) {
  const char octet = in.front();
  in.remove_prefix(1);
  switch (state_) {
    case State::size_first: return read_size_digit(octet);
    case State::size:
      if (octet == '\r') {
        state_ = State::size_lf;
      } else if (octet == ';') {
        state_ = State::extension;
      } else if (is_space(octet)) {
        state_ = State::before_extension;
        count_extension();
      } else {
        return read_size_digit(octet);
      }
      break;
    case State::before_extension:
      if (octet == ';') {
        state_ = State::extension;
      } else if (!is_space(octet)) {
        return fail(400, "white space behind a chunk size");
      } else if (!count_extension()) {
        return fail(400, "more chunk extensions than content");
      }
      break;
    default:
      if (octet != '\n') return fail(400, "a chunk line that does not end in CR LF");
      return end_size_line();
  }
  return Event::more;
}

// One octet more. False: it is one too many.
bool ChunkedDecoder::count_extension() {
  ++extension_bytes_;
  return extension_bytes_ <= kExtensionBytesMax || extension_bytes_ / kExtensionBytesPerChunk <= chunks_;
}

// Extensions are read over, and counted: they are not content, yet cost as much (RFC 9112 7.1.1).
ChunkedDecoder::Event ChunkedDecoder::read_extension(std::string_view& in) {
  while (!in.empty()) {
    const char octet = in.front();
    in.remove_prefix(1);
    if (state_ == State::extension && octet == '\r') {
      state_ = State::size_lf;
      return Event::more;
    }
    if (!count_extension()) return fail(400, "more chunk extensions than content");
    if (state_ == State::extension) {
      if (octet == '"') {
        state_ = State::extension_quoted;
      } else if (!is(octet, kExtension)) {
        return fail(400, "an octet that a chunk extension must not hold");
      }
      continue;
    }
    if (!is(octet, kValue)) return fail(400, "an octet that a chunk extension must not hold");
    if (state_ == State::extension_quoted_pair) {
      state_ = State::extension_quoted;
    } else if (octet == '\\') {
      state_ = State::extension_quoted_pair;
    } else if (octet == '"') {
      state_ = State::extension;
    }
  }
  return Event::more;
}

ChunkedDecoder::Event ChunkedDecoder::read_data(std::string_view& in) {
  if (state_ == State::data) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
    data_ = in.substr(0, size);
    in.remove_prefix(size);
    left_ -= size;
    content_bytes_ += size;
    if (left_ == 0) state_ = State::data_cr;
    return Event::data;
  }
  const char octet = in.front();
  in.remove_prefix(1);
  if (octet != (state_ == State::data_cr ? '\r' : '\n')) return fail(400, "chunk data that do not end in CR LF");
  state_ = state_ == State::data_cr ? State::data_lf : State::size_first;
  return Event::more;
}

// Line by line, because what comes behind the empty line is not ours.
ChunkedDecoder::Event ChunkedDecoder::read_trailer(std::string_view& in) {
  const std::size_t lf = in.find('\n');
  const std::size_t room = kTrailerBytesMax - trailer_bytes_.size();
  const std::size_t size = std::min(room, lf == std::string_view::npos ? in.size() : lf + 1);
  trailer_bytes_.append(in.data(), size);
  in.remove_prefix(size);
  const HeadScan before = trailer_scan_;
  trailers_.clear();
  Progress progress = scan_fields(trailer_scan_, trailer_bytes_, {kTrailerFieldsMax, false}, trailers_, rejection_);
  if (progress == Progress::complete && before.at > 0) {
    // The section is whole and moves no more: now take the spans.
    trailers_.clear();
    trailer_scan_ = {};
    trailer_scan_.part = HeadScan::Part::field_start;
    progress = scan_fields(trailer_scan_, trailer_bytes_, {kTrailerFieldsMax, false}, trailers_, rejection_);
  }
  if (progress == Progress::rejected) return fail(rejection_.status, rejection_.why);
  if (progress == Progress::complete) {
    std::erase_if(trailers_, [](const Field& field) { return !may_be_trailer(field.name); });
    state_ = State::done;
    return Event::done;
  }
  if (trailer_bytes_.size() == kTrailerBytesMax) return fail(431, "a trailer section longer than allowed");
  return Event::more;
}

ChunkedDecoder::Event ChunkedDecoder::next(std::string_view& in) {
  data_ = {};
  if (state_ == State::done) return Event::done;
  if (state_ == State::failed) return Event::error;
  while (!in.empty()) {
    Event event = Event::more;
    switch (state_) {
      case State::size_first:
      case State::size:
      case State::before_extension:
      case State::size_lf: event = read_size(in); break;
      case State::extension:
      case State::extension_quoted:
      case State::extension_quoted_pair: event = read_extension(in); break;
      case State::data:
      case State::data_cr:
      case State::data_lf: event = read_data(in); break;
      case State::trailer: event = read_trailer(in); break;
      case State::done:
      case State::failed: ROTA_CHECK(false && "unreachable");
    }
    if (event != Event::more) return event;
  }
  return Event::more;
}

void ChunkedDecoder::reset(std::uint64_t content_max) {
  content_max_ = std::min(content_max, kContentLengthMax);
  state_ = State::size_first;
  digits_ = zeros_ = 0;
  left_ = content_bytes_ = chunks_ = 0;
  extension_bytes_ = 0;
  trailer_bytes_.clear();
  trailer_scan_ = {};
  trailers_.clear();
  data_ = {};
  rejection_ = {};
}

std::size_t write_chunk_line(char* out, std::uint64_t size) {
  ROTA_CHECK(size > 0);
  constexpr char kDigits[] = "0123456789abcdef";
  int shift = 60;
  while ((size >> shift & 15) == 0) shift -= 4;
  std::size_t length = 0;
  for (; shift >= 0; shift -= 4) out[length++] = kDigits[size >> shift & 15];
  out[length++] = '\r';
  out[length++] = '\n';
  return length;
}

}  // namespace rota::http
