"""A machine in trouble: system calls fail by chance, in every role, under load. Requests may fail then; nothing may crash,
hang, leak or be executed twice, and when the trouble is over everything is as before. (tests/support/faults.cpp; that
short counts, EINTR and EAGAIN change nothing at all is shown by whole suites: ctest -C Faults -L faults.)"""
import os
import signal
import time

import faults
import rota_testing
from load import Load, assert_each_once, post_log_app
from rota_testing import RELEASE, RotaCase, wait_for

rota_testing.ROTA = str(faults.binary(rota_testing.ROTA))
SECONDS = 5 if RELEASE else 2
ROLES = ("keeper", "supervisor", "proxy")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Trouble(RotaCase):
    def setUp(self):
        self.settings = self.folder / "faults"
        faults.write(self.settings)

    def serve_posts(self, threads):
        # A worker that took half of a request and no more is given up when its time is over.
        app = post_log_app(self, 3, timeouts={"response": "3s", "idle": "3s"})
        daemon = self.start("run", "-c", self.write_config({"web": app}, threads=threads),
                            environment=faults.environment(self.settings))
        daemon.wait_workers(3)
        return daemon

    def roles(self, daemon):
        return {"keeper": daemon.pid, **{role: daemon.role(role).pid for role in ROLES[1:]}}

    def held(self, daemon):
        return {role: descriptors(pid) for role, pid in self.roles(daemon).items()}

    def calm(self, daemon):
        """Everything is answered, and nothing is held that was not held before."""
        with Load(self, daemon, 8) as load:
            result = load.stop()
        return result["failures"] == [] and result["refused"] == 0

    def trouble(self, kinds, per_mille, seed, threads):
        daemon = self.serve_posts(threads)
        with Load(self, daemon, 16) as load:
            load.stop()
        wait_for(lambda: self.calm(daemon), 20, "a calm start")
        pids, before = self.roles(daemon), self.held(daemon)
        load = Load(self, daemon, 16).under_way()
        faults.write(self.settings, kinds, per_mille, seed)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for worker in daemon.workers("post_log_worker")[:1]:
                os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.5)
        faults.write(self.settings)
        result = load.stop()
        self.assertIsNone(daemon.process.poll(), "the daemon ended")
        self.assertEqual([f for f in result["failures"] if f["what"] == "slow"], [], "nothing hangs")
        wait_for(lambda: len(daemon.wait_workers(3)) == 3 and self.calm(daemon), 40, "recovery")
        assert_each_once(self, load)
        after = wait_for(lambda: (held := self.held(daemon)) and all(held[r] <= before[r] + 4 for r in held) and held, 20,
                         f"descriptors as before: {before}, now {self.held(daemon)}")
        restarted = [role for role, pid in self.roles(daemon).items() if pids[role] != pid]
        print(f"\nmeasured: {'+'.join(kinds)} at {per_mille} per mille, seed {seed}, {threads} threads: {result['failed']} failed of "
              f"{result['get'] + result['post'] + result['failed']}, restarted {restarted or 'nothing'}, descriptors {before} -> {after}",
              flush=True)
        daemon.stop()
        return restarted

    def test_no_descriptors(self):
        self.assertEqual(self.trouble(["descriptors"], 30, 1, threads=1), [])

    def test_no_memory(self):
        self.assertEqual(self.trouble(["memory"], 30, 2, threads=2), [])

    def test_connections_that_break(self):
        self.assertEqual(self.trouble(["reset"], 20, 3, threads=1), [])

    def test_all_of_it_with_the_harmless_ones(self):
        self.assertEqual(self.trouble(faults.HARMFUL + faults.HARMLESS, 20, 4, threads=2), [])

    def test_a_start_in_trouble_ends_with_a_reason_or_serves(self):
        for seed in range(8 if RELEASE else 3):
            with self.subTest(seed=seed):
                faults.write(self.settings, ("descriptors", "memory"), 30, seed)
                daemon = self.start("run", "-c", self.write_config({"web": self.hello(2)}),
                                    environment=faults.environment(self.settings))
                def known():
                    return daemon.process.poll() is not None or "listening on" in daemon.log
                wait_for(known, 30, "a start or a reason")
                faults.write(self.settings)
                if daemon.process.poll() is None:
                    daemon.wait_workers(2)
                    daemon.stop()
                else:
                    # 78 where the file could not be opened.
                    self.assertIn(daemon.process.returncode, (69, 71, 73, 78), daemon.log)
                    self.assertIn("error", daemon.log)
                    daemon.assert_nothing_left()


if __name__ == "__main__":
    rota_testing.main()
