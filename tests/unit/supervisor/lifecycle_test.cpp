// The life of a worker as tables: no process, no loop, no sleep.
#include "rota/supervisor/lifecycle.h"

#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <map>

#include "rota/base/clock.h"

using namespace rota;
using namespace rota::supervisor;

namespace {

// A slot with a fake clock and the policy's defaults.
struct Rig {
  FakeClock clock;
  Policy policy;
  Surroundings around;
  Lifecycle life;

  Actions on(const Event& event) { return step(life, policy, around, event, clock.now()); }
  Actions after(Duration wait, const Event& event) {
    clock.advance(wait);
    return on(event);
  }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(life.state);
  }
  // Moves the clock to the deadline and tells it.
  Actions expire() {
    auto deadline = deadline_of(life);
    REQUIRE(deadline);
    if (*deadline > clock.now()) clock.advance(std::chrono::duration_cast<Duration>(*deadline - clock.now()));
    return on(Deadline{});
  }
  void start(int pid = 100) {
    if (is<Stopped>()) on(WantedChanged{});
    if (!waits_for_permit(life)) expire();
    REQUIRE(on(Permit{}).spawn);
    on(Spawned{pid});
    REQUIRE(is<Starting>());
  }
  void make_ready(int pid = 100) {
    start(pid);
    on(CheckPassed{});
    REQUIRE(is<Ready>());
  }
  Actions want_stopped() {
    around.desired.run = false;
    return on(WantedChanged{});
  }
  Duration backoff() const {
    const auto* state = std::get_if<Backoff>(&life.state);
    REQUIRE(state != nullptr);
    return std::chrono::duration_cast<Duration>(state->until - clock.now());
  }
};

int exit_status(int code) { return code << 8; }

bool says(const Actions& actions, const std::string& words) {
  for (const Note& note : actions.notes) {
    if (note.text.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a worker starts, proves itself and takes part") {
  Rig rig;
  REQUIRE(rig.is<Stopped>());
  rig.on(WantedChanged{});
  REQUIRE(waits_for_permit(rig.life));
  REQUIRE_FALSE(deadline_of(rig.life));
  Actions spawn = rig.on(Permit{});
  REQUIRE(spawn.spawn);
  REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::waiting);
  REQUIRE(checks_of(rig.life) == Checks::readiness);
  REQUIRE(says(rig.on(Spawned{123}), "started (pid 123)"));
  REQUIRE(says(rig.after(153ms, CheckPassed{}), "ready after 153 ms"));
  REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::ready);
  REQUIRE(checks_of(rig.life) == Checks::health);
  REQUIRE_FALSE(deadline_of(rig.life));
}

TEST_CASE("a worker that was ready for ten seconds is replaced at once") {
  Rig rig;
  rig.make_ready();
  Actions actions = rig.after(12s, Exited{SIGKILL});
  REQUIRE(says(actions, "exited: signal 9 (KILL) after 12 s; restarting now"));
  REQUIRE(actions.process_gone);
  REQUIRE_FALSE(actions.notes.back().quote_stderr);
  REQUIRE(waits_for_permit(rig.life));
  REQUIRE_FALSE(phase_of(rig.life));
  REQUIRE(rig.life.restarts == 1);
  REQUIRE(rig.life.failures == 0);
}

TEST_CASE("a restart storm slows down to the longest delay and never ends") {
  Rig rig;
  const std::vector<Duration> expected = {250ms, 500ms, 1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s};
  std::uint32_t count = 0;
  for (Duration delay : expected) {
    rig.start();
    Actions actions = rig.after(80ms, Exited{exit_status(1)});
    count++;
    INFO("life " << count);
    REQUIRE(rig.backoff() == delay);
    REQUIRE(says(actions, "exited: exit code 1 after 80 ms, before it was ready"));
    REQUIRE(actions.notes.back().quote_stderr);
    REQUIRE(crash_looping(rig.life) == (count >= kCrashLoopAfter));
  }
  for (int i = 0; i < 1000; i++) {
    rig.start();
    rig.on(Exited{exit_status(1)});
    REQUIRE(rig.backoff() == 30s);
  }
  // What it waited for is there again: one good life ends the loop.
  rig.make_ready();
  rig.after(61s, Exited{exit_status(1)});
  REQUIRE(waits_for_permit(rig.life));
  REQUIRE_FALSE(crash_looping(rig.life));
}

TEST_CASE("the delay is spread by a fifth either way") {
  config::Restart restart;
  REQUIRE(restart_delay(restart, 1, 0.0) == 200ms);
  REQUIRE(restart_delay(restart, 1, 0.5) == 250ms);
  REQUIRE(restart_delay(restart, 1, 1.0) == 300ms);
  REQUIRE(restart_delay(restart, 4'000'000'000U, 0.5) == 30s);
  restart.delay = 0ms;
  REQUIRE(restart_delay(restart, 4'000'000'000U, 1.0) == 0ms);
  restart.delay = 10s;
  restart.max_delay = 1s;
  REQUIRE(restart_delay(restart, 1, 0.5) == 1s);
}

TEST_CASE("a flapping worker is throttled although it becomes ready each time") {
  Rig rig;
  for (std::uint32_t i = 1; i <= kCrashLoopAfter; i++) {
    rig.make_ready();
    Actions actions = rig.after(2s, Exited{SIGSEGV});
    REQUIRE(rig.life.failures == i);
    REQUIRE(rig.backoff() > 0ms);
    if (i == kCrashLoopAfter) REQUIRE(actions.notes.back().level == log::Level::error);
  }
  REQUIRE(crash_looping(rig.life));
  // Long enough to be replaced at once, too short to be forgiven.
  rig.make_ready();
  Actions longer = rig.after(30s, Exited{SIGSEGV});
  REQUIRE(says(longer, "restarting now"));
  REQUIRE(longer.notes.back().level == log::Level::warning);
  REQUIRE(waits_for_permit(rig.life));
  REQUIRE(rig.life.failures == kCrashLoopAfter);
  rig.make_ready();
  rig.after(60s, Exited{SIGSEGV});
  REQUIRE(rig.life.failures == 0);
}

TEST_CASE("a stop drains, signals the leader once, waits and kills the group") {
  Rig rig;
  rig.make_ready();
  Actions stop = rig.want_stopped();
  REQUIRE(stop.kills.empty());
  REQUIRE(rig.is<Draining>());
  REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::draining);
  SECTION("drained by the proxy") {
    Actions drained = rig.after(2s, Drained{});
    REQUIRE(drained.kills.size() == 1);
    REQUIRE(drained.kills[0].number == SIGTERM);
    REQUIRE_FALSE(drained.kills[0].group);
    REQUIRE(rig.on(Drained{}).kills.empty());
    REQUIRE(rig.on(WantedChanged{}).kills.empty());
    Actions ended = rig.after(120ms, Exited{exit_status(0)});
    REQUIRE(ended.process_gone);
    REQUIRE(rig.is<Stopped>());
    REQUIRE(rig.life.restarts == 0);
  }
  SECTION("requests that do not end") {
    TimePoint before = rig.clock.now();
    Actions given_up = rig.expire();
    REQUIRE(rig.clock.now() - before == 30s);
    REQUIRE(given_up.kills.size() == 1);
    Actions killed = rig.expire();
    REQUIRE(rig.clock.now() - before == 40s);
    REQUIRE(killed.kills.size() == 1);
    REQUIRE(killed.kills[0].number == SIGKILL);
    REQUIRE(killed.kills[0].group);
    REQUIRE(rig.is<Killing>());
    REQUIRE(says(rig.expire(), "still there 10 s after SIGKILL"));
    REQUIRE(rig.is<Killing>());
    rig.on(Exited{SIGKILL});
    REQUIRE(rig.is<Stopped>());
  }
  SECTION("death during the drain is the end that was wanted") {
    Actions ended = rig.on(Exited{SIGSEGV});
    REQUIRE(rig.is<Stopped>());
    REQUIRE(ended.notes.back().level == log::Level::warning);
  }
  SECTION("wanted again before it is gone") {
    rig.around.desired.run = true;
    REQUIRE(rig.on(WantedChanged{}).kills.empty());
    REQUIRE(rig.on(Drained{}).kills.size() == 1);
    rig.on(Exited{SIGTERM});
    REQUIRE(waits_for_permit(rig.life));
    REQUIRE(rig.life.failures == 0);
  }
  SECTION("the end of all things comes nearer while it drains") {
    rig.around.desired.drain = false;
    rig.around.desired.kill_by = rig.clock.now() + 2s;
    REQUIRE(rig.on(WantedChanged{}).kills.at(0).number == SIGTERM);
    REQUIRE(deadline_of(rig.life) == rig.clock.now() + 2s);
    rig.around.desired.kill_by = rig.clock.now();
    REQUIRE(rig.on(WantedChanged{}).kills.at(0).number == SIGKILL);
  }
}

TEST_CASE("a stop finds a worker in any state") {
  Rig rig;
  SECTION("waiting") {
    rig.on(WantedChanged{});
    rig.want_stopped();
    REQUIRE(rig.is<Stopped>());
    REQUIRE_FALSE(rig.on(Permit{}).spawn);
  }
  SECTION("starting, before the process is confirmed") {
    rig.on(WantedChanged{});
    rig.on(Permit{});
    REQUIRE(rig.want_stopped().kills.size() == 1);
    rig.on(Spawned{7});
    REQUIRE(process_of(rig.life)->pid == 7);
    REQUIRE(rig.on(CheckPassed{}).notes.empty());
    rig.on(Exited{SIGTERM});
    REQUIRE(rig.is<Stopped>());
  }
  SECTION("unhealthy: what is in flight still ends") {
    rig.make_ready();
    rig.on(CheckFailed{CheckFailure::gone, "nothing listens"});
    REQUIRE(rig.is<Unhealthy>());
    rig.want_stopped();
    REQUIRE(rig.is<Draining>());
  }
  SECTION("without a drain") {
    rig.make_ready();
    rig.around.desired.drain = false;
    REQUIRE(rig.want_stopped().kills.size() == 1);
    REQUIRE(rig.is<Stopping>());
  }
}

TEST_CASE("a program that cannot be executed is a short life with its reason") {
  Rig rig;
  SECTION("the trampoline ran: its exit decides") {
    rig.start();
    REQUIRE(rig.on(ExecFailed{"exec node: No such file or directory"}).notes.empty());
    Actions actions = rig.on(Exited{exit_status(127)});
    REQUIRE(
        says(actions, "did not start: exec node: No such file or directory (exit code 127); trying again in 250 ms"));
  }
  SECTION("fork failed: nothing else will come") {
    rig.on(WantedChanged{});
    rig.on(Permit{});
    Actions actions = rig.on(ExecFailed{"fork: Resource temporarily unavailable"});
    REQUIRE(actions.process_gone);
    REQUIRE(says(actions, "did not start: fork: Resource temporarily unavailable; trying again"));
  }
  REQUIRE(rig.backoff() == 250ms);
  REQUIRE_FALSE(rig.life.trouble.empty());
  // The next life is judged by what happens in it.
  rig.start();
  REQUIRE(says(rig.on(Exited{exit_status(3)}), "exited: exit code 3 after 0 ms, before it was ready"));
}

TEST_CASE("a program that goes into the background is told what is wrong with that") {
  Rig rig;
  rig.start();
  REQUIRE(says(rig.after(20ms, Exited{exit_status(0)}), "before it was ready; a worker must stay in the foreground"));
  rig.make_ready();
  REQUIRE_FALSE(says(rig.after(20ms, Exited{exit_status(0)}), "foreground"));
}

TEST_CASE("where a worker listens instead is said when nobody listens where it should") {
  Rig rig;
  rig.start();
  rig.on(CheckFailed{CheckFailure::gone, "nothing listens on its socket"});
  REQUIRE(rig.expire().explain_not_listening);
}

TEST_CASE("a worker whose socket is not there is looked at after a while, and then ever less often") {
  Rig rig;
  rig.start();
  CheckFailed gone{CheckFailure::gone, "nothing listens on its socket"};
  std::vector<Duration> looks;
  for (Duration age{0}; age < 60s; age += 500ms) {
    if (rig.on(gone).look_where_it_listens) looks.push_back(age);
    rig.clock.advance(500ms);
  }
  REQUIRE(looks == std::vector<Duration>{3s, 6s, 12s, 24s, 48s});
}

TEST_CASE("a worker that answers on its socket is not suspected of listening elsewhere") {
  Rig rig;
  rig.start();
  rig.clock.advance(10s);
  REQUIRE_FALSE(rig.on(CheckFailed{CheckFailure::status, "GET /healthz answers 503"}).look_where_it_listens);
}

TEST_CASE("a worker that is not ready in time is stopped and counted") {
  Rig rig;
  rig.start();
  TimePoint before = rig.clock.now();
  rig.on(CheckFailed{CheckFailure::status, "GET /healthz answers 503"});
  Actions late = rig.expire();
  REQUIRE(rig.clock.now() - before == 60s);
  REQUIRE_FALSE(late.explain_not_listening);  // it does
  REQUIRE(late.kills.size() == 1);
  REQUIRE(rig.is<Stopping>());
  rig.expire();
  REQUIRE(rig.is<Killing>());
  REQUIRE(says(rig.on(Exited{SIGKILL}),
               "did not start: not ready within 60 s: GET /healthz answers 503 (signal 9 (KILL))"));
  REQUIRE(rig.life.failures == 1);
  REQUIRE(rig.is<Backoff>());
}

TEST_CASE("checks that fail take a worker out of rotation and back") {
  Rig rig;
  rig.policy.healthy_after = 2;
  rig.around.may_eject = true;
  rig.make_ready();
  CheckFailed failed{CheckFailure::timeout, "GET /healthz: no answer within 2 s"};
  rig.on(failed);
  rig.on(failed);
  rig.on(CheckPassed{});
  rig.on(failed);
  rig.on(failed);
  REQUIRE(rig.is<Ready>());
  REQUIRE(says(rig.on(failed), "out of rotation: GET /healthz: no answer within 2 s"));
  REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::waiting);
  rig.on(CheckPassed{});
  rig.on(failed);
  rig.on(CheckPassed{});
  REQUIRE(rig.is<Unhealthy>());
  rig.on(CheckPassed{});
  REQUIRE(rig.is<Ready>());
}

TEST_CASE("the last worker that answers is never ejected, and that is said once") {
  Rig rig;
  rig.make_ready();
  CheckFailed failed{CheckFailure::status, "GET /healthz answers 503"};
  int said = 0;
  for (int i = 0; i < 10; i++) said += says(rig.on(failed), "it stays in rotation") ? 1 : 0;
  REQUIRE(said == 1);
  REQUIRE(rig.is<Ready>());
  // Another one is well again: the next failure ejects.
  rig.around.may_eject = true;
  rig.on(failed);
  REQUIRE(rig.is<Unhealthy>());
}

TEST_CASE("a proxy that cannot connect has the worker checked at once, and a socket nobody listens on ejects it") {
  Rig rig;
  rig.make_ready();
  REQUIRE(rig.on(ConnectFailed{}).check_now);
  rig.on(CheckFailed{CheckFailure::gone, "nothing listens on its socket"});
  REQUIRE(rig.is<Unhealthy>());
  REQUIRE_FALSE(rig.on(ConnectFailed{}).check_now);
}

TEST_CASE("a row of failed checks is remembered until a good one, in rotation and out of it") {
  Rig rig;
  rig.policy.healthy_after = 2;
  rig.make_ready();
  TimePoint begun = rig.clock.now();
  REQUIRE(passes_checks(rig.life));
  REQUIRE(failing_of(rig.life) == nullptr);
  rig.on(CheckFailed{CheckFailure::status, "GET / answers 500"});
  rig.after(5s, CheckFailed{CheckFailure::timeout, "no answer"});
  rig.around.may_eject = true;
  rig.after(5s, CheckFailed{CheckFailure::gone, "nothing listens"});
  REQUIRE(rig.is<Unhealthy>());
  rig.after(5s, CheckFailed{CheckFailure::gone, "nothing listens"});
  const Failing* failing = failing_of(rig.life);
  REQUIRE(failing != nullptr);
  REQUIRE(failing->checks == 4);
  REQUIRE(failing->silent_checks == 3);
  REQUIRE(failing->since == begun);
  REQUIRE(failing->silent_since == begun + 5s);
  REQUIRE(failing->last_at == begun + 15s);
  REQUIRE(failing->text == "nothing listens");
  // Any answer ends the silence; only a good one ends the row, and one is enough for that.
  rig.after(5s, CheckFailed{CheckFailure::broken, "no HTTP answer"});
  REQUIRE(failing_of(rig.life)->silent_checks == 0);
  REQUIRE(failing_of(rig.life)->checks == 5);
  rig.on(CheckPassed{});
  REQUIRE(rig.is<Unhealthy>());
  REQUIRE(failing_of(rig.life) == nullptr);
  rig.after(5s, CheckFailed{CheckFailure::timeout, "no answer"});
  REQUIRE(failing_of(rig.life)->since == begun + 25s);
}

TEST_CASE("what proves a worker ready may be less than a good check") {
  Rig rig;
  rig.start();
  rig.on(CheckPassed{false});
  REQUIRE(rig.is<Ready>());
  REQUIRE_FALSE(passes_checks(rig.life));
  REQUIRE(failing_of(rig.life) == nullptr);
  rig.on(CheckPassed{});
  REQUIRE(passes_checks(rig.life));
}

TEST_CASE("when all fail together, those that answer come back into rotation, and those that do not stay out") {
  for (CheckFailure failure : {CheckFailure::status, CheckFailure::broken, CheckFailure::timeout, CheckFailure::gone}) {
    Rig rig;
    rig.make_ready();
    rig.around.may_eject = true;
    for (int i = 0; i < 3; i++) rig.on(CheckFailed{failure, "it fails"});
    REQUIRE(rig.is<Unhealthy>());
    bool answers = !is_silence(failure);
    Actions actions = rig.on(Recalled{});
    REQUIRE(rig.is<Ready>() == answers);
    REQUIRE(says(actions, "back in rotation") == answers);
    if (!answers) continue;
    REQUIRE_FALSE(passes_checks(rig.life));
    REQUIRE(failing_of(rig.life)->checks == 3);
    rig.around.may_eject = false;
    REQUIRE(rig.on(CheckFailed{failure, "it fails"}).notes.empty());  // which has been said
    REQUIRE(rig.is<Ready>());
    // Another one is well again.
    rig.around.may_eject = true;
    rig.on(CheckFailed{failure, "it fails"});
    REQUIRE(rig.is<Unhealthy>());
  }
}

TEST_CASE("a worker that is replaced for a reason has it told at its end") {
  Rig rig;
  rig.make_ready();
  REQUIRE(rig.on(Unfit{"checks timed out for 60 s"}).notes.empty());
  REQUIRE(rig.is<Ready>());
  rig.want_stopped();
  REQUIRE(rig.is<Draining>());
  rig.expire();
  REQUIRE(says(rig.expire(), "did not end on signal 15 (TERM); killing it (checks timed out for 60 s)"));
  REQUIRE(says(rig.on(Exited{SIGKILL}), "stopped: signal 9 (KILL) after 40 s (checks timed out for 60 s)"));
  REQUIRE(rig.is<Stopped>());
}

TEST_CASE("an adopted worker keeps its place and is checked") {
  Rig rig;
  Process process{55, rig.clock.now() - 30s, rig.clock.now() - 29s, ""};
  SECTION("in rotation") {
    REQUIRE(rig.on(Adopted{Ready{process}}).check_now);
    REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::ready);
    rig.on(Exited{SIGKILL});
    REQUIRE(waits_for_permit(rig.life));
  }
  SECTION("still starting: its time goes on from its own start") {
    process.ready_at.reset();
    rig.on(Adopted{Starting{process, {}, {}, false}});
    REQUIRE(deadline_of(rig.life) == rig.clock.now() + 30s);
  }
  SECTION("still starting and late: it is looked at before it is judged") {
    process.ready_at.reset();
    process.started = rig.clock.now() - 2h;
    rig.on(Adopted{Starting{process, {}, {}, false}});
    REQUIRE(deadline_of(rig.life) == rig.clock.now() + kAdoptedStartMin);
    REQUIRE(rig.on(CheckPassed{}).kills.empty());
    REQUIRE(rig.is<Ready>());
  }
  SECTION("unhealthy: it stays out of rotation until a check passes") {
    REQUIRE(rig.on(Adopted{Unhealthy{process}}).check_now);
    REQUIRE(phase_of(rig.life) == ipc::UpstreamPhase::waiting);
    REQUIRE_FALSE(deadline_of(rig.life));
    rig.on(CheckPassed{});
    REQUIRE(rig.is<Ready>());
  }
  SECTION("stopping: no second signal, its own deadline, and its exit was asked for") {
    TimePoint kill_at = rig.clock.now() + 3s;
    REQUIRE(rig.on(Adopted{Stopping{process, kill_at}}).kills.empty());
    REQUIRE(deadline_of(rig.life) == kill_at);
    rig.around.desired.run = false;
    REQUIRE(rig.on(WantedChanged{}).kills.empty());
    rig.on(Exited{0});
    REQUIRE(rig.is<Stopped>());
    REQUIRE(rig.life.restarts == 0);
  }
  SECTION("a delay goes on") {
    rig.on(Adopted{Backoff{rig.clock.now() + 2s, false}});
    rig.on(WantedChanged{});
    REQUIRE(deadline_of(rig.life) == rig.clock.now() + 2s);
    REQUIRE_FALSE(waits_for_permit(rig.life));
  }
  SECTION("vanished without a record: started again without blame") {
    rig.on(Adopted{Ready{process}});
    REQUIRE(rig.on(Vanished{}).process_gone);
    REQUIRE(waits_for_permit(rig.life));
    REQUIRE(rig.life.failures == 0);
  }
}

TEST_CASE("every event in every state is survived and leaves a state that can go on") {
  std::vector<std::pair<std::string, Rig>> states;
  auto add = [&](const std::string& name, auto prepare) {
    Rig rig;
    prepare(rig);
    states.emplace_back(name, rig);
  };
  add("stopped", [](Rig&) {});
  add("due", [](Rig& r) { r.on(WantedChanged{}); });
  add("backoff", [](Rig& r) {
    r.start();
    r.on(Exited{0});
  });
  add("unconfirmed", [](Rig& r) {
    r.on(WantedChanged{});
    r.on(Permit{});
  });
  add("starting", [](Rig& r) { r.start(); });
  add("ready", [](Rig& r) { r.make_ready(); });
  add("unhealthy", [](Rig& r) {
    r.make_ready();
    r.on(CheckFailed{CheckFailure::gone, ""});
  });
  add("draining", [](Rig& r) {
    r.make_ready();
    r.want_stopped();
  });
  add("stopping", [](Rig& r) {
    r.make_ready();
    r.want_stopped();
    r.on(Drained{});
  });
  add("late", [](Rig& r) {
    r.start();
    r.expire();
  });
  add("killing", [](Rig& r) {
    r.make_ready();
    r.want_stopped();
    r.on(Drained{});
    r.expire();
  });

  const std::vector<Event> events = {WantedChanged{},
                                     Permit{},
                                     Spawned{9},
                                     ExecFailed{"exec"},
                                     Exited{SIGKILL},
                                     CheckPassed{},
                                     CheckFailed{CheckFailure::gone, ""},
                                     CheckFailed{CheckFailure::timeout, ""},
                                     ConnectFailed{},
                                     Drained{},
                                     Deadline{},
                                     Adopted{},
                                     Vanished{},
                                     Unfit{"checks timed out"},
                                     Recalled{}};
  for (const auto& [name, prepared] : states) {
    for (std::size_t first = 0; first < events.size(); first++) {
      for (std::size_t second = 0; second < events.size(); second++) {
        for (int mode = 0; mode < 4; mode++) {
          Rig rig = prepared;
          rig.around.may_eject = (mode & 1) != 0;
          if ((mode & 2) != 0) {
            rig.around.desired.run = !rig.around.desired.run;
          }
          INFO(name << " with events " << first << ", " << second << " in mode " << mode);
          for (const Event& event : {events[first], events[second]}) {
            bool had_process = process_of(rig.life) != nullptr;
            Actions actions = rig.after(1ms, event);
            // What holds whatever happens:
            REQUIRE(actions.process_gone == (had_process && process_of(rig.life) == nullptr));
            REQUIRE(actions.spawn == (!had_process && std::holds_alternative<Permit>(event) && rig.is<Starting>()));
            REQUIRE((actions.kills.empty() || had_process));
            REQUIRE(phase_of(rig.life).has_value() == (process_of(rig.life) != nullptr));
            if (checks_of(rig.life) != Checks::none) REQUIRE(process_of(rig.life) != nullptr);
          }
          // Nothing is stuck: told that it is wanted (or not) and that its process died, it starts (or rests).
          if (process_of(rig.life) != nullptr) rig.on(Exited{0});
          rig.on(WantedChanged{});
          if (rig.around.desired.run) {
            if (!waits_for_permit(rig.life)) rig.expire();
            REQUIRE(rig.on(Permit{}).spawn);
          } else {
            REQUIRE(rig.is<Stopped>());
          }
        }
      }
    }
  }
}

TEST_CASE("durations are told as people tell them") {
  REQUIRE(describe_duration(153ms) == "153 ms");
  REQUIRE(describe_duration(1234ms) == "1.2 s");
  REQUIRE(describe_duration(2s) == "2 s");
  REQUIRE(describe_duration(9999ms) == "10.0 s");
  REQUIRE(describe_duration(12s) == "12 s");
  REQUIRE(describe_duration(200s) == "3 min 20 s");
  REQUIRE(describe_duration(5h + 10min) == "5 h 10 min");
}

TEST_CASE("a death deserves a report when nobody had asked for it, or when something was wrong") {
  Rig rig;
  SECTION("by itself, ready") {
    rig.make_ready();
    Actions actions = rig.after(3s, Exited{SIGSEGV});
    REQUIRE(actions.death);
    REQUIRE(actions.death->status == SIGSEGV);
    REQUIRE(actions.death->served);
    REQUIRE_FALSE(actions.death->killed);
    REQUIRE(actions.death->uptime >= 3s);
    REQUIRE(actions.death->failure.empty());
  }
  SECTION("by itself, before it was ready") {
    rig.start();
    Actions actions = rig.after(1s, Exited{exit_status(0)});
    REQUIRE(actions.death);
    REQUIRE_FALSE(actions.death->served);
  }
  SECTION("a program that was never executed") {
    rig.start();
    rig.on(ExecFailed{"no such program"});
    REQUIRE_FALSE(rig.after(1ms, Exited{exit_status(127)}).death);
  }
  SECTION("killed because it did not become ready") {
    rig.start();
    rig.after(61s, Deadline{});
    rig.after(11s, Deadline{});
    Actions actions = rig.after(1ms, Exited{SIGKILL});
    REQUIRE(actions.death);
    REQUIRE(actions.death->killed);
    REQUIRE(actions.death->failure.starts_with("not ready within"));
  }
  SECTION("stopped as asked") {
    rig.make_ready();
    rig.around.desired.run = false;
    rig.on(WantedChanged{});
    SECTION("after it had drained") {
      rig.on(Drained{});
      REQUIRE_FALSE(rig.after(1s, Exited{SIGTERM}).death);
    }
    SECTION("cleanly while it drains") { REQUIRE_FALSE(rig.after(1s, Exited{exit_status(0)}).death); }
    SECTION("by a crash while it drains") { REQUIRE(rig.after(1s, Exited{SIGSEGV}).death); }
  }
}
