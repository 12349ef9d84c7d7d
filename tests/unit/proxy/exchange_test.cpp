// Exchanges on a loop that the test turns by hand, in a time of its own: what happens in moments that a real loop
// passes through too quickly to be met there.
#include "rota/proxy/exchange.h"

#include <poll.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "rota/base/check.h"
#include "rota/proxy/loop_context.h"
#include "rota/proxy/suspects.h"
#include "rota/sys/socket.h"

using namespace rota;
using namespace rota::proxy;

namespace {

struct NoEvents final : UpstreamEvents {
  void retry_soon() override {}
  void connect_failed(std::uint64_t, int) override {}
  void drained(std::uint64_t) override {}
};

// A client that only remembers how it ended.
struct Client final : ExchangeClient {
  explicit Client(LoopContext& of) : context(of), exchange(of.take_exchange()) {}
  void response_head(const http::ResponseHead& head) override { status = head.status; }
  void response_body(std::string_view) override {}
  void response_end(const std::vector<http::Field>&) override {}
  bool take_back() override { return true; }
  bool flush() override { return true; }
  std::size_t own_response(int own_status, Outcome, std::string_view) override {
    status = own_status;
    return 0;
  }
  bool congested() const override { return false; }
  std::size_t room() const override { return 4096; }
  void await_room() override {}
  void pause_upload() override {}
  void resume_upload() override {}
  uv::Stream& become_tunnel(std::string&, bool&) override {
    ROTA_CHECK(false && "nobody asks for a tunnel");
    return *std::unique_ptr<uv::Stream>();
  }
  void exchange_finished(bool) override { context.give_back(std::move(exchange)); }

  LoopContext& context;
  std::unique_ptr<Exchange> exchange;
  int status = 0;
};

struct Fixture {
  Fixture() : loop("test"), context(loop, log_writer, suspects, events), app(context), client(context) {
    loop.hold_time(now);
    const std::string path = "@rota-exchange-test-" + std::to_string(::getpid());
    sys::Listen made = sys::listen_on(*sys::unix_address(path), {});
    REQUIRE(made.error == 0);
    listener = std::move(made.fd);
    ipc::AppState state;
    state.queue_size = 10;
    state.queue_timeout = 1s;
    state.retry_attempts = 1;
    state.response_timeout = state.idle_timeout = 5s;
    ipc::UpstreamState upstream;
    upstream.id = 1;
    upstream.address = path;
    upstream.phase = ipc::UpstreamPhase::ready;
    state.upstreams.push_back(upstream);
    app.apply(state);
  }
  ~Fixture() { turn(); }

  void begin(std::string_view request) {
    http::RequestHeadParser parser(http::HeadLimits{});
    http::RequestHead head;
    REQUIRE(parser.parse(request, head) == http::Progress::complete);
    client.exchange->start(client, app, head, http::Forwarding{});
    client.exchange->upload_complete();
    client.exchange->begin();
  }
  // Until nothing is left to do without waiting.
  void turn() {
    pollfd ready{loop.descriptor(), POLLIN, 0};
    while (loop.run_once() || ::poll(&ready, 1, 0) > 0) continue;
  }
  void pass(Duration time) {
    now += time;
    loop.hold_time(now);
    context.deadlines.expire(now);
    turn();
  }

  TimePoint now{std::chrono::hours(1)};
  uv::Loop loop;
  LogWriter log_writer;
  Suspects suspects;
  NoEvents events;
  LoopContext context;
  App app;
  Client client;
  UniqueFd listener;
};

}  // namespace

TEST_CASE("an app that is gone from the state lives until its last exchange has ended, whatever that waits for") {
  Fixture f;
  f.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  sys::Accept worker = sys::accept_connection(f.listener.get());
  REQUIRE(worker.error == 0);
  char request[4096];
  REQUIRE(::read(worker.fd.get(), request, sizeof request) > 0);
  worker.fd.reset();
  f.turn();
  // It has no upstream now, and is not held: it waits for a sign of whether that worker has died.
  CHECK(f.client.status == 0);
  f.app.forget();
  CHECK_FALSE(f.app.finished());
  f.pass(Exchange::kDoubt);
  CHECK_FALSE(f.app.finished());
  f.pass(1s);
  CHECK(f.client.status == 503);
  CHECK(f.app.finished());
}
