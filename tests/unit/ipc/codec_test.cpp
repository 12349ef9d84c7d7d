#include <catch2/catch_test_macros.hpp>
#include <set>

#include "unit/ipc/messages.h"

using namespace rota;
using namespace rota::ipc;

namespace {

template <class M>
std::string encoded(const M& message) {
  std::string bytes;
  encode_message(bytes, message);
  return bytes;
}

}  // namespace

TEST_CASE("every message survives the way there and back, and nothing but itself is taken for it") {
  std::set<std::uint16_t> types;
  test::for_each_message([&]<class M>(const M& message) {
    std::string bytes = encoded(message);
    INFO("type " << message_type(bytes));
    CHECK(bytes.size() <= kMessageMax);
    CHECK(types.insert(message_type(bytes)).second);
    M back;
    REQUIRE(decode_message(bytes, back));
    CHECK(encoded(back) == bytes);

    for (std::size_t cut = 0; cut < bytes.size(); cut++) {
      M other;
      CHECK_FALSE(decode_message(std::string_view(bytes).substr(0, cut), other));
    }
    std::string longer = bytes + '\0';
    CHECK_FALSE(decode_message(longer, back));
    std::string another = bytes;
    another[0] = static_cast<char>(another[0] ^ 0x40);
    CHECK_FALSE(decode_message(another, back));
  });
  // A message that nobody tests would be missing here.
  auto last = static_cast<std::uint16_t>(KeeperMessage::log_settings);
  auto last_of_proxy = static_cast<std::uint16_t>(ProxyMessage::pong);
  for (std::uint16_t type = 1; type <= last; type++) CHECK(types.contains(type));
  for (std::uint16_t type = 0x100; type <= last_of_proxy; type++) CHECK(types.contains(type));
}

TEST_CASE("the fields arrive in the places they left") {
  std::string bytes = encoded(Bind{"web", BindKind::tcp6, "::1", 8080, false, "/p", 0660, 4});
  Bind back;
  REQUIRE(decode_message(bytes, back));
  CHECK(back.name == "web");
  CHECK(back.kind == BindKind::tcp6);
  CHECK(back.host == "::1");
  CHECK(back.port == 8080);
  CHECK_FALSE(back.v6only);
  CHECK(back.path == "/p");
  CHECK(back.mode == 0660);
  CHECK(back.sockets == 4);
  CHECK(back.name.data() > bytes.data());  // a view into the message

  Signal signal;
  REQUIRE(decode_message(encoded(Signal{1, -9, true}), signal));
  CHECK(signal.number == -9);
}

TEST_CASE("bulk survives the way there and back, and is refused at every cut") {
  auto check = []<class T>(const T& value) {
    std::string bytes = encode_bulk(value);
    T back;
    REQUIRE(decode_bulk(bytes, back));
    CHECK(encode_bulk(back) == bytes);
    for (std::size_t cut = 0; cut < bytes.size(); cut++) {
      T other;
      REQUIRE_FALSE(decode_bulk(std::string_view(bytes).substr(0, cut), other));
    }
    CHECK_FALSE(decode_bulk(bytes + '\0', back));
  };
  check(test::full_spec());
  check(SpawnSpec{});
  check(test::full_state());
  check(ProxyState{});
  check(test::full_in_flight());
  check(InFlight{});
}

TEST_CASE("of requests in flight no more is believed than may be told") {
  CHECK(InFlight{}.is_sound());
  CHECK(test::full_in_flight().is_sound());
  auto refused = [](auto spoil) {
    InFlight list = test::full_in_flight();
    spoil(list);
    CHECK_FALSE(list.is_sound());
  };
  refused([](InFlight& list) { list.total = 1; });
  refused([](InFlight& list) { list.requests[1].path += 'x'; });
  refused([](InFlight& list) { list.requests[0].method.assign(kMethodMax + 1, 'M'); });
  refused([](InFlight& list) { list.requests[0].request_id.assign(kRequestIdMax + 1, 'i'); });
  refused([](InFlight& list) {
    list.total = 1000;
    list.requests.resize(kInFlightMax + 1);
  });
  InFlight most;
  RequestInFlight longest;
  longest.method.assign(kMethodMax, 'M');
  longest.path.assign(kPathMax, '/');
  longest.request_id.assign(kRequestIdMax, 'i');
  most.requests.assign(kInFlightMax, longest);
  CHECK(encode_bulk(most).size() <= kInFlightBytesMax);
}

TEST_CASE("values that the encoder never writes are refused") {
  Bind bind;
  std::string bytes = encoded(Bind{});
  bytes[6] = static_cast<char>(BindKind::count_);  // after the type and an empty name
  CHECK_FALSE(decode_message(bytes, bind));
  Signal signal;
  bytes = encoded(Signal{1, 9, true});
  bytes.back() = 2;
  CHECK_FALSE(decode_message(bytes, signal));
  CHECK(message_type("") == 0xFFFF);
  CHECK(message_type("\x01") == 0xFFFF);
}

TEST_CASE("a forged count allocates no more than the message holds") {
  std::string bytes;
  Encoder encoder(bytes);
  encoder(std::uint8_t{0});            // program
  encoder(std::uint32_t{0xFFFFFFFF});  // arguments
  SpawnSpec spec;
  CHECK_FALSE(decode_bulk(bytes, spec));
  CHECK(spec.argv.empty());
}
