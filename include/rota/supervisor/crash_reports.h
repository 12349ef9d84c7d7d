// The crash reports of all apps: one is begun when a worker has died and nobody had asked it to, waits a moment for the
// proxy to say what was in flight, is told to the log, and kept. Nothing waits for a report.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "rota/supervisor/crash_report.h"
#include "rota/supervisor/lines.h"
#include "rota/supervisor/proxy_link.h"
#include "rota/uv/handles.h"

namespace rota::supervisor {

// For the proxy's answer: a machine may be busy, and nothing waits for a report.
inline constexpr Duration kInFlightPatience{1000};
inline constexpr std::size_t kCrashReportsPerApp = 5;  // kept
inline constexpr std::size_t kCrashReportsInAll = 64;  // likewise, of all apps
inline constexpr std::size_t kCrashReportsOpenMax =
    64;  // waiting; beyond that they are told without what was in flight

class CrashReportsListener {
 public:
  virtual void on_crash_reports_changed() = 0;  // there is something new to save

 protected:
  ~CrashReportsListener() = default;
};

class CrashReports final : uv::TimerListener {
 public:
  CrashReports(uv::Loop& loop, ProxyLink& proxy, CrashReportsListener& listener, sys::OomCounter counter);

  // Number, time, memory and what was in flight are added here. words: of its stderr, which may still grow.
  void begin(CrashReport report, bool served, std::shared_ptr<const LastLines> words);
  void on_in_flight(std::uint64_t upstream, ipc::InFlight list);
  // found_running: by a supervisor that starts; the requests of a proxy that was started later are not those.
  void on_proxy_connected(bool found_running);
  void on_proxy_gone();
  void finish();  // tells what still waits

  void save(SavedCrashes& saved) const;
  void restore(const SavedCrashes& saved);  // before anything else
  const std::deque<CrashReport>& kept() const { return kept_; }

 private:
  struct Open {
    CrashReport report;
    std::shared_ptr<const LastLines> words;
    TimePoint until{};
    bool asked = false;
  };
  void on_timer(uv::Timer& timer) override;
  OutOfMemory judge_memory(const CrashReport& report);
  void close(Open open, InFlightKnown known);
  void close_all(InFlightKnown known);
  void tell(const CrashReport& report);
  void keep(CrashReport report);
  void arm();

  uv::Loop& loop_;
  ProxyLink& proxy_;
  CrashReportsListener& listener_;
  sys::OomCounter counter_;
  OomLedger ledger_;
  std::uint64_t next_number_ = 1;
  std::vector<Open> open_;
  std::deque<CrashReport> kept_;
  uv::Timer patience_;
  uv::Timer look_timer_;
};

}  // namespace rota::supervisor
