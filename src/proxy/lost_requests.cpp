#include "rota/proxy/lost_requests.h"

#include <algorithm>
#include <iterator>

#include "rota/base/log.h"
#include "rota/base/visible.h"

namespace rota::proxy {

namespace {

// The value of X-Request-ID: written by us, behind all fields of the client's, and therefore the last of its name.
std::string_view request_id_of(std::string_view head) {
  constexpr std::string_view kName = "\r\nX-Request-ID: ";
  std::size_t at = head.rfind(kName);
  if (at == std::string_view::npos) return {};
  std::string_view value = head.substr(at + kName.size());
  return value.substr(0, value.find('\r'));
}

}  // namespace

ipc::RequestInFlight describe_request(std::string_view head, Duration age, bool answered) {
  std::string_view line = head.substr(0, head.find('\r'));
  std::string_view method = line.substr(0, line.find(' '));
  std::string_view target = line.substr(std::min(line.size(), method.size() + 1));
  std::string_view path = target.substr(0, target.find_first_of("? "));
  ipc::RequestInFlight request;
  request.method = method.substr(0, ipc::kMethodMax);
  request.path = path.substr(0, ipc::kPathMax);
  request.path_cut = path.size() > ipc::kPathMax;
  request.request_id = request_id_of(head).substr(0, ipc::kRequestIdMax);
  request.age = std::max(age, Duration::zero());
  request.answered = answered;
  return request;
}

void merge(ipc::InFlight& into, ipc::InFlight&& more) {
  into.total += more.total;
  into.unread += more.unread;
  std::move(more.requests.begin(), more.requests.end(), std::back_inserter(into.requests));
}

void cut(ipc::InFlight& list) {
  constexpr std::size_t kHalf = ipc::kInFlightMax / 2;
  std::stable_sort(list.requests.begin(), list.requests.end(),
                   [](const auto& a, const auto& b) { return a.age > b.age; });
  if (list.requests.size() <= ipc::kInFlightMax) return;
  list.requests.erase(list.requests.begin() + kHalf, list.requests.end() - kHalf);
}

void LostRequests::forget_old(TimePoint now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  std::erase_if(entries_, [&](const Entry& entry) { return now - entry.last > kMemory; });
  for (Entry& entry : entries_) {
    std::erase_if(entry.requests, [&](const Lost& one) { return now - one.at > kMemory; });
  }
}

void LostRequests::remember(std::uint64_t upstream, Lost lost) {
  forget_old(lost.at);
  std::size_t remembered = 0;
  for (const Entry& entry : entries_) remembered += entry.requests.size();
  auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.upstream == upstream; });
  if (at == entries_.end()) {
    if (entries_.size() >= kUpstreamsMax) {
      entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                      [](const Entry& a, const Entry& b) { return a.last < b.last; }));
    }
    at = entries_.insert(entries_.end(), Entry{upstream, lost.at, 0, {}});
  }
  at->last = lost.at;
  if (remembered < kRequestsMax) {
    at->requests.push_back(std::move(lost));
  } else if (!lost.unread) {
    at->untold++;
  }
}

void LostRequests::add(std::uint64_t upstream, ipc::RequestInFlight request, TimePoint now,
                       const Suspicion& suspicion) {
  remember(upstream,
           {std::move(request), now, false, false, suspicion.fingerprint, suspicion.limit, std::string(suspicion.app)});
}

void LostRequests::add_unread(std::uint64_t upstream, TimePoint now) {
  remember(upstream, {{}, now, true, false, 0, 0, {}});
}

ipc::InFlight LostRequests::of(std::uint64_t upstream, TimePoint now) const {
  ipc::InFlight list;
  auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.upstream == upstream; });
  if (at == entries_.end() || now - at->last > kMemory) return list;
  for (const Lost& one : at->requests) {
    if (now - one.at > kMemory) continue;
    if (one.unread) {
      list.unread++;
    } else {
      list.requests.push_back(one.request);
    }
  }
  list.total = static_cast<std::uint32_t>(list.requests.size()) + at->untold;
  return list;
}

void LostRequests::forgive(std::uint64_t fingerprint) {
  for (Entry& entry : entries_) {
    for (Lost& one : entry.requests) {
      if (one.fingerprint == fingerprint) one.fingerprint = 0;
    }
  }
}

// Each is counted once, however often its death is told: thousands may be told of with every connection that ends.
void LostRequests::blame(std::uint64_t upstream, Suspects& suspects, TimePoint now) {
  auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& one) { return one.upstream == upstream; });
  if (at == entries_.end()) return;
  for (auto each = at->requests.rbegin(); each != at->requests.rend() && !each->blamed; ++each) {
    Lost& one = *each;
    one.blamed = true;
    if (one.fingerprint == 0 || now - one.at > kMemory) continue;
    Suspects::Blame blame = suspects.died(one.fingerprint, upstream, one.limit, now);
    if (blame.refused_for == Duration::zero()) continue;
    log::warning("{}: {} {}{} was in flight at {} deaths of workers in a row: refused for {} s (retry.poison_after)",
                 one.app, visible(one.request.method), visible(one.request.path), one.request.path_cut ? "..." : "",
                 blame.deaths, blame.refused_for / std::chrono::seconds(1));
  }
}

}  // namespace rota::proxy
