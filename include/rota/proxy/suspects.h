// Requests that were in flight when workers died: for how many deaths in a row, and which are refused for it. "The same
// request" is the same app, method, host and target, query included; no answer of a worker may lie between two deaths
// of a row. Shared by all loops; as long as there is no suspect it costs a load of one number.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "rota/base/units.h"

namespace rota::proxy {

class Suspects {
 public:
  static constexpr std::size_t kMax = 1024;      // beyond that the least suspicious, then the oldest one is forgotten
  static constexpr Duration kMemory{3'600'000};  // without another death
  static constexpr Duration kRefusal{30'000};    // doubled by each trial that ends a worker
  static constexpr Duration kRefusalMax{600'000};
  static constexpr std::size_t kDeathsKept = 32;  // of each suspect, so that none is counted twice

  Suspects();
  Suspects(const Suspects&) = delete;
  Suspects& operator=(const Suspects&) = delete;

  // `head`: as the worker gets it. Keyed by chance, so that nobody can have another's request refused; never 0.
  std::uint64_t fingerprint_of(std::string_view app, std::string_view head) const;

  bool any() const { return count_.load(std::memory_order_relaxed) > 0; }

  // It was in flight on this upstream at its death, which may be told again and again. refused_for: not zero when this
  // death is the `limit`th or a later one.
  struct Blame {
    std::uint32_t deaths = 0;
    Duration refused_for{};
  };
  Blame died(std::uint64_t fingerprint, std::uint64_t upstream, std::uint32_t limit, TimePoint now);
  void answered(std::uint64_t fingerprint);  // by a worker: it is no suspect any more

  // trial: its time is over; this one may go, and all others wait for what becomes of it: died(), answered() or
  // trial_over().
  enum class Verdict : std::uint8_t { pass, trial, refuse };
  Verdict ask(std::uint64_t fingerprint, std::uint32_t limit, TimePoint now);
  void trial_over(std::uint64_t fingerprint, TimePoint now);  // and nothing is known

 private:
  struct Suspect {
    std::uint32_t deaths = 0;
    std::array<std::uint64_t, kDeathsKept> upstreams{};  // of the last deaths
    TimePoint last_death{};
    TimePoint refused_until{};
    Duration refusal{};
    bool on_trial = false;
    bool was_tried = false;  // and what became of its worker is still to be heard
  };
  Suspect* find(std::uint64_t fingerprint);
  Suspect& make(std::uint64_t fingerprint);
  void forget(std::uint64_t fingerprint);

  std::uint64_t key_[2];
  std::atomic<std::size_t> count_ = 0;
  std::mutex mutex_;                                     // over the rest
  std::unordered_map<std::uint64_t, Suspect> suspects_;  // by fingerprint, which nobody can choose
};

}  // namespace rota::proxy
