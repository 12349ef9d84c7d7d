// The parts of the proxy that need no loop: retry rule, outcomes, pages, log lines, gathered writes.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "rota/proxy/access_log.h"
#include "rota/proxy/error_page.h"
#include "rota/proxy/gather.h"
#include "rota/proxy/outcome.h"
#include "rota/proxy/retry.h"

using namespace rota;
using namespace rota::proxy;

TEST_CASE("what was never accepted was never delivered") {
  AttemptFacts facts;
  facts.unix_socket = true;
  facts.bytes_accepted = 0;
  facts.error = ECONNREFUSED;
  CHECK(delivery_of(facts) == Delivery::never);
  facts.error = EPIPE;
  CHECK(delivery_of(facts) == Delivery::never);
  facts.eof = true;
  facts.error = 0;
  CHECK(delivery_of(facts) == Delivery::never);
}

TEST_CASE("a reset proves that nothing was read only for one small write on a Unix socket") {
  AttemptFacts facts;
  facts.unix_socket = true;
  facts.error = ECONNRESET;
  facts.bytes_accepted = 300;
  facts.one_write = true;
  CHECK(delivery_of(facts) == Delivery::never);
  facts.one_write = false;
  CHECK(delivery_of(facts) == Delivery::possibly);
  facts.one_write = true;
  facts.has_body = true;  // the head may have been acted upon by a worker that lives
  CHECK(delivery_of(facts) == Delivery::possibly);
  facts.listener_gone = true;
  CHECK(delivery_of(facts) == Delivery::never);
  facts.listener_gone = false;
  facts.reused = true;  // the keep-alive race
  CHECK(delivery_of(facts) == Delivery::never);
  facts.unix_socket = false;
  CHECK(delivery_of(facts) == Delivery::possibly);
  facts.unix_socket = true;
  facts.error = 0;
  facts.eof = true;
  CHECK(delivery_of(facts) == Delivery::possibly);
}

TEST_CASE("on TCP only a refused connect is certain") {
  AttemptFacts facts;
  facts.error = ECONNREFUSED;
  facts.connecting = true;
  CHECK(delivery_of(facts) == Delivery::never);
  facts.error = ECONNRESET;  // part of a queued write may have left
  CHECK(delivery_of(facts) == Delivery::possibly);
  facts.error = EPIPE;
  facts.connecting = false;
  CHECK(delivery_of(facts) == Delivery::possibly);
}

TEST_CASE("a POST that may have been read is never tried again; a GET once") {
  RetryFacts facts;
  facts.replayable = true;
  facts.retries_allowed = 1;
  facts.delivery = Delivery::possibly;
  for (http::Method method : {http::Method::post, http::Method::put, http::Method::patch, http::Method::delete_,
                              http::Method::trace, http::Method::connect, http::Method::other}) {
    facts.method = method;
    CHECK_FALSE(may_retry(facts));
  }
  for (http::Method method : {http::Method::get, http::Method::head, http::Method::options}) {
    facts.method = method;
    facts.retries_done = 0;
    CHECK(may_retry(facts));
    facts.retries_done = 1;
    CHECK_FALSE(may_retry(facts));
  }
}

TEST_CASE("what was never delivered is tried again whatever its method, while it is still held") {
  RetryFacts facts;
  facts.delivery = Delivery::never;
  facts.method = http::Method::post;
  facts.replayable = true;
  facts.retries_done = 5;
  facts.retries_allowed = 0;
  CHECK(may_retry(facts));
  facts.replayable = false;
  CHECK_FALSE(may_retry(facts));
}

TEST_CASE("every outcome has a word of its own, and a text when it has a status") {
  for (int i = 0; i < static_cast<int>(Outcome::count_); i++) {
    const OutcomeInfo& info = info_of(static_cast<Outcome>(i));
    REQUIRE(info.word != nullptr);
    CHECK((info.status == 0) == (std::string_view(info.text).empty()));
    for (int k = 0; k < i; k++) {
      CHECK(std::string_view(info.word) != info_of(static_cast<Outcome>(k)).word);
    }
  }
}

TEST_CASE("JSON goes to clients that ask for JSON and not for HTML") {
  CHECK(wants_json("application/json"));
  CHECK(wants_json("text/plain, Application/JSON;q=0.9"));
  CHECK(wants_json("application/problem+json"));
  CHECK_FALSE(wants_json("text/html,application/json"));
  CHECK_FALSE(wants_json("*/*"));
  CHECK_FALSE(wants_json(""));
  ErrorPage json = make_error_page(503, "No worker became ready in time", "queue_timeout", true);
  CHECK(json.content_type == "application/json");
  CHECK(json.body ==
        "{\"status\":503,\"error\":\"Service Unavailable\",\"message\":\"No worker became ready in time\","
        "\"outcome\":\"queue_timeout\"}\n");
  ErrorPage text = make_error_page(404, "No app is configured for this address", "no_route", false);
  CHECK(text.content_type == "text/plain; charset=utf-8");
  CHECK(text.body == "404 Not Found\n\nNo app is configured for this address.\n");
  CHECK(make_error_page(400, "the head ends too soon", "bad_request", false).body ==
        "400 Bad Request\n\nThe head ends too soon.\n");
}

TEST_CASE("an access line is one JSON object; what the client sent cannot break out of it") {
  AccessRecord record;
  record.time_ms = 1'700'000'000'123;
  record.client = "127.0.0.1";
  record.method = "GET";
  record.host = "h";
  record.target = "/a\"b\\c\xff";
  record.status = 200;
  record.bytes_sent = 5;
  record.app = "web";
  record.slot = 2;
  record.upstream = "web/2-7.sock";
  record.total_ms = 1.5;
  record.first_byte_ms = 1.25;
  record.outcome = "ok";
  record.user_agent = "evil\n\"agent";
  std::string line;
  append_access_line(line, record);
  CHECK(line ==
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"127.0.0.1\",\"method\":\"GET\",\"host\":\"h\","
        "\"target\":\"/a\\\"b\\\\c\xEF\xBF\xBD\",\"status\":200,\"bytes_sent\":5,\"bytes_received\":0,\"app\":\"web\","
        "\"slot\":2,\"upstream\":\"web/2-7.sock\",\"total_ms\":1.500,\"queue_ms\":0.000,\"connect_ms\":0.000,"
        "\"first_byte_ms\":1.250,\"retries\":0,\"outcome\":\"ok\",\"user_agent\":\"evil\\u000a\\\"agent\"}\n");
}

TEST_CASE("gathered parts keep their order, text and borrowed alike") {
  Gather gather;
  std::string body = "hello world";
  gather.begin_text();
  gather.text() += "head;";
  gather.end_text();
  gather.add(std::string_view(body).substr(0, 5));
  gather.add(std::string_view(body).substr(5));  // touches the part before: one part
  CHECK(gather.parts().size() == 2);
  gather.add_chunk("abc");
  gather.add_chunk("");  // would be the end of the body
  std::string all;
  gather.append_to(all);
  CHECK(all == "head;hello world3\r\nabc\r\n");
  CHECK(gather.size() == all.size());
  gather.clear();
  CHECK(gather.empty());
  CHECK(gather.size() == 0);
}
