#include "rota/proxy/deadlines.h"

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <utility>
#include <vector>

using namespace rota;
using namespace rota::proxy;

namespace {

struct Wait final : DeadlineNode {
  Wait(std::vector<int>& fired, int name) : fired_(fired), name_(name) {}
  void on_deadline() override {
    fired_.push_back(name_);
    if (again != nullptr) std::exchange(again, nullptr)->arm(*this, 10ms, later);
  }
  Deadlines* again = nullptr;
  TimePoint later{};

 private:
  std::vector<int>& fired_;
  int name_;
};

const TimePoint kStart{std::chrono::hours(1)};

}  // namespace

TEST_CASE("deadlines fire in order, each once, and not before they are due") {
  Deadlines deadlines;
  std::vector<int> fired;
  Wait a(fired, 1), b(fired, 2), c(fired, 3);
  deadlines.arm(a, 50ms, kStart);
  deadlines.arm(b, 50ms, kStart + 10ms);
  deadlines.arm(c, 20ms, kStart);
  deadlines.expire(kStart + 19ms);
  CHECK(fired.empty());
  deadlines.expire(kStart + 20ms);
  CHECK(fired == std::vector<int>{3});
  deadlines.expire(kStart + 59ms);
  CHECK(fired == std::vector<int>{3, 1});
  deadlines.expire(kStart + 1h);
  CHECK(fired == std::vector<int>{3, 1, 2});
}

TEST_CASE("deadlines know whether anything waits") {
  Deadlines deadlines;
  std::vector<int> fired;
  Wait a(fired, 1), b(fired, 2);
  CHECK_FALSE(deadlines.any());
  deadlines.arm(a, 10ms, kStart);
  CHECK(deadlines.any());
  a.disarm();
  CHECK_FALSE(deadlines.any());
  deadlines.arm_at(b, kStart + 1h);
  CHECK(deadlines.any());
  deadlines.expire(kStart + 1h);
  CHECK_FALSE(deadlines.any());
}

TEST_CASE("arming again restarts the wait; disarmed and destroyed nodes never fire") {
  Deadlines deadlines;
  std::vector<int> fired;
  Wait a(fired, 1), b(fired, 2);
  {
    Wait gone(fired, 9);
    deadlines.arm(gone, 10ms, kStart);
  }
  deadlines.arm(a, 10ms, kStart);
  deadlines.arm(b, 10ms, kStart);
  deadlines.arm(a, 10ms, kStart + 5ms);
  b.disarm();
  deadlines.expire(kStart + 10ms);
  CHECK(fired.empty());
  deadlines.expire(kStart + 15ms);
  CHECK(fired == std::vector<int>{1});
}

TEST_CASE("odd deadlines are sorted whatever the order they come in") {
  Deadlines deadlines;
  std::vector<int> fired;
  Wait a(fired, 1), b(fired, 2), c(fired, 3);
  deadlines.arm_at(a, kStart + 30ms);
  deadlines.arm_at(b, kStart + 10ms);
  deadlines.arm_at(c, kStart + 20ms);
  deadlines.expire(kStart + 20ms);
  CHECK(fired == std::vector<int>{2, 3});
  deadlines.expire(kStart + 30ms);
  CHECK(fired == std::vector<int>{2, 3, 1});
}

TEST_CASE("one tick fires at most kExpiredMax nodes and says that more are due") {
  Deadlines deadlines;
  std::vector<int> fired;
  std::vector<std::unique_ptr<Wait>> waits;
  for (int i = 0; i < Deadlines::kExpiredMax + 10; i++) {
    waits.push_back(std::make_unique<Wait>(fired, i));
    deadlines.arm(*waits.back(), 10ms, kStart);
  }
  CHECK(deadlines.expire(kStart + 1s));
  CHECK(fired.size() == Deadlines::kExpiredMax);
  CHECK_FALSE(deadlines.expire(kStart + 1s));
  CHECK(fired.size() == waits.size());
}

TEST_CASE("a node may be armed again while it fires") {
  Deadlines deadlines;
  std::vector<int> fired;
  Wait a(fired, 1);
  a.again = &deadlines;
  a.later = kStart + 100ms;
  deadlines.arm(a, 10ms, kStart);
  deadlines.expire(kStart + 10ms);
  deadlines.expire(kStart + 109ms);
  CHECK(fired.size() == 1);
  deadlines.expire(kStart + 110ms);
  CHECK(fired.size() == 2);
}
