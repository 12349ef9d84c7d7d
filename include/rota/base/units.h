// Sizes and times with their unit in the type.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace rota {

// A number of bytes as configured or limited. Buffers use std::size_t inside.
struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};
constexpr Bytes operator""_B(unsigned long long n) { return Bytes{n}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes{n * 1024}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes{n * 1024 * 1024}; }

using Duration = std::chrono::milliseconds;               // every configured time
using TimePoint = std::chrono::steady_clock::time_point;  // CLOCK_MONOTONIC; never the wall clock
using namespace std::chrono_literals;                     // 250ms, 5s, 1h

}  // namespace rota
