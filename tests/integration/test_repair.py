"""Workers that live and do not serve: one that does not answer is replaced, one that answers errors only while others are
well; when all fail together nobody is touched, and it is said."""
import os
import re
import signal

import rota_testing
from rota_testing import Load, RotaCase, wait_for

# What a machine under load may do to a worker for a moment must not look like an illness: six seconds of silence are one.
HEALTH = {"path": "/healthz", "interval": "200ms", "timeout": "2s", "unhealthy_after": 2, "repair_after": "3s"}
STOP = {"drain": "300ms", "grace": "300ms"}
LONG_ENOUGH = 25  # checks that fail at once: more than repair_after


def slots(events):
    return [e["slot"] for e in events]


class Repair(RotaCase):
    def app(self, workers, env=None, **health):
        return self.scripted(workers, env={"UNHEALTHY_GATE": "sick", **(env or {})}, health={**HEALTH, **health}, stop=STOP)

    def begin(self, workers, env=None, **health):
        daemon = self.serve({"web": self.app(workers, env, **health)})
        return daemon, daemon.wait_workers(workers)

    def hang(self, pid):
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.end, pid)

    def end(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait_replaced(self, daemon, slot, pid, why):
        daemon.wait_log(rf"web\.{slot} is replaced: {why}", 40)
        daemon.wait_log(rf"web\.{slot} has a new worker", 40)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 15, "the end of the old worker")

    def test_one_that_hangs_is_replaced_and_killed_and_no_request_is_lost(self):
        daemon, pids = self.begin(2)
        with Load(daemon.address) as load:
            self.hang(pids[1])
            self.wait_replaced(daemon, 1, pids[1], r"checks timed out for \d")
            load.goes_on()
        self.assertEqual(load.failed, [])
        daemon.wait_log(r"web\.1 \(leaving\) did not end on signal 15 \(TERM\); killing it \(checks timed out for [\d.]+ s\)")
        daemon.wait_log(r"web\.1 \(leaving\) stopped: signal 9 \(KILL\) after .* \(checks timed out for [\d.]+ s\)")
        now = daemon.wait_workers(2)
        self.assertEqual(now[0], pids[0])
        self.assertNotEqual(now[1], pids[1])
        started = slots(self.journal("started"))
        self.assertEqual(sorted(started[:2]) + started[2:], ["0", "1", "1"])
        daemon.stop()

    def test_one_that_answers_errors_is_replaced_while_another_is_well(self):
        daemon, pids = self.begin(2)
        with Load(daemon.address) as load:
            self.open_gate(f"sick-{pids[1]}")
            daemon.wait_log(r"web\.1 out of rotation: GET /healthz answers 503")
            self.wait_replaced(daemon, 1, pids[1], r"checks failed for [\d.]+ s: GET /healthz answers 503")
            load.goes_on()
        self.assertEqual(load.failed, [])
        now = daemon.wait_workers(2)
        self.assertEqual(now[0], pids[0])
        self.assertNotEqual(now[1], pids[1])
        self.assertNotIn("none of its", daemon.log)
        daemon.stop()

    def test_when_all_answer_errors_none_is_replaced_and_all_serve(self):
        # Whoever fails first is out of rotation for a moment: the others are still thought to be well.
        daemon, pids = self.begin(3, unhealthy_after=1)
        with Load(daemon.address) as load:
            self.open_gate("sick")
            daemon.wait_log(r"error: web: none of its 3 workers passes its checks: GET /healthz answers 503; something that all of "
                            r"them need may be down; none is replaced for that")
            for slot in "012":
                self.wait_journal("sick", LONG_ENOUGH, 30, slot=slot)
            self.assertEqual(daemon.wait_workers(3), pids, "all serve, and none is new")
            self.close_gate("sick")
            daemon.wait_log(r"info: web: \d of 3 workers pass their checks again, after [\d.]+ s")
            self.assertEqual(daemon.wait_workers(3), pids)
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual(len(re.findall(r"none of its 3 workers", daemon.log)), 1, "once, and again only after a minute")
        self.assertNotRegex(daemon.log, r"web\.\d is replaced")
        daemon.stop()

    def test_the_last_one_in_rotation_stays_there(self):
        daemon, pids = self.begin(2, {"SLOTS": "1"}, repair_after="1h")
        self.hang(pids[0])
        daemon.wait_log(r"web\.0 out of rotation: GET /healthz: no answer within 2 s")
        self.open_gate("sick")
        daemon.wait_log(r"web\.1 GET /healthz answers 503; it stays in rotation")
        daemon.wait_log(r"none of its 2 workers passes its checks: GET /healthz answers 503; .* only those that do not answer are")
        self.wait_journal("sick", LONG_ENOUGH, 30)
        with daemon.client() as client:
            for _ in range(20):
                self.assertEqual(client.get("/").text, f"1 {pids[1]}\n")
        os.kill(pids[0], signal.SIGCONT)
        daemon.wait_log(r"web\.0 passes its checks again; back in rotation")
        daemon.wait_log(r"web\.1 out of rotation: GET /healthz answers 503")
        daemon.stop()

    def test_a_socket_that_has_vanished_is_repaired(self):
        daemon, pids = self.begin(2)
        with Load(daemon.address) as load:
            (path,) = (self.folder / "run/web").glob("1-*.sock")
            path.unlink()
            daemon.wait_log(r"web\.1 out of rotation: nothing listens on its socket")
            self.wait_replaced(daemon, 1, pids[1], r"nothing has listened on its socket for \d")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual(daemon.wait_workers(2)[0], pids[0])
        daemon.stop()

    def test_two_that_hang_at_once_are_repaired_one_after_the_other(self):
        daemon, pids = self.begin(3)
        for slot in (1, 2):
            self.hang(pids[slot])
        for slot in (1, 2):
            self.wait_replaced(daemon, slot, pids[slot], "checks timed out for")
        steps = re.findall(r"web\.(\d) (is replaced|has a new worker)", daemon.log)
        self.assertEqual([what for _, what in steps], ["is replaced", "has a new worker"] * 2)
        self.assertEqual(steps[0][0], steps[1][0])
        self.assertEqual(steps[2][0], steps[3][0])
        self.assertEqual(daemon.wait_workers(3)[0], pids[0])
        daemon.stop()

    def test_the_only_worker_serves_until_a_new_one_does(self):
        """It hangs in its health check alone: whoever asks for something else is answered."""
        daemon, pids = self.begin(1, {"HANG_GATE": "stuck"})
        with Load(daemon.address) as load:
            self.open_gate(f"stuck-{pids[0]}")
            self.wait_replaced(daemon, 0, pids[0], "checks timed out for")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertNotEqual(daemon.wait_workers(1)[0], pids[0])
        daemon.stop()

    def test_a_repair_outlives_the_supervisor(self):
        app = self.app(2, {"LISTEN_GATE": "up"})
        self.open_gate("up")
        daemon = self.serve({"web": app})
        pids = daemon.wait_workers(2)
        self.close_gate("up")
        self.hang(pids[1])
        daemon.wait_log(r"web\.1 is replaced: ", 40)
        self.wait_journal("started", 3)
        os.kill(daemon.role("supervisor").pid, signal.SIGKILL)
        self.open_gate("up")
        daemon.wait_log(r"web\.1 is replaced: ", 40, count=2)
        wait_for(lambda: not os.path.exists(f"/proc/{pids[1]}"), 30, "the end of the old worker")
        self.assertEqual(daemon.wait_workers(2)[0], pids[0])
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
