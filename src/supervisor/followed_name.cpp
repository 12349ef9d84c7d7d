#include "rota/supervisor/followed_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "rota/base/log.h"

namespace rota::supervisor {

Duration until_next_question(const FollowedName::Pace& pace, std::uint32_t failures) {
  if (failures == 0) return pace.every;
  Duration delay = pace.again;
  for (std::uint32_t i = 1; i < failures && delay < pace.every; i++) delay *= 2;
  return std::min(delay, pace.every);
}

FollowedName::FollowedName(uv::Loop& loop, std::string label, std::string host, std::vector<std::string> known,
                           Pace pace, Lookup::Ask ask, NameListener& listener)
    : loop_(loop),
      label_(std::move(label)),
      host_(std::move(host)),
      addresses_(std::move(known)),
      pace_(pace),
      ask_(ask),
      listener_(listener),
      timer_(loop, *this) {}

void FollowedName::question() {
  asking_ = true;
  asked_at_ = loop_.now();
  timer_.stop();
  lookup_ = std::make_unique<Lookup>(loop_, std::set<std::string>{host_}, pace_.patience,
                                     static_cast<LookupListener&>(*this), ask_);
}

void FollowedName::doubt() {
  if (asking_ || failures_ > 0) return;  // it is being asked, or will be soon
  Duration since = std::chrono::duration_cast<Duration>(loop_.now() - asked_at_);
  timer_.start(std::max(Duration::zero(), pace_.again - since));
}

void FollowedName::on_timer(uv::Timer&) { question(); }

// The lookup is on the stack: it stays until the next question.
void FollowedName::on_looked_up(const ResolvedNames& names) {
  asking_ = false;
  const Resolved& resolved = names.at(host_);
  if (resolved.hosts.empty()) {
    failed(resolved.error);
  } else {
    found(resolved.hosts);
  }
}

void FollowedName::found(std::vector<std::string> addresses) {
  std::sort(addresses.begin(), addresses.end());  // a name service may answer in turns
  if (addresses.size() > kServerAddressesMax) {
    if (!too_many_told_) {
      log::warning("{}: the server name {} has {} addresses; the first {} are used", label_, host_, addresses.size(),
                   kServerAddressesMax);
    }
    too_many_told_ = true;
    addresses.resize(kServerAddressesMax);
  }
  bool again = failures_ > 0;
  failures_ = 0;
  error_.clear();
  timer_.start(until_next_question(pace_, failures_));
  if (addresses == addresses_) {
    if (again) log::info("{}: the name service answers for {} again", label_, host_);
    return;
  }
  log::info("{}: the server name {} stands for {}", label_, host_, fmt::join(addresses, ", "));
  addresses_ = std::move(addresses);
  listener_.on_name(*this);
}

void FollowedName::failed(const std::string& error) {
  error_ = error;
  if (failures_++ == 0) {
    if (addresses_.empty()) {
      log::error("{}: the server name {} has no address ({}); it is looked up again until it has", label_, host_,
                 error);
    } else {
      log::warning("{}: the server name {} cannot be looked up ({}); {} is still used", label_, host_, error,
                   fmt::join(addresses_, ", "));
    }
  }
  timer_.start(until_next_question(pace_, failures_));
  if (addresses_.empty()) listener_.on_name(*this);
}

}  // namespace rota::supervisor
