// The chunked coding: any division of the input gives the same content and verdict; a body that is accepted means the
// same to a careless reader; and what was decoded survives being chunked anew.
#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/check.h"
#include "rota/http/chunked.h"

using namespace rota::http;

namespace {

struct Result {
  ChunkedDecoder::Event end = ChunkedDecoder::Event::more;
  int status = 0;
  std::string content;
  std::size_t consumed = 0;
  std::size_t trailers = 0;
  bool operator==(const Result&) const = default;
};

Result decode(std::string_view text, std::size_t step) {
  Result result;
  ChunkedDecoder decoder;
  for (std::size_t from = 0; from < text.size() && result.end == ChunkedDecoder::Event::more; from += step) {
    const std::string piece(text.substr(from, step));
    std::string_view in = piece;
    do {
      result.end = decoder.next(in);
      result.content += decoder.data();
    } while (result.end == ChunkedDecoder::Event::data);
    if (result.end == ChunkedDecoder::Event::done) result.consumed = from + piece.size() - in.size();
  }
  result.status = decoder.rejection().status;
  ROTA_CHECK(decoder.content_bytes() == result.content.size());
  if (result.end == ChunkedDecoder::Event::done) result.trailers = decoder.trailers().size();
  return result;
}

// The grammar read naively from a whole, valid body: what a second, careless reader makes of it.
struct Naive {
  std::string content;
  std::size_t consumed = 0;
};

Naive read_naively(std::string_view text) {
  Naive result;
  std::size_t at = 0;
  const auto line = [&] {
    const std::size_t end = text.find("\r\n", at);
    ROTA_CHECK(end != std::string_view::npos);
    const std::string found(text.substr(at, end - at));
    at = end + 2;
    return found;
  };
  for (;;) {
    const unsigned long long size = std::stoull(line(), nullptr, 16);
    if (size == 0) break;
    ROTA_CHECK(size <= text.size() - at);
    result.content += text.substr(at, size);
    at += size;
    ROTA_CHECK(line().empty());
  }
  while (!line().empty()) {
  }
  result.consumed = at;
  return result;
}

void compare_with_naive(std::string_view text, const Result& ours) {
  if (ours.end != ChunkedDecoder::Event::done) return;
  const Naive theirs = read_naively(text);
  ROTA_CHECK(theirs.content == ours.content && theirs.consumed == ours.consumed);
}

void check_round_trip(const Result& first) {
  std::string again;
  if (!first.content.empty()) {
    char line[kChunkLineMax];
    again.append(line, write_chunk_line(line, first.content.size()));
    again += first.content;
    again += kChunkEnd;
  }
  again += kLastChunk;
  const Result second = decode(again, again.size());
  ROTA_CHECK(second.end == ChunkedDecoder::Event::done && second.content == first.content &&
             second.consumed == again.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size == 0) return 0;
  const Result whole = decode(text, size);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, size % 31 + 4})
    ROTA_CHECK(decode(text, step) == whole);
  compare_with_naive(text, whole);
  if (whole.end == ChunkedDecoder::Event::done) check_round_trip(whole);
  return 0;
}
