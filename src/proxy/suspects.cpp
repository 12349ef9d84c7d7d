#include "rota/proxy/suspects.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "rota/base/check.h"

namespace rota::proxy {

namespace {

// SipHash-2-4.
class SipHash {
 public:
  explicit SipHash(const std::uint64_t (&key)[2])
      : v_{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
           key[1] ^ 0x7465646279746573} {}

  void add(std::string_view bytes) {
    for (char c : bytes) {
      word_ |= static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << 8 * (length_ % 8);
      if (++length_ % 8 == 0) mix();
    }
  }
  std::uint64_t finish() {
    word_ |= length_ << 56;
    mix();
    v_[2] ^= 0xff;
    for (int i = 0; i < 4; i++) round();
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  void mix() {
    v_[3] ^= word_;
    round();
    round();
    v_[0] ^= word_;
    word_ = 0;
  }
  void round() {
    v_[0] += v_[1];
    v_[1] = std::rotl(v_[1], 13) ^ v_[0];
    v_[0] = std::rotl(v_[0], 32);
    v_[2] += v_[3];
    v_[3] = std::rotl(v_[3], 16) ^ v_[2];
    v_[0] += v_[3];
    v_[3] = std::rotl(v_[3], 21) ^ v_[0];
    v_[2] += v_[1];
    v_[1] = std::rotl(v_[1], 17) ^ v_[2];
    v_[2] = std::rotl(v_[2], 32);
  }

  std::uint64_t v_[4];
  std::uint64_t word_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace

Suspects::Suspects() { ROTA_CHECK(::getrandom(key_, sizeof key_, 0) == sizeof key_); }

// The head's first two lines are ours: start line and Host.
std::uint64_t Suspects::fingerprint_of(std::string_view app, std::string_view head) const {
  SipHash hash(key_);
  hash.add(app);
  hash.add(std::string_view("\0", 1));
  std::size_t end = head.find("\r\n");
  if (end != std::string_view::npos) end = head.find("\r\n", end + 2);
  hash.add(head.substr(0, end));
  return std::max<std::uint64_t>(hash.finish(), 1);
}

Suspects::Suspect* Suspects::find(std::uint64_t fingerprint) {
  auto at = suspects_.find(fingerprint);
  return at == suspects_.end() ? nullptr : &at->second;
}

Suspects::Suspect& Suspects::make(std::uint64_t fingerprint) {
  if (suspects_.size() >= kMax) {
    forget(std::min_element(suspects_.begin(), suspects_.end(), [](const auto& a, const auto& b) {
             return std::pair(a.second.deaths, a.second.last_death) < std::pair(b.second.deaths, b.second.last_death);
           })->first);
  }
  Suspect& made = suspects_[fingerprint];
  count_.store(suspects_.size(), std::memory_order_relaxed);
  return made;
}

void Suspects::forget(std::uint64_t fingerprint) {
  suspects_.erase(fingerprint);
  count_.store(suspects_.size(), std::memory_order_relaxed);
}

Suspects::Blame Suspects::died(std::uint64_t fingerprint, std::uint64_t upstream, std::uint32_t limit, TimePoint now) {
  std::lock_guard lock(mutex_);
  Suspect* known = find(fingerprint);
  Suspect& suspect = known != nullptr ? *known : make(fingerprint);
  if (std::find(suspect.upstreams.begin(), suspect.upstreams.end(), upstream) != suspect.upstreams.end()) {
    return {suspect.deaths, Duration::zero()};
  }
  if (suspect.deaths > 0 && now - suspect.last_death > kMemory) {
    suspect.deaths = 0;
    suspect.refusal = Duration::zero();
    suspect.refused_until = {};
  }
  suspect.upstreams[suspect.deaths % kDeathsKept] = upstream;
  suspect.deaths++;
  suspect.last_death = now;
  suspect.on_trial = false;
  // Refused already: it was in flight since before that, and says nothing of what a trial would.
  bool was_tried = std::exchange(suspect.was_tried, false);
  if (suspect.deaths < limit || (now < suspect.refused_until && !was_tried)) return {suspect.deaths, Duration::zero()};
  suspect.refusal = std::clamp(suspect.refusal * 2, kRefusal, kRefusalMax);
  suspect.refused_until = now + suspect.refusal;
  return {suspect.deaths, suspect.refusal};
}

void Suspects::answered(std::uint64_t fingerprint) {
  std::lock_guard lock(mutex_);
  forget(fingerprint);
}

Suspects::Verdict Suspects::ask(std::uint64_t fingerprint, std::uint32_t limit, TimePoint now) {
  std::lock_guard lock(mutex_);
  Suspect* suspect = find(fingerprint);
  if (suspect == nullptr) return Verdict::pass;
  if (!suspect->on_trial && now - suspect->last_death > kMemory) {
    forget(fingerprint);
    return Verdict::pass;
  }
  if (suspect->deaths < limit) return Verdict::pass;
  if (suspect->on_trial || now < suspect->refused_until) return Verdict::refuse;
  suspect->on_trial = true;
  suspect->was_tried = false;
  return Verdict::trial;
}

void Suspects::trial_over(std::uint64_t fingerprint, TimePoint now) {
  std::lock_guard lock(mutex_);
  Suspect* suspect = find(fingerprint);
  if (suspect == nullptr || !suspect->on_trial) return;
  suspect->on_trial = false;
  suspect->was_tried = true;
  suspect->refused_until = now + std::max(suspect->refusal, kRefusal);
}

}  // namespace rota::proxy
