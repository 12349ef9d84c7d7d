#include "rota/supervisor/crash_report.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include "rota/base/visible.h"
#include "rota/sys/process.h"

namespace rota::supervisor {

namespace {

// Only what may have been the out-of-memory killer is judged.
std::string describe_memory(const CrashReport& report) {
  if (!WIFSIGNALED(report.status) || WTERMSIG(report.status) != SIGKILL || report.killed_by_us) return "";
  switch (report.out_of_memory) {
    case OutOfMemory::no: return "; not for want of memory";
    case OutOfMemory::group: return "; out of memory (the limit of its control group)";
    case OutOfMemory::machine: return "; out of memory (the machine's)";
    case OutOfMemory::unknown:
    case OutOfMemory::count_: break;
  }
  return "; whether for want of memory is not known";
}

const char* why_not_known(InFlightKnown known) {
  switch (known) {
    case InFlightKnown::yes:
    case InFlightKnown::never_served: return "";
    case InFlightKnown::no_proxy: return "there was no proxy";
    case InFlightKnown::proxy_died: return "the proxy has died, too";
    case InFlightKnown::supervisor_died: return "the supervisor has died, too";
    case InFlightKnown::asked:
    case InFlightKnown::no_answer:
    case InFlightKnown::count_: break;
  }
  return "the proxy did not answer in time";
}

std::string describe_in_flight(const CrashReport& report) {
  const ipc::InFlight& list = report.in_flight;
  if (report.known == InFlightKnown::never_served) return "it had served nothing";
  if (report.known != InFlightKnown::yes) return fmt::format("in flight: not known, {}", why_not_known(report.known));
  std::string text = fmt::format("in flight: {} request{}", list.total, list.total == 1 ? "" : "s");
  if (list.unread > 0) text += fmt::format(", and {} more that it had not read", list.unread);
  return text;
}

std::string line_of(const ipc::RequestInFlight& request) {
  std::string line =
      fmt::format("in flight for {}{}: {} {}{}", describe_duration(request.age), request.answered ? ", answering" : "",
                  visible(request.method), visible(request.path), request.path_cut ? "..." : "");
  if (!request.request_id.empty()) line += fmt::format(" (request id {})", visible(request.request_id));
  return line;
}

}  // namespace

std::string describe(const CrashReport& report) {
  std::string why = report.failure.empty() ? "" : report.failure + "; ";
  return fmt::format("{}.{} (pid {}): {}{} after {}", report.app, report.slot, report.pid, why,
                     sys::describe_status(report.status), describe_duration(report.uptime));
}

std::vector<std::string> lines_of(const CrashReport& report, std::uint64_t same_words_as) {
  std::vector<std::string> lines;
  auto add = [&](const std::string& text) { lines.push_back(fmt::format("crash report {}: {}", report.number, text)); };
  add(fmt::format("{}{}; {} restart{} of this slot; {}", describe(report), describe_memory(report), report.restarts,
                  report.restarts == 1 ? "" : "s", describe_in_flight(report)));
  for (const ipc::RequestInFlight& request : report.in_flight.requests) add(line_of(request));
  std::size_t untold = report.in_flight.total - report.in_flight.requests.size();
  if (untold > 0) add(fmt::format("in flight: and {} more", untold));
  if (report.known == InFlightKnown::never_served) return lines;  // its words stand beside the note of its end
  if (same_words_as != 0 && !report.last_lines.empty()) {
    add(fmt::format("stderr: the same as in crash report {}", same_words_as));
    return lines;
  }
  for (const std::string& line : report.last_lines) add("stderr: " + line);
  return lines;
}

}  // namespace rota::supervisor
