#include "rota/supervisor/crash_reports.h"

#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "rota/base/json.h"
#include "rota/base/log.h"

namespace rota::supervisor {

CrashReports::CrashReports(uv::Loop& loop, ProxyLink& proxy, CrashReportsListener& listener, sys::OomCounter counter)
    : loop_(loop),
      proxy_(proxy),
      listener_(listener),
      counter_(std::move(counter)),
      patience_(loop, *this),
      look_timer_(loop, *this) {
  ledger_.look(counter_.read(), loop_.now());
  look_timer_.start(kOomLookEvery, kOomLookEvery);
}

void CrashReports::begin(CrashReport report, bool served, std::shared_ptr<const LastLines> words) {
  report.number = next_number_++;
  report.unix_ms = unix_milliseconds();
  report.out_of_memory = judge_memory(report);
  Open open{std::move(report), std::move(words), loop_.now() + kInFlightPatience, false};
  listener_.on_crash_reports_changed();
  if (!served) return close(std::move(open), InFlightKnown::never_served);
  if (open_.size() >= kCrashReportsOpenMax) return close(std::move(open), InFlightKnown::no_answer);
  // Without a proxy the next one may be about to be told of.
  open.asked = proxy_.ask_in_flight(open.report.spawn_id);
  open_.push_back(std::move(open));
  arm();
}

OutOfMemory CrashReports::judge_memory(const CrashReport& report) {
  ledger_.look(counter_.read(), loop_.now());
  bool killed = WIFSIGNALED(report.status) && WTERMSIG(report.status) == SIGKILL;
  return killed && !report.killed_by_us ? ledger_.claim(loop_.now()) : OutOfMemory::no;
}

void CrashReports::on_in_flight(std::uint64_t upstream, ipc::InFlight list) {
  auto at = std::find_if(open_.begin(), open_.end(), [&](const Open& one) { return one.report.spawn_id == upstream; });
  if (at == open_.end()) return;  // it came too late
  Open open = std::move(*at);
  open_.erase(at);
  open.report.in_flight = std::move(list);
  close(std::move(open), InFlightKnown::yes);
}

void CrashReports::on_proxy_connected(bool found_running) {
  if (!found_running) return on_proxy_gone();
  for (Open& open : open_) open.asked = open.asked || proxy_.ask_in_flight(open.report.spawn_id);
}

void CrashReports::on_proxy_gone() { close_all(InFlightKnown::proxy_died); }

void CrashReports::finish() { close_all(InFlightKnown::no_answer); }

void CrashReports::close_all(InFlightKnown known) {
  for (Open& open : std::exchange(open_, {})) close(std::move(open), known);
}

void CrashReports::close(Open open, InFlightKnown known) {
  open.report.known = known;
  open.report.last_lines.assign(open.words->all().begin(), open.words->all().end());
  tell(open.report);
  keep(std::move(open.report));
  listener_.on_crash_reports_changed();
}

// The words of a worker that ends the same way again and again are told once.
void CrashReports::tell(const CrashReport& report) {
  std::uint64_t same = 0;
  for (const CrashReport& one : kept_) {
    bool told = one.known != InFlightKnown::never_served;
    if (told && one.app == report.app && one.last_lines == report.last_lines) same = one.number;
  }
  for (const std::string& line : lines_of(report, same)) log::warning("{}", line);
}

void CrashReports::keep(CrashReport report) {
  auto is_of_app = [&](const CrashReport& one) { return one.app == report.app; };
  if (std::count_if(kept_.begin(), kept_.end(), is_of_app) >= static_cast<std::ptrdiff_t>(kCrashReportsPerApp)) {
    kept_.erase(std::find_if(kept_.begin(), kept_.end(), is_of_app));
  }
  if (kept_.size() >= kCrashReportsInAll) kept_.pop_front();
  kept_.push_back(std::move(report));
}

void CrashReports::save(SavedCrashes& saved) const {
  saved.next_number = next_number_;
  const sys::OomKills& kills = ledger_.last();
  saved.group_counted = kills.group.has_value();
  saved.group_kills = kills.group.value_or(0);
  saved.machine_counted = kills.machine.has_value();
  saved.machine_kills = kills.machine.value_or(0);
  saved.reports.assign(kept_.begin(), kept_.end());
  for (const Open& open : open_) {
    saved.reports.push_back(open.report);
    saved.reports.back().last_lines.assign(open.words->all().begin(), open.words->all().end());
  }
}

void CrashReports::restore(const SavedCrashes& saved) {
  next_number_ = saved.next_number;
  auto counted = [](bool has, std::uint64_t count) { return has ? std::optional(count) : std::nullopt; };
  ledger_.restore(
      {counted(saved.group_counted, saved.group_kills), counted(saved.machine_counted, saved.machine_kills)});
  for (CrashReport report : saved.reports) {
    if (report.known == InFlightKnown::asked) {
      report.known = InFlightKnown::supervisor_died;
      tell(report);
    }
    keep(std::move(report));
  }
  if (kept_.empty()) return;
  log::info("{} crash reports are kept, the last of them number {}: {}", kept_.size(), kept_.back().number,
            describe(kept_.back()));
}

void CrashReports::arm() {
  if (open_.empty()) return patience_.stop();
  auto first =
      std::min_element(open_.begin(), open_.end(), [](const Open& a, const Open& b) { return a.until < b.until; });
  TimePoint now = loop_.now();
  patience_.start(first->until <= now ? Duration::zero() : std::chrono::ceil<Duration>(first->until - now));
}

void CrashReports::on_timer(uv::Timer& timer) {
  TimePoint now = loop_.now();
  if (&timer == &look_timer_) return ledger_.look(counter_.read(), now);
  std::vector<Open> late;
  for (auto at = open_.begin(); at != open_.end();) {
    if (at->until > now) {
      ++at;
      continue;
    }
    late.push_back(std::move(*at));
    at = open_.erase(at);
  }
  for (Open& open : late) {
    InFlightKnown why = open.asked ? InFlightKnown::no_answer : InFlightKnown::no_proxy;
    close(std::move(open), why);
  }
  arm();
}

}  // namespace rota::supervisor
