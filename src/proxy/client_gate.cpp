#include "rota/proxy/client_gate.h"

#include <sys/random.h>

#include <cstring>

namespace rota::proxy {

namespace {

// Clients choose their addresses: without a seed they could make them all meet in one bucket.
std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  static_cast<void>(!::getrandom(&seed, sizeof seed, 0));
  return seed;
}

// The first 64 bits of an IPv6 address. IPv4 goes where IPv6 has multicast, which is nobody's own address.
std::uint64_t key_of(const http::IpAddress& address) {
  const http::IpAddress::Octets& octets = address.octets();
  std::uint64_t key = 0;
  if (address.is_v4()) {
    for (std::size_t i = 12; i < 16; i++) key = key << 8 | octets[i];
    return key | std::uint64_t{0xff} << 56;
  }
  for (std::size_t i = 0; i < 8; i++) key = key << 8 | octets[i];
  return key;
}

}  // namespace

std::uint64_t RefusalCount::add(TimePoint now) {
  const std::uint64_t total = total_.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  std::int64_t last = last_ns_.load(std::memory_order_relaxed);
  if (now_ns - last < kBetween_ns || !last_ns_.compare_exchange_strong(last, now_ns, std::memory_order_relaxed)) {
    return 0;
  }
  return total - told_.exchange(total, std::memory_order_relaxed);
}

// splitmix64: the last step of a generator whose every output depends on every bit.
std::size_t ClientGate::Mix::operator()(std::uint64_t key) const {
  key += seed;
  key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
  key = (key ^ key >> 27) * 0x94d049bb133111eb;
  return key ^ key >> 31;
}

ClientGate::ClientGate() : connections_(0, Mix{random_seed()}) {}

bool ClientGate::enter(const http::IpAddress& address, std::uint32_t limit, Slot& slot) {
  if (limit == 0) return false;
  const std::uint64_t key = key_of(address);
  Slot taken;
  {
    std::lock_guard lock(mutex_);
    Address& counted = connections_.try_emplace(key, Address{*this, key}).first->second;
    if (counted.connections >= limit) return false;
    counted.connections++;
    taken.address_ = &counted;
  }
  slot = std::move(taken);  // which may have to leave another
  return true;
}

void ClientGate::leave(Address& address) {
  ClientGate& gate = address.gate;
  std::lock_guard lock(gate.mutex_);
  if (--address.connections == 0) gate.connections_.erase(std::uint64_t{address.key});
}

std::size_t ClientGate::addresses() {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

}  // namespace rota::proxy
