// Crash reports: whose fault a SIGKILL was, what the log says, and the whole supervisor's part against a played proxy.
#include "rota/supervisor/crash_report.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "rig.h"
#include "rota/supervisor/crash_reports.h"
#include "rota/supervisor/oom_ledger.h"

using namespace rota;
using namespace rota::supervisor;
using namespace rota::test;

namespace {

const TimePoint kStart{std::chrono::hours(1)};

CrashReport sample_report() {
  CrashReport report;
  report.number = 17;
  report.app = "web";
  report.pid = 4711;
  report.status = 3 << 8;
  report.uptime = 46s;
  report.restarts = 2;
  report.last_lines = {"Traceback", "boom"};
  report.known = InFlightKnown::yes;
  report.in_flight.total = 1;
  report.in_flight.requests = {{"GET", "/boom", false, "4b6f", 12ms, false}};
  return report;
}

bool has_line(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(), [&](const auto& one) { return one.find(part) != std::string::npos; });
}

const std::vector<CrashReport>& saved(const FakeKeeper& keeper) { return keeper.saved->crashes.reports; }

// A worker of slot 0 that has said something and dies.
std::uint64_t die(Rig& rig, int status, const std::string& words = "last words\n") {
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 1; });
  std::uint64_t id = keeper.upstream(0)->id;
  REQUIRE(::write(keeper.workers.at(id).err.get(), words.data(), words.size()) > 0);
  keeper.exit(id, status);
  return id;
}

}  // namespace

TEST_CASE("each out-of-memory kill explains one SIGKILL, for a while") {
  OomLedger ledger;
  ledger.look({5, 9}, kStart);
  CHECK(ledger.claim(kStart) == OutOfMemory::no);  // what had been before is nobody's
  ledger.look({6, 11}, kStart + 1s);
  CHECK(ledger.claim(kStart + 1s) == OutOfMemory::group);
  CHECK(ledger.claim(kStart + 1s) == OutOfMemory::machine);
  CHECK(ledger.claim(kStart + 1s) == OutOfMemory::no);
  ledger.look({7, 12}, kStart + 2s);
  CHECK(ledger.claim(kStart + 2s + kGrowthMemory + 1ms) == OutOfMemory::no);  // it was somebody else's
  ledger.look({7, 12}, kStart + 10s);
  ledger.look({8, 13}, kStart + 11s);
  CHECK(ledger.claim(kStart + 11s) == OutOfMemory::group);
  CHECK(ledger.claim(kStart + 11s) == OutOfMemory::no);
}

TEST_CASE("without the kernel's counts it is not known, and a successor goes on counting") {
  OomLedger blind;
  blind.look({}, kStart);
  CHECK(blind.claim(kStart) == OutOfMemory::unknown);
  OomLedger successor;
  successor.look({6, 6}, kStart);
  successor.restore({5, 5});
  successor.look({6, 6}, kStart);
  CHECK(successor.claim(kStart) == OutOfMemory::group);
}

TEST_CASE("a report is told in lines that a person understands") {
  CrashReport report = sample_report();
  std::vector<std::string> lines = lines_of(report, 0);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] ==
        "crash report 17: web.0 (pid 4711): exit code 3 after 46 s; 2 restarts of this slot; in flight: 1 request");
  CHECK(lines[1] == "crash report 17: in flight for 12 ms: GET /boom (request id 4b6f)");
  CHECK(lines[2] == "crash report 17: stderr: Traceback");
  CHECK(lines[3] == "crash report 17: stderr: boom");
  lines = lines_of(report, 16);
  REQUIRE(lines.size() == 3);
  CHECK(lines[2] == "crash report 17: stderr: the same as in crash report 16");

  report.restarts = 1;
  report.in_flight.total = 70;
  report.in_flight.unread = 5;
  report.in_flight.requests[0].answered = true;
  report.in_flight.requests[0].path_cut = true;
  lines = lines_of(report, 0);
  CHECK(lines[0].ends_with("; 1 restart of this slot; in flight: 70 requests, and 5 more that it had not read"));
  CHECK(lines[1] == "crash report 17: in flight for 12 ms, answering: GET /boom... (request id 4b6f)");
  CHECK(lines[2] == "crash report 17: in flight: and 69 more");
}

TEST_CASE("a SIGKILL is explained, and only one that nobody of ours has sent") {
  CrashReport report = sample_report();
  report.status = SIGKILL;
  auto says = [&](const std::string& text) { return has_line(lines_of(report, 0), text); };
  CHECK(says("signal 9 (KILL) after 46 s; not for want of memory; "));
  report.out_of_memory = OutOfMemory::group;
  CHECK(says("; out of memory (the limit of its control group); "));
  report.out_of_memory = OutOfMemory::machine;
  CHECK(says("; out of memory (the machine's); "));
  report.out_of_memory = OutOfMemory::unknown;
  CHECK(says("whether for want of memory is not known"));
  report.killed_by_us = true;
  report.failure = "checks timed out for 60 s";
  CHECK(says("(pid 4711): checks timed out for 60 s; signal 9 (KILL) after 46 s; 2 restarts"));
  report.killed_by_us = false;
  report.failure.clear();
  report.status = SIGSEGV | 0x80;
  CHECK(says("signal 11 (SEGV), core dumped after 46 s; 2 restarts"));
}

TEST_CASE("what is not known of the requests is said, with the reason") {
  CrashReport report = sample_report();
  report.in_flight = {};
  auto says = [&](InFlightKnown known, const std::string& text) {
    report.known = known;
    return lines_of(report, 0)[0].ends_with(text);
  };
  CHECK(says(InFlightKnown::yes, "in flight: 0 requests"));
  CHECK(says(InFlightKnown::no_proxy, "in flight: not known, there was no proxy"));
  CHECK(says(InFlightKnown::proxy_died, "in flight: not known, the proxy has died, too"));
  CHECK(says(InFlightKnown::no_answer, "in flight: not known, the proxy did not answer in time"));
  CHECK(says(InFlightKnown::supervisor_died, "in flight: not known, the supervisor has died, too"));
  CHECK(says(InFlightKnown::never_served, "it had served nothing"));
  CHECK(lines_of(report, 0).size() == 1);  // the note of its end has its words
}

TEST_CASE("a death nobody asked for is reported: the proxy is asked first, and the report is kept") {
  log::configure({"", log::Level::warning, false});
  ScratchDir dir;
  config::Loaded loaded = sample(dir, 1);
  loaded.config.log_level = log::Level::warning;
  Rig rig(std::move(loaded));
  Stderr shown(dir);
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t id = die(rig, 7 << 8);
  rig.until([&] { return !keeper.asked_in_flight.empty(); });
  CHECK(keeper.asked_in_flight == std::vector<std::uint64_t>{id});
  CHECK(keeper.gone_when_asked.empty());
  rig.until([&] { return keeper.saved && !saved(keeper).empty(); });
  CHECK(saved(keeper)[0].known == InFlightKnown::asked);  // a successor would know of it
  keeper.proxy_tells_in_flight(id, {2, 1, {{"GET", "/boom", false, "4b6f", 12ms, false}}});
  rig.until([&] { return saved(keeper)[0].known == InFlightKnown::yes; });
  const CrashReport& report = saved(keeper)[0];
  CHECK(report.number == 1);
  CHECK(report.app == "web");
  CHECK(report.spawn_id == id);
  CHECK(report.pid == keeper.workers.at(id).pid);
  CHECK(report.status == 7 << 8);
  CHECK(report.restarts == 1);
  CHECK(report.last_lines == std::vector<std::string>{"last words"});
  CHECK(report.in_flight.unread == 1);
  CHECK(report.in_flight.requests.at(0).path == "/boom");
  CHECK(shown.has("crash report 1: in flight for 12 ms: GET /boom (request id 4b6f)"));
  CHECK(shown.count("crash report 1: stderr: last words") == 1);
  // The second time the same words are not told again; an answer for nobody is ignored.
  std::uint64_t second = die(rig, 7 << 8);
  rig.until([&] { return keeper.asked_in_flight.size() == 2; });
  keeper.proxy_tells_in_flight(id, {});
  keeper.proxy_tells_in_flight(second, {});
  rig.until([&] { return shown.has("crash report 2: stderr: the same as in crash report 1"); });
}

TEST_CASE("a restart does not wait for the report, nor the report for ever for the proxy") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  die(rig, SIGKILL);
  rig.until([&] { return keeper.spawned.size() == 2; });
  CHECK(saved(keeper).at(0).known == InFlightKnown::asked);
  rig.until([&] { return saved(keeper).at(0).known != InFlightKnown::asked; });
  CHECK(saved(keeper)[0].known == InFlightKnown::no_answer);
}

TEST_CASE("when the proxy dies with the question, or there is none, the list is not known") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  SECTION("it dies") {
    die(rig, SIGKILL);
    rig.until([&] { return !keeper.asked_in_flight.empty(); });
    keeper.restart_proxy();
    rig.until([&] { return saved(keeper).at(0).known != InFlightKnown::asked; });
    CHECK(saved(keeper)[0].known == InFlightKnown::proxy_died);
  }
  SECTION("its channel is closed") {
    rig.until([&] { return keeper.ready() == 1; });
    keeper.close_proxy_channel();
    rig.until([&] { return !keeper.killed_proxies.empty(); });
    keeper.exit(keeper.upstream(0)->id, SIGKILL);
    rig.until([&] { return !saved(keeper).empty() && saved(keeper)[0].known != InFlightKnown::asked; });
    CHECK(saved(keeper)[0].known == InFlightKnown::no_proxy);
  }
}

TEST_CASE("a proxy that tells more than it may loses its channel") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  std::uint64_t id = die(rig, SIGKILL);
  rig.until([&] { return !keeper.asked_in_flight.empty(); });
  keeper.proxy_tells_in_flight(id, {1, 0, {{"GET", std::string(ipc::kPathMax + 1, 'x'), false, "", 1ms, false}}});
  rig.until([&] { return !keeper.killed_proxies.empty(); });
}

TEST_CASE("a death that was asked for is no crash") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 1; });
  keeper.signal(SIGQUIT);
  rig.until([&] { return keeper.exit_code.has_value(); });
  CHECK(keeper.asked_in_flight.empty());
  CHECK(saved(keeper).empty());
}

TEST_CASE("a worker that never served is not asked about") {
  ScratchDir dir;
  Rig rig(sample(dir, 1));
  FakeKeeper& keeper = *rig.keeper;
  keeper.play = FakeKeeper::Play::dies;
  rig.start();
  rig.until([&] { return keeper.saved && saved(keeper).size() == kCrashReportsPerApp; });
  rig.until([&] { return saved(keeper).front().number > 2; });  // the oldest make room
  CHECK(saved(keeper).size() == kCrashReportsPerApp);
  CHECK(saved(keeper).back().known == InFlightKnown::never_served);
  CHECK(saved(keeper).back().last_lines == std::vector<std::string>{"no database"});
  CHECK(keeper.asked_in_flight.empty());
}

TEST_CASE("reports outlive their supervisor, told or not, and so does the count of what ran out of memory") {
  ScratchDir dir;
  std::string state;
  std::uint64_t id = 0;
  {
    Rig rig(sample(dir, 1));
    rig.start();
    FakeKeeper& keeper = *rig.keeper;
    id = die(rig, SIGABRT);
    rig.until([&] { return keeper.saved && saved(keeper).size() == 1; });
    state = keeper.saved_bytes;
    rig.role.reset();
  }
  log::configure({"", log::Level::info, false});
  config::Loaded loaded = sample(dir, 1);
  loaded.config.log_level = log::Level::info;
  Rig rig(std::move(loaded), 2);
  FakeKeeper& keeper = *rig.keeper;
  keeper.earlier_state = state;
  Stderr shown(dir);
  rig.start();
  rig.until([&] { return keeper.saved && !saved(keeper).empty(); });
  REQUIRE(saved(keeper).size() == 1);
  CHECK(saved(keeper)[0].number == 1);
  CHECK(saved(keeper)[0].spawn_id == id);
  CHECK(saved(keeper)[0].known == InFlightKnown::supervisor_died);
  CHECK(shown.has("crash report 1: web.0"));
  CHECK(shown.has("in flight: not known, the supervisor has died, too"));
  CHECK(shown.has("1 crash reports are kept, the last of them number 1: web.0"));
  die(rig, SIGABRT);
  rig.until([&] { return saved(keeper).size() == 2; });
  CHECK(saved(keeper)[1].number == 2);
  log::configure({"", static_cast<log::Level>(9), false});
}

TEST_CASE("the kernel's count of out-of-memory kills is asked at a death by SIGKILL") {
  ScratchDir dir;
  std::string root = dir.path() + "/root";
  auto count = [&](int kills) {
    std::filesystem::create_directories(root + "/proc");
    std::ofstream(root + "/proc/vmstat") << "oom_kill " << kills << "\n";
  };
  count(4);
  Rig rig(sample(dir, 1));
  rig.outside.root = root;
  rig.start();
  FakeKeeper& keeper = *rig.keeper;
  rig.until([&] { return keeper.ready() == 1; });
  count(5);
  die(rig, SIGKILL);
  rig.until([&] { return saved(keeper).size() == 1; });
  CHECK(saved(keeper)[0].out_of_memory == OutOfMemory::machine);
  die(rig, SIGKILL);
  rig.until([&] { return saved(keeper).size() == 2; });
  CHECK(saved(keeper)[1].out_of_memory == OutOfMemory::no);
}
