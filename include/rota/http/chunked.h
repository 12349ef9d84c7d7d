// The chunked transfer coding, read strictly (RFC 9112 7.1): CRLF only, sizes below 2^63, bounded extensions and
// trailers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rota/http/head_scan.h"
#include "rota/http/message.h"

namespace rota::http {

class ChunkedDecoder {
 public:
  // More content than this is 413 as soon as the chunk that would hold it is announced.
  explicit ChunkedDecoder(std::uint64_t content_max = kContentLengthMax) { reset(content_max); }
  enum class Event : std::uint8_t {
    data,   // data() is the next piece of content, a span into the input
    more,   // the input is used up
    done,   // the last chunk and the trailer section are over; the input after it is not this message's
    error,  // rejection()
  };
  // Takes bytes from the front of `in` and says what it found. Call until more, done or error.
  Event next(std::string_view& in);
  std::string_view data() const { return data_; }
  const Rejection& rejection() const { return rejection_; }
  // Trailer fields, valid after done; spans into memory of the decoder's own. What frames, routes, authenticates or
  // names a hop is left out (RFC 9110 6.5.1): the rest may be sent on as trailers, never as header fields.
  const std::vector<Field>& trailers() const { return trailers_; }
  std::uint64_t content_bytes() const { return content_bytes_; }
  void reset(std::uint64_t content_max = kContentLengthMax);

  static constexpr std::size_t kExtensionBytesMax = 4096;     // in one body, white space included, and besides ...
  static constexpr std::size_t kExtensionBytesPerChunk = 16;  // ... so many on the average chunk
  static constexpr std::size_t kTrailerBytesMax = 8192;
  static constexpr std::size_t kTrailerFieldsMax = 32;
  static constexpr int kLeadingZerosMax = 64;  // of one size: legal, useless, bounded

 private:
  enum class State : std::uint8_t {
    size_first,
    size,
    before_extension,
    extension,
    extension_quoted,
    extension_quoted_pair,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer,
    done,
    failed,
  };
  Event fail(int status, const char* why);
  Event read_size(std::string_view& in);
  Event read_size_digit(char octet);
  Event read_extension(std::string_view& in);
  Event read_data(std::string_view& in);
  bool count_extension();
  Event read_trailer(std::string_view& in);
  Event end_size_line();

  std::uint64_t content_max_;
  State state_ = State::size_first;
  int digits_ = 0;          // significant ones of the current size
  int zeros_ = 0;           // leading ones
  std::uint64_t left_ = 0;  // bytes of the current chunk still to come
  std::uint64_t content_bytes_ = 0;
  std::uint64_t chunks_ = 0;
  std::size_t extension_bytes_ = 0;
  std::string trailer_bytes_;  // the trailer section so far
  HeadScan trailer_scan_;
  std::vector<Field> trailers_;
  std::string_view data_;
  Rejection rejection_;
};

// "1a2b\r\n" into `out`, which has room for kChunkLineMax bytes; returns the length. size > 0.
inline constexpr std::size_t kChunkLineMax = 18;
std::size_t write_chunk_line(char* out, std::uint64_t size);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace rota::http
