// Heads of workers: what is not a valid head is a 502, what is valid is understood the only way there is.
#include "rota/http/response_head.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "parsing.h"

namespace rota::http::test {
namespace {

int outcome(const ParsedResponse& r) {
  return r.progress == Progress::rejected ? r.rejection.status : r.progress == Progress::complete ? r.head.status : 0;
}
ParsedResponse with(std::string_view lines, std::string_view start = "HTTP/1.1 200 OK", Method to = Method::get) {
  return parse_response(std::string(start) + "\r\n" + std::string(lines) + "\r\n", to);
}
int start(std::string_view line) { return outcome(with("Content-Length: 0\r\n", line)); }

TEST_CASE("a worker's head is understood") {
  const ParsedResponse r = with("Content-Type: text/plain\r\nContent-Length: 5\r\nKeep-Alive: timeout=5, max=100\r\n");
  REQUIRE(r.progress == Progress::complete);
  CHECK(r.head.status == 200);
  CHECK(r.head.reason == "OK");
  CHECK(r.head.framing.kind == BodyKind::length);
  CHECK(r.head.framing.length == 5);
  CHECK(r.head.has_content_length);
  CHECK(r.head.keep_alive);
  CHECK(r.head.keep_alive_timeout_s == 5);
  CHECK(r.head.keep_alive_max == 100);
  CHECK(r.consumed == r.bytes.size());
}

TEST_CASE("rows 129, 130: status lines") {
  CHECK(start("HTTP/1.1 200 ") == 200);
  CHECK(start("HTTP/1.1 200") == 200);
  CHECK(start("HTTP/1.0 404 Not Found") == 404);
  CHECK(start("HTTP/1.2 299 x") == 299);
  for (const char* line :
       {"HTTP/1.1 99 X", "HTTP/1.1 000 X", "HTTP/1.1 600 X", "HTTP/1.1 2000 X", "HTTP/1.1 20 X", "HTTP/1.1 abc X",
        "HTTP/1.1  200 X", "HTTP/2.0 200 X", "HTTP/1 200 X", "HTTP/0.9 200 X", "http/1.1 200 X", "ICY 200 OK",
        "HTTP/1.1 200\tX", "HTTP/1.1 200X", "<html>", "HTTP/1.1 -01 X"}) {
    INFO(line);
    CHECK(start(line) == 502);
  }
  CHECK(with("Content-Length: 0\r\n", "HTTP/1.1 200 caf\xe9 au lait").head.reason == "caf\xe9 au lait");
  const std::string escaping = "HTTP/1.1 200 a\x1b[2Jb";
  const ParsedResponse escape = with("Content-Length: 0\r\n", escaping);
  REQUIRE(escape.progress == Progress::complete);
  CHECK(escape.head.reason.empty());
}

TEST_CASE("rows 18, 20: white space before a colon goes, folds and other line ends are refused") {
  const ParsedResponse spaced = with("X-A \t: b\r\nContent-Length: 0\r\n");
  REQUIRE(spaced.progress == Progress::complete);
  CHECK(spaced.head.fields[0].name == "X-A");
  CHECK(spaced.head.fields[0].value == "b");
  for (const char* lines :
       {"Content-Length : 5\r\n", "Transfer-Encoding\t: chunked\r\n", "X-A: 1\r\n 2\r\n", " X-A: 1\r\n", "X-A\r\n",
        ": x\r\n", "X-A : 1\nB: 2\r\n", "X-A: a\rb\r\n", "X-A x: 1\r\n"}) {
    INFO(lines);
    CHECK(outcome(with(lines)) == 502);
  }
  CHECK(outcome(parse_response("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n")) == 502);
  CHECK(outcome(parse_response(std::string("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 28))) == 502);
  CHECK(outcome(parse_response("\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) == 200);
}

TEST_CASE("rows 63, 66, 69: framing of responses") {
  for (const char* lines :
       {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: -1\r\n", "Content-Length: +5\r\n", "Content-Length:\r\n", "Content-Length: 5, 6\r\n",
        "Content-Length: 1_0\r\n", "Content-Length: 18446744073709551621\r\n", "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"}) {
    INFO(lines);
    CHECK(outcome(with(lines)) == 502);
    CHECK(outcome(with(lines, "HTTP/1.1 200 OK", Method::head)) == 502);
  }
  CHECK(outcome(with("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK")) == 502);
  CHECK(with("Transfer-Encoding: chunked\t\r\n").head.framing.kind == BodyKind::chunked);
  CHECK(with("Content-Length: 010\r\n").head.framing.length == 10);
}

TEST_CASE("row 74: without a length the body ends with the connection") {
  const ParsedResponse r = with("");
  CHECK(r.head.framing.kind == BodyKind::until_close);
  CHECK_FALSE(r.head.keep_alive);
  CHECK(with("Content-Length: 0\r\n").head.framing.kind == BodyKind::none);
  CHECK(with("Content-Length: 0\r\n").head.keep_alive);
}

TEST_CASE("rows 65, 72, 86, 87: no body after HEAD, 1xx, 204, 304") {
  for (const char* line : {"HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"}) {
    for (const char* lines : {"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"}) {
      const ParsedResponse r = with(lines, line);
      INFO(line << " " << lines);
      REQUIRE(r.progress == Progress::complete);
      CHECK(r.head.framing.kind == BodyKind::none);
    }
  }
  CHECK(with("Content-Length: 5\r\n", "HTTP/1.1 304 x").head.has_content_length);
  CHECK(with("Content-Length: 5\r\n", "HTTP/1.1 304 x").head.keep_alive);
  CHECK_FALSE(with("Content-Length: 5\r\n", "HTTP/1.1 204 x").head.keep_alive);
  CHECK_FALSE(with("Content-Length: 5\r\n", "HTTP/1.1 204 x").head.has_content_length);
  CHECK(with("Content-Length: 0\r\n", "HTTP/1.1 204 x").head.keep_alive);
  const ParsedResponse head = with("Content-Length: 5\r\n", "HTTP/1.1 200 OK", Method::head);
  CHECK(head.head.framing.kind == BodyKind::none);
  CHECK(head.head.content_length == 5);
  CHECK_FALSE(head.head.keep_alive);  // the five octets may come all the same
  CHECK(with("Content-Length: 0\r\n", "HTTP/1.1 200 OK", Method::head).head.keep_alive);
  for (const char* line :
       {"HTTP/1.1 100 Continue", "HTTP/1.1 103 Early Hints", "HTTP/1.1 150 x", "HTTP/1.1 101 Switching Protocols"}) {
    CHECK(with("", line).head.framing.kind == BodyKind::none);
    CHECK(with("", line).head.keep_alive);
    CHECK(outcome(with("Content-Length: 5\r\n", line)) == 502);
    CHECK(outcome(with("Transfer-Encoding: chunked\r\n", line)) == 502);
  }
}

TEST_CASE("row 94: a worker's close is believed") {
  CHECK_FALSE(with("Content-Length: 0\r\nConnection: Close\r\n").head.keep_alive);
  CHECK_FALSE(with("Content-Length: 0\r\n", "HTTP/1.0 200 OK").head.keep_alive);
  CHECK(with("Content-Length: 0\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK").head.keep_alive);
}

TEST_CASE("a worker's head is limited") {
  HeadLimits limits{.bytes = 100, .fields = 2};
  CHECK(outcome(parse_response("HTTP/1.1 200 OK\r\nA: " + std::string(100, 'a'), Method::get, limits)) == 502);
  CHECK(outcome(parse_response("HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC", Method::get, limits)) == 502);
  CHECK(outcome(parse_response("HTTP/1.1 200 " + std::string(100, 'a'), Method::get, limits)) == 502);
}

// Cases of the corpus in which the worker is the one that misbehaves: those a head decides.
TEST_CASE("worker-side cases of the corpus: a head that must not be forwarded is refused, others are as preferred") {
  std::ifstream file(std::filesystem::path(ROTA_SOURCE) / "tests/corpus/http-cases.json");
  REQUIRE(file.is_open());
  std::size_t seen = 0;
  for (const nlohmann::json& test_case : nlohmann::json::parse(file)) {
    if (test_case.value("side", "") != "backend") continue;
    const std::string id = test_case["id"];
    // 101 is the proxy's to judge; a head that never comes or comes unasked is no parser's business.
    if (id.starts_with("rs-101") || test_case["raw"] == "" || test_case.contains("when")) continue;
    // The interim head is right; what (does not) follow it is for the proxy to count.
    if (id == "rs-1xx-only" || id == "rs-1xx-to-10" || id == "rs-1xx-flood" || id.starts_with("rs-chunk-")) continue;
    std::string raw = test_case["raw"].get<std::string>();
    if (test_case.contains("expand")) {
      for (const auto& [mark, what] : test_case["expand"].items()) {
        std::string text;
        for (int i = 0; i < what[1].get<int>(); ++i) text += what[0].get<std::string>();
        raw.replace(raw.find(mark), mark.size(), text);
      }
    }
    INFO(id);
    const ParsedResponse r = parse_response_cut(raw, {}, Method::get, wide_limits());
    REQUIRE(r.progress != Progress::incomplete);
    const int status = outcome(r);
    if (test_case["must_not_forward"].get<bool>()) CHECK(status == 502);
    if (test_case.contains("prefer")) {
      CHECK(status == test_case["prefer"].get<int>());
    } else {
      const auto allowed = test_case["expect"].get<std::vector<int>>();
      CHECK(std::find(allowed.begin(), allowed.end(), status) != allowed.end());
    }
    ++seen;
  }
  CHECK(seen > 35);
}

}  // namespace
}  // namespace rota::http::test
