"""The keeper is the one process that nothing survives: everything ends with it, at once, and the next start finds nothing
in its way."""
import os
import signal
import socket
import time

import processes
import rota_testing
from rota_testing import PATIENCE, RotaCase, wait_for


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        return other.getsockname()[1]


class KeeperDeath(RotaCase):
    def kill_keeper(self, daemon, also=()):
        daemon.tree()
        for pid in also:
            os.kill(pid, signal.SIGKILL)
        daemon.process.send_signal(signal.SIGKILL)
        self.assertEqual(daemon.wait(), -signal.SIGKILL)
        daemon.checked = True
        return time.monotonic()

    def all_end(self, daemon, killed, limit):
        """Zombies are the machine's process 1 to reap, in its own time."""
        wait_for(lambda: all(p.state == "Z" for p in daemon.left_processes()), limit, "the end of every process")
        return time.monotonic() - killed

    def test_workers_that_obey_end_at_once(self):
        daemon = self.serve({"web": self.scripted(4)})
        daemon.wait_workers(4)
        took = self.all_end(daemon, self.kill_keeper(daemon), 5)
        self.assertEqual(len(self.journal("term")), 4, "one TERM for each")
        print(f"\nmeasured: all ended {took:.2f} s after the keeper", flush=True)
        self.assertLess(took, 1.5 * PATIENCE)
        daemon.assert_nothing_left()

    def test_workers_that_do_not_and_their_children_end_soon(self):
        daemon = self.serve({"web": self.scripted(2, env={"IGNORE_TERM": "1", "GRANDCHILD": "1"})})
        daemon.wait_workers(2)
        self.wait_journal("grandchild", 2)
        took = self.all_end(daemon, self.kill_keeper(daemon), 8)
        print(f"\nmeasured: all ended {took:.2f} s after the keeper, workers that ignore TERM included", flush=True)
        daemon.assert_nothing_left()

    def test_a_grandchild_of_a_worker_that_obeys_ends_too(self):
        daemon = self.serve({"web": self.scripted(2, env={"GRANDCHILD": "1"})})
        daemon.wait_workers(2)
        self.wait_journal("grandchild", 2)
        self.all_end(daemon, self.kill_keeper(daemon), 8)
        daemon.assert_nothing_left()

    def test_the_next_start_may_follow_at_once(self):
        """With the same folder and the same port, while the last workers of the dead one still end."""
        top = {"listen": f"127.0.0.1:{free_port()}"}
        daemon = self.serve({"web": self.scripted(2, env={"IGNORE_TERM": "1"})}, **top)
        daemon.wait_workers(2)
        for _ in range(3):
            self.kill_keeper(daemon)
            began = time.monotonic()
            before, daemon = daemon, self.serve({"web": self.scripted(2, env={"IGNORE_TERM": "1"}, stop={"grace": "300ms"})}, **top)
            daemon.wait_workers(2)
            print(f"\nmeasured: serving again {time.monotonic() - began:.2f} s after the keeper's death", flush=True)
            self.all_end(before, began, 8)
            for _ in range(10):
                self.assertEqual(daemon.get("/").status, 200)
        daemon.stop()

    def test_when_the_supervisor_dies_too_what_obeys_ends(self):
        daemon = self.serve({"web": self.hello(3)})
        daemon.wait_workers(3)
        killed = self.kill_keeper(daemon, also=[daemon.role("supervisor").pid])
        self.all_end(daemon, killed, 5)
        daemon = self.serve({"web": self.hello(1)})
        daemon.wait_workers(1)
        daemon.stop()

    def test_just_after_a_supervisor_has_started(self):
        """Before it has heard of the workers it cannot end them: what ignores TERM then stays."""
        daemon = self.serve({"web": self.scripted(2, env={"IGNORE_TERM": "1"})})
        daemon.wait_workers(2)
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: (p := daemon.role("supervisor")) and p.pid != before, what="the next supervisor")
        daemon.wait_log("took over")
        self.all_end(daemon, self.kill_keeper(daemon), 8)

    def test_a_supervisor_that_is_given_up_ends_nothing(self):
        """Its channel ends as at the keeper's death, but the keeper lives."""
        daemon = self.serve({"web": self.scripted(2)})
        pids = daemon.wait_workers(2)
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGTERM)  # what it gets when the keeper dies, from somebody else
        wait_for(lambda: (p := daemon.role("supervisor")) and p.pid != before, 30, "a new supervisor")
        self.assertEqual(daemon.wait_workers(2), pids)
        self.assertEqual(self.journal("term"), [])
        self.assertEqual(processes.read(before), None)
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
