// How long a head takes: read (llhttp's second opinion included) and written anew. Prints the best of several rounds,
// since everything else that runs can only make a round longer.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rota/http/chunked.h"
#include "rota/http/request_head.h"
#include "rota/http/response_head.h"
#include "rota/http/serialize.h"

using namespace rota::http;

namespace {

constexpr std::string_view kBrowser =
    "GET /articles/2026/what-a-roster-is?from=feed&page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=4f1c0f0e5c3b4f6a9a3c; theme=dark; consent=all\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Site: none\r\n"
    "\r\n";
constexpr std::string_view kSmall = "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
constexpr std::string_view kExpress =
    "HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 12\r\n"
    "ETag: W/\"c-Lve95gjOVATpfV8EL5X4nxwjKHE\"\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n"
    "Keep-Alive: timeout=5\r\n\r\n";

template <class Work>
void measure(const char* what, std::size_t bytes, Work work) {
  constexpr int kRounds = 1000;  // short ones: some fit between two turns of the scheduler
  constexpr int kTimes = 500;
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kTimes; ++i) work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / kTimes);
  }
  std::printf("%-34s %4zu octets %7.1f ns\n", what, bytes, best);
}

void measure_request(const char* what, std::string_view text) {
  RequestHeadParser parser{HeadLimits{}};
  RequestHead head;
  measure(what, text.size(), [&] {
    parser.reset();
    if (parser.parse(text, head) != Progress::complete) std::abort();
  });
  std::string out;
  measure("  written for a worker", text.size(), [&] {
    out.clear();
    append_request_head(out, head, {.peer = "192.0.2.7", .port = 8080});
  });
}

void measure_response() {
  ResponseHeadParser parser{HeadLimits{}};
  ResponseHead head;
  measure("response of Express", kExpress.size(), [&] {
    parser.reset();
    if (parser.parse(kExpress, Method::get, head) != Progress::complete) std::abort();
  });
  std::string out;
  measure("  written for a client", kExpress.size(), [&] {
    out.clear();
    append_response_head(out, head, {.framing = ClientFraming::length, .length = 12});
  });
}

void measure_chunks() {
  std::string body;
  char line[kChunkLineMax];
  for (int i = 0; i < 16; ++i) {
    body.append(line, write_chunk_line(line, 1024));
    body.append(1024, 'x');
    body += kChunkEnd;
  }
  body += kLastChunk;
  ChunkedDecoder decoder;
  measure("16 chunks of 1 KiB decoded", body.size(), [&] {
    decoder.reset();
    std::string_view in = body;
    while (decoder.next(in) == ChunkedDecoder::Event::data) {
    }
  });
}

}  // namespace

int main() {
  measure_request("request of a browser", kBrowser);
  measure_request("smallest request", kSmall);
  measure_response();
  measure_chunks();
}
