// Runs the parsers over bytes that arrive in every way: at once, cut once anywhere, octet by octet. Each call is given
// a buffer of its own, just as long as needed, so that a span kept from an earlier call is a sanitizer's catch.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"

namespace rota::http::test {

inline HeadLimits wide_limits() { return {.bytes = 64 * 1024, .fields = 100, .target = 8 * 1024}; }

// A parsed request with the memory its spans point into.
struct ParsedRequest {
  std::string bytes;
  Progress progress = Progress::incomplete;
  Rejection rejection;
  std::size_t consumed = 0;
  bool untouched = false;
  RequestHead head;

  std::string_view value(std::string_view lower_name) const {
    for (const Field& field : head.fields) {
      if (equals_lower(field.name, lower_name)) return field.value;
    }
    return "(absent)";
  }
};

// The prefixes ending at `cuts` are parsed first, in order; the whole text last.
inline ParsedRequest parse_request_cut(std::string_view text, const std::vector<std::size_t>& cuts,
                                       const HeadLimits& limits = wide_limits()) {
  ParsedRequest result;
  RequestHeadParser parser(limits);
  for (const std::size_t cut : cuts) {
    const std::string piece(text.substr(0, cut));
    result.progress = parser.parse(piece, result.head);
    if (result.progress != Progress::incomplete) {
      result.bytes = piece;
      break;
    }
  }
  if (result.progress == Progress::incomplete) {
    result.bytes = std::string(text);
    result.progress = parser.parse(result.bytes, result.head);
  } else if (result.progress == Progress::complete) {
    parser.reset();
    result.progress = parser.parse(result.bytes, result.head);  // spans into memory that lives on
  }
  result.rejection = parser.rejection();
  result.consumed = parser.consumed();
  result.untouched = parser.untouched();
  return result;
}

inline std::vector<std::size_t> every_octet(std::size_t size) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

inline void check_same(const ParsedRequest& a, const ParsedRequest& b) {
  REQUIRE(a.progress == b.progress);
  CHECK(a.rejection.status == b.rejection.status);
  CHECK(std::string_view(a.rejection.why) == b.rejection.why);
  if (a.progress != Progress::complete) return;
  CHECK(a.consumed == b.consumed);
  CHECK(a.head.method_text == b.head.method_text);
  CHECK(a.head.target == b.head.target);
  CHECK(a.head.host == b.head.host);
  CHECK(a.head.framing.kind == b.head.framing.kind);
  CHECK(a.head.framing.length == b.head.framing.length);
  CHECK(a.head.keep_alive == b.head.keep_alive);
  REQUIRE(a.head.fields.size() == b.head.fields.size());
  for (std::size_t i = 0; i < a.head.fields.size(); ++i) {
    CHECK(a.head.fields[i].name == b.head.fields[i].name);
    CHECK(a.head.fields[i].value == b.head.fields[i].value);
  }
}

inline ParsedRequest parse_request(std::string_view text, const HeadLimits& limits = wide_limits()) {
  INFO("request: " << text.substr(0, 300));
  ParsedRequest whole = parse_request_cut(text, {}, limits);
  check_same(whole, parse_request_cut(text, every_octet(text.size()), limits));
  if (text.size() < 600) {
    for (std::size_t cut = 1; cut < text.size(); ++cut) check_same(whole, parse_request_cut(text, {cut}, limits));
  }
  return whole;
}

// A request with these field lines ("Name: value\r\n") beside a Host.
inline ParsedRequest parse_with(std::string_view lines, std::string_view start = "GET / HTTP/1.1") {
  return parse_request(std::string(start) + "\r\nHost: t.example\r\n" + std::string(lines) + "\r\n");
}

inline int status_of(const ParsedRequest& request) {
  if (request.progress == Progress::rejected) return request.rejection.status;
  return request.progress == Progress::complete ? 200 : 0;
}

struct ParsedResponse {
  std::string bytes;
  Progress progress = Progress::incomplete;
  Rejection rejection;
  std::size_t consumed = 0;
  ResponseHead head;
};

inline ParsedResponse parse_response_cut(std::string_view text, const std::vector<std::size_t>& cuts, Method to,
                                         const HeadLimits& limits) {
  ParsedResponse result;
  ResponseHeadParser parser(limits);
  for (const std::size_t cut : cuts) {
    const std::string piece(text.substr(0, cut));
    result.progress = parser.parse(piece, to, result.head);
    if (result.progress != Progress::incomplete) {
      result.bytes = piece;
      break;
    }
  }
  if (result.progress == Progress::incomplete) {
    result.bytes = std::string(text);
    result.progress = parser.parse(result.bytes, to, result.head);
  } else if (result.progress == Progress::complete) {
    parser.reset();
    result.progress = parser.parse(result.bytes, to, result.head);
  }
  result.rejection = parser.rejection();
  result.consumed = parser.consumed();
  return result;
}

inline void check_same(const ParsedResponse& a, const ParsedResponse& b) {
  REQUIRE(a.progress == b.progress);
  CHECK(std::string_view(a.rejection.why) == b.rejection.why);
  if (a.progress != Progress::complete) return;
  CHECK(a.consumed == b.consumed);
  CHECK(a.head.status == b.head.status);
  CHECK(a.head.reason == b.head.reason);
  CHECK(a.head.framing.kind == b.head.framing.kind);
  CHECK(a.head.keep_alive == b.head.keep_alive);
  CHECK(a.head.fields.size() == b.head.fields.size());
}

inline ParsedResponse parse_response(std::string_view text, Method to = Method::get,
                                     const HeadLimits& limits = wide_limits()) {
  INFO("response: " << text.substr(0, 300));
  ParsedResponse whole = parse_response_cut(text, {}, to, limits);
  check_same(whole, parse_response_cut(text, every_octet(text.size()), to, limits));
  if (text.size() < 600) {
    for (std::size_t cut = 1; cut < text.size(); ++cut) check_same(whole, parse_response_cut(text, {cut}, to, limits));
  }
  return whole;
}

struct Decoded {
  ChunkedDecoder::Event end = ChunkedDecoder::Event::more;
  int status = 0;
  std::string content;
  std::size_t consumed = 0;
  std::vector<std::string> trailers;
  bool operator==(const Decoded&) const = default;
};

// The pieces end at `cuts`; each is copied to memory of its own.
inline Decoded decode_cut(std::string_view text, std::vector<std::size_t> cuts) {
  Decoded result;
  ChunkedDecoder decoder;
  cuts.push_back(text.size());
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    const std::string piece(text.substr(from, cut - from));
    std::string_view in = piece;
    for (;;) {
      result.end = decoder.next(in);
      if (result.end != ChunkedDecoder::Event::data) break;
      result.content += decoder.data();
    }
    if (result.end == ChunkedDecoder::Event::done) result.consumed = cut - in.size();
    if (result.end != ChunkedDecoder::Event::more) break;
    from = cut;
  }
  result.status = decoder.rejection().status;
  if (result.end == ChunkedDecoder::Event::done) {
    for (const Field& field : decoder.trailers()) {
      result.trailers.push_back(std::string(field.name) + "=" + std::string(field.value));
    }
  }
  return result;
}

inline Decoded decode(std::string_view text) {
  INFO("chunked: " << text.substr(0, 300));
  const Decoded whole = decode_cut(text, {});
  CHECK(whole == decode_cut(text, every_octet(text.size())));
  if (text.size() < 600) {
    for (std::size_t cut = 1; cut < text.size(); ++cut) CHECK(whole == decode_cut(text, {cut}));
  }
  return whole;
}

}  // namespace rota::http::test
