// What all loops of a proxy know together of their clients: how many connections each address has, and how many were
// turned away. Thread-safe; used when a connection begins and ends, never for a request. It outlives its Slots.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "rota/base/units.h"
#include "rota/http/ip_address.h"

namespace rota::proxy {

// Counts what may happen very often and is to be logged once a second at most.
class RefusalCount {
 public:
  // Another one. Returns how many there were since the last time, when a line is due, else 0.
  std::uint64_t add(TimePoint now);
  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::int64_t kBetween_ns = 1'000'000'000;
  std::atomic<std::uint64_t> total_ = 0;
  std::atomic<std::uint64_t> told_ = 0;
  std::atomic<std::int64_t> last_ns_ = INT64_MIN / 2;
};

class ClientGate {
  struct Address {
    ClientGate& gate;
    std::uint64_t key;
    std::uint32_t connections = 0;
  };

 public:
  // One connection that counts for its address, until this is destroyed.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept : address_(std::exchange(other.address_, nullptr)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(address_, other.address_);
      return *this;
    }
    ~Slot() {
      if (address_ != nullptr) leave(*address_);
    }

   private:
    friend class ClientGate;
    Address* address_ = nullptr;  // nodes of the table stay where they are
  };

  ClientGate();
  // False: the address has `limit` connections already. An IPv6 client owns at least a /64, so that this is what
  // counts as one address. The table holds at most one entry for each connection there is.
  bool enter(const http::IpAddress& address, std::uint32_t limit, Slot& slot);
  std::size_t addresses();

  RefusalCount too_many;          // connections of one address
  RefusalCount not_trusted;       // on a listener with the PROXY protocol
  RefusalCount bad_proxy_header;  // likewise, from who is trusted

 private:
  struct Mix {
    std::uint64_t seed;
    std::size_t operator()(std::uint64_t key) const;
  };
  static void leave(Address& address);

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Address, Mix> connections_;
};

}  // namespace rota::proxy
