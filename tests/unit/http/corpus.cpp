// The corpus of raw requests (tests/corpus/http-cases.json), as far as parsers and serializer decide it: which status,
// what a worker would get. The same file is run against the whole daemon elsewhere.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "parsing.h"
#include "rota/http/serialize.h"

namespace rota::http::test {
namespace {

using nlohmann::json;

// Texts in the corpus are octets written as U+0000 to U+00FF.
std::string octets(const std::string& utf8) {
  std::string result;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    if (lead < 0x80) {
      result += utf8[i];
    } else {
      ++i;
      result += static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>(utf8[i]) & 0x3f));
    }
  }
  return result;
}

std::string raw_of(const json& test_case) {
  std::string raw = octets(test_case["raw"].get<std::string>());
  if (!test_case.contains("expand")) return raw;
  for (const auto& [mark, what] : test_case["expand"].items()) {
    std::string long_text;
    for (int i = 0; i < what[1].get<int>(); ++i) long_text += octets(what[0].get<std::string>());
    for (std::size_t at; (at = raw.find(mark)) != std::string::npos;) raw.replace(at, mark.size(), long_text);
  }
  return raw;
}

const std::map<std::string, const char*>& undecidable() {
  static const std::map<std::string, const char*> kReasons = {
      {"cl-10g-limit", "a body limit is configuration"},
      {"cl-truncated-fin", "the end of the connection is not the parser's to see"},
      {"cl-truncated-stall", "time"},
      {"ck-no-last-fin", "the end of the connection"},
      {"ck-no-final-crlf-fin", "the end of the connection"},
      {"ck-mid-chunk-fin", "the end of the connection"},
      {"ck-stall", "time"},
      {"ck-last-xx", "XX may be the start of a trailer field: time"},
      {"sq-partial-fin", "the end of the connection"},
      {"sl-nothing", "time"},
      {"sl-partial-head", "time"},
      {"sl-head-drip", "time"},
      {"sl-body-drip", "time"},
      {"sl-conn-flood", "number of connections"},
  };
  return kReasons;
}

// One request as a worker would get it.
struct Forwarded {
  std::string head;
  std::string body;
  bool complete = false;
};

struct Outcome {
  int status = 0;  // of the first refusal; 200: the first request was complete; 0: it was not, and nothing was wrong
  std::vector<Forwarded> forwarded;
};

// What arrives goes through head parser and body as in a session. `step` octets at a time.
class Reader {
 public:
  Outcome read(const std::string& raw, std::size_t step) {
    std::size_t from = 0;
    std::size_t arrived = 0;
    while (arrived < raw.size() && !over_) {
      arrived = std::min(raw.size(), arrived + step);
      while (!over_ && advance(raw, from, arrived)) {
      }
    }
    return outcome_;
  }

 private:
  void refuse(const Rejection& rejection) {
    if (outcome_.forwarded.empty() || !outcome_.forwarded.front().complete) outcome_.status = rejection.status;
    over_ = true;
  }

  bool finish_request() {
    outcome_.forwarded.back().complete = true;
    outcome_.status = 200;
    over_ = !head_.keep_alive;
    in_body_ = false;
    parser_.reset();
    decoder_.reset();
    return true;
  }

  bool begin_body() {
    Forwarded one;
    append_request_head(one.head, head_, {.peer = "192.0.2.1", .port = 80});
    outcome_.forwarded.push_back(one);
    in_body_ = true;
    left_ = head_.framing.length;
    return true;
  }

  // False: more octets are needed.
  bool advance(const std::string& raw, std::size_t& from, std::size_t arrived) {
    std::string_view in = std::string_view(raw).substr(from, arrived - from);
    if (!in_body_) {
      const std::string copy(in);
      const Progress progress = parser_.parse(copy, head_);
      if (progress == Progress::rejected) refuse(parser_.rejection());
      if (progress != Progress::complete) return false;
      from += parser_.consumed();
      return begin_body();
    }
    Forwarded& one = outcome_.forwarded.back();
    if (head_.framing.kind == BodyKind::none) return finish_request();
    if (in.empty()) return false;
    if (head_.framing.kind == BodyKind::length) {
      const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
      one.body += in.substr(0, size);
      from += size;
      left_ -= size;
      return left_ == 0 && finish_request();
    }
    const ChunkedDecoder::Event event = decoder_.next(in);
    from = arrived - in.size();
    one.body += decoder_.data();
    if (event == ChunkedDecoder::Event::error) refuse(decoder_.rejection());
    if (event == ChunkedDecoder::Event::done) return finish_request();
    return event == ChunkedDecoder::Event::data;
  }

  RequestHeadParser parser_{wide_limits()};
  RequestHead head_;
  ChunkedDecoder decoder_;
  Outcome outcome_;
  std::uint64_t left_ = 0;
  bool in_body_ = false;
  bool over_ = false;
};

bool is_allowed(const json& expect, int status) {
  for (const json& one : expect) {
    if (one.is_number() && one.get<int>() == status) return true;
  }
  return false;
}

// 200 stands for "goes to the worker", which may answer anything, or 100 first.
void check_status(const json& test_case, int status) {
  const bool forwarded = status == 200;
  if (test_case.contains("prefer") && test_case["prefer"].is_number()) {
    const int prefer = test_case["prefer"].get<int>();
    if (forwarded) {
      CHECK((prefer == 200 || prefer == 100));
    } else {
      CHECK(prefer == status);
    }
  } else {
    CHECK((is_allowed(test_case["expect"], status) || (forwarded && is_allowed(test_case["expect"], 100))));
  }
  if (test_case["must_not_forward"].get<bool>()) CHECK_FALSE(forwarded);
}

void check_worker_fields(const json& want, const Forwarded& got) {
  const ParsedRequest worker = parse_request_cut(got.head, {});
  REQUIRE(worker.progress == Progress::complete);
  const std::string lower_head = [&] {
    std::string text = got.head;
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  }();
  const auto lines = [&](const std::string& name) {
    std::vector<std::string> values;
    for (const Field& field : worker.head.fields) {
      if (equals_lower(field.name, name)) values.emplace_back(field.value);
    }
    return values;
  };
  for (const json& name : want.value("absent", json::array())) CHECK(lines(name.get<std::string>()).empty());
  const json present = want.value("present", json::object());
  for (const auto& [name, value] : present.items()) {
    INFO(name);
    const auto have = lines(name);
    REQUIRE_FALSE(have.empty());
    if (value.is_string()) CHECK(std::find(have.begin(), have.end(), octets(value.get<std::string>())) != have.end());
  }
  const json lists = want.value("list", json::object());
  for (const auto& [name, value] : lists.items()) {
    CHECK(lines(name) == value.get<std::vector<std::string>>());
  }
  for (const char* key : {"not_contains_bytes", "head_not_contains"}) {
    for (const json& text : want.value(key, json::array()))
      CHECK(got.head.find(octets(text.get<std::string>())) == std::string::npos);
  }
  for (const json& text : want.value("absent_in_head", json::array())) {
    CHECK(lower_head.find(text.get<std::string>()) == std::string::npos);
  }
  if (want.contains("body")) CHECK(got.body == octets(want["body"].get<std::string>()));
  if (want.contains("body_len")) CHECK(got.body.size() == want["body_len"].get<std::size_t>());
  CHECK(lines("via").size() >= 1);
}

void check_worker(const json& test_case, const Outcome& outcome) {
  std::vector<std::string> targets;
  for (const Forwarded& one : outcome.forwarded) {
    if (one.complete)
      targets.push_back(one.head.substr(one.head.find(' ') + 1, one.head.find(" HTTP/") - one.head.find(' ') - 1));
  }
  for (const std::string& target : targets) CHECK_FALSE(target.starts_with("/smuggled"));
  if (!test_case.contains("backend") || targets.empty()) return;
  const json& want = test_case["backend"];
  if (want.contains("targets")) CHECK(targets == want["targets"].get<std::vector<std::string>>());
  if (want.contains("targets_any")) {
    const auto any = want["targets_any"].get<std::vector<std::vector<std::string>>>();
    CHECK(std::find(any.begin(), any.end(), targets) != any.end());
  }
  check_worker_fields(want, outcome.forwarded.front());
}

json load() {
  const auto path = std::filesystem::path(ROTA_SOURCE) / "tests/corpus/http-cases.json";
  std::ifstream file(path);
  REQUIRE(file.is_open());
  return json::parse(file);
}

TEST_CASE("client-side cases of the corpus get the preferred status, however they arrive") {
  std::size_t decided = 0;
  for (const json& test_case : load()) {
    if (test_case.value("side", "") == "backend") continue;
    const std::string id = test_case["id"];
    if (undecidable().contains(id)) continue;
    INFO(id << ": " << test_case["note"].get<std::string>());
    const std::string raw = raw_of(test_case);
    const Outcome whole = Reader().read(raw, raw.size());
    const Outcome drip = Reader().read(raw, raw.size() > 100'000 ? 4093 : 1);
    REQUIRE(whole.status != 0);
    CHECK(whole.status == drip.status);
    CHECK(whole.forwarded.size() == drip.forwarded.size());
    check_status(test_case, whole.status);
    check_worker(test_case, whole);
    check_worker(test_case, drip);
    ++decided;
  }
  CHECK(decided > 200);
}

TEST_CASE("cases that parsers cannot decide are refused or left waiting by them, never forwarded whole") {
  for (const json& test_case : load()) {
    const std::string id = test_case["id"];
    if (!undecidable().contains(id)) continue;
    INFO(id << ": " << undecidable().at(id));
    CHECK(Reader().read(raw_of(test_case), 1'000'000).status == 0);
  }
}

}  // namespace
}  // namespace rota::http::test
