// The chunked coding, whole, cut anywhere, and octet by octet (see decode()).
#include "rota/http/chunked.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "parsing.h"

namespace rota::http::test {
namespace {

using Event = ChunkedDecoder::Event;

TEST_CASE("row 76: chunks become content, and what follows the message is left") {
  const Decoded d = decode("5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET /");
  CHECK(d.end == Event::done);
  CHECK(d.content == "hello0123456789");
  CHECK(d.consumed == 30);
}

TEST_CASE("an unfinished body is unfinished") {
  for (const char* text :
       {"", "5", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "0\r\nX: y\r\n", "0\r\n\r", "0\r\nXX"}) {
    CHECK(decode(text).end == Event::more);
  }
}

TEST_CASE("rows 2, 3, 70, 76: everything but hexadecimal digits and CR LF is refused in a size line") {
  for (const char* text :
       {"5\nhello\r\n0\r\n\r\n", "\r\n", "-5\r\n", "+5\r\n", "0x5\r\n", "0_5\r\n", " 5\r\n", "\t5\r\n", "5 \r\n",
        "5\t\r\n", "5.0\r\n", "5,5\r\n", "g\r\n", "5\v\r\n", "5\r\rx", "5\rX", "\xb2\r\n", "5\r\n\r\nhello"}) {
    const Decoded d = decode(text);
    if (std::string_view(text) == "5\r\n\r\nhello") {
      CHECK(d.end == Event::error);  // the data are CR LF h e l, and then no CR LF comes
      continue;
    }
    CHECK(d.end == Event::error);
    CHECK(d.status == 400);
    CHECK(d.content.empty());
  }
}

TEST_CASE("rows 70, 76: huge sizes neither wrap nor pass") {
  CHECK(decode("10000000000000005\r\n").status == 400);
  CHECK(decode(std::string(1000, 'F')).status == 400);
  CHECK(decode("8000000000000000\r\n").status == 413);
  CHECK(decode("FFFFFFFFFFFFFFFF\r\n").status == 413);
  CHECK(decode("7FFFFFFFFFFFFFFF\r\nx").end == Event::more);
  CHECK(decode("1\r\nx\r\n7FFFFFFFFFFFFFFF\r\n").status == 413);
  CHECK(decode(std::string(40, '0') + "5\r\nhello\r\n000\r\n\r\n").content == "hello");
  CHECK(decode(std::string(ChunkedDecoder::kLeadingZerosMax + 1, '0')).status == 400);
}

TEST_CASE("row 109: a chunk that goes over the limit is refused when it is announced") {
  ChunkedDecoder decoder(10);
  std::string_view in = "5\r\nhello\r\n5\r\nworld\r\n1\r\n";
  CHECK(decoder.next(in) == Event::data);
  CHECK(decoder.next(in) == Event::data);
  CHECK(decoder.next(in) == Event::error);
  CHECK(decoder.rejection().status == 413);
  CHECK(in.empty());
  ChunkedDecoder wide(UINT64_MAX);
  in = "8000000000000000\r\n";
  CHECK(wide.next(in) == Event::error);
}

TEST_CASE("data end with CR LF where the size says") {
  for (const char* text : {"5\r\nhelloXX\r\n", "6\r\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n",
                           "5\r\nhello\r0\r\n"}) {
    CHECK(decode(text).status == 400);
  }
}

TEST_CASE("row 78: extensions are read over within bounds") {
  for (const char* text : {"5;a=b\r\nhello\r\n0\r\n\r\n", "5;a\r\nhello\r\n0;x\r\n\r\n",
                           "5;a=\"b;c d\\\"\xe9\"\r\nhello\r\n0\r\n\r\n", "5 ; a = b\r\nhello\r\n0\r\n\r\n"}) {
    const Decoded d = decode(text);
    CHECK(d.end == Event::done);
    CHECK(d.content == "hello");
  }
  const std::string nul("5;\0a\r\n", 6);
  for (const std::string& text :
       {std::string("5;a\nb\r\n"), std::string("5;a\rb\r\n"), nul, std::string("5;\"a\r\n\"\r\n"),
        std::string("5;\"a\\\nb\"\r\n"), std::string("5;(\r\n"), std::string("5 x\r\n")}) {
    CHECK(decode(text).status == 400);
  }
  const std::string longest = "1;" + std::string(ChunkedDecoder::kExtensionBytesMax, 'a');
  CHECK(decode_cut(longest + "\r\nx\r\n0\r\n\r\n", {}).end == Event::done);
  CHECK(decode_cut(longest + "a", {}).status == 400);
  const std::string blanks = "1" + std::string(ChunkedDecoder::kExtensionBytesMax, '\t');
  CHECK(decode_cut(blanks + ";\r\nx\r\n0\r\n\r\n", {}).end == Event::done);
  CHECK(decode_cut(blanks + " ", {}).status == 400);
  // A small extension on each of many chunks is no attack.
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "1;sig=0123\r\nx\r\n";
  CHECK(decode_cut(many + "0\r\n\r\n", {}).content.size() == 2000);
}

TEST_CASE("rows 79, 80: trailers are kept apart, and only harmless ones are told of") {
  const Decoded d = decode(
      "1\r\nx\r\n0\r\nX-T: 1\r\nHost: evil\r\nContent-Length: 9\r\nAuthorization: x\r\nx-t: \t2 \r\nSet_Cookie: "
      "a\r\n\r\nrest");
  CHECK(d.end == Event::done);
  CHECK(d.trailers == std::vector<std::string>{"X-T=1", "x-t=2"});
  for (const char* text :
       {"0\r\nX T: 1\r\n", "0\r\n: 1\r\n", "0\r\nX: 1\n\r\n", "0\r\nX: 1\r\n 2\r\n", "0\r\n\rx", "0\r\n\n"}) {
    CHECK(decode(text).status == 400);
  }
}

TEST_CASE("a trailer section is limited in bytes and fields") {
  std::string many = "0\r\n";
  for (std::size_t i = 0; i <= ChunkedDecoder::kTrailerFieldsMax; ++i) many += "X: y\r\n";
  CHECK(decode(many).status == 431);
  CHECK(decode_cut("0\r\nX: " + std::string(ChunkedDecoder::kTrailerBytesMax, 'a'), {}).status == 431);
  const std::string fits = "X: " + std::string(ChunkedDecoder::kTrailerBytesMax - 7, 'a') + "\r\n\r\n";
  CHECK(decode_cut("0\r\n" + fits, {}).end == Event::done);
}

TEST_CASE("a decoder is of use again after reset") {
  ChunkedDecoder decoder;
  std::string_view in = "x";
  CHECK(decoder.next(in) == Event::error);
  CHECK(decoder.next(in) == Event::error);
  decoder.reset();
  in = "1\r\nx\r\n0\r\nA: b\r\n\r\n";
  CHECK(decoder.next(in) == Event::data);
  CHECK(decoder.next(in) == Event::done);
  CHECK(decoder.next(in) == Event::done);
  CHECK(decoder.trailers().size() == 1);
}

TEST_CASE("chunk lines that are written are read") {
  for (const std::uint64_t size : {1ULL, 15ULL, 16ULL, 4096ULL, 0xffffffffULL, 0x100000000ULL, 0x7fffffffffffffffULL}) {
    char line[kChunkLineMax];
    const std::size_t length = write_chunk_line(line, size);
    REQUIRE(length <= sizeof line);
    CHECK(std::stoull(std::string(line, length), nullptr, 16) == size);
    CHECK(decode(std::string(line, length) + "x").content == "x");
  }
}

}  // namespace
}  // namespace rota::http::test
