"""A worker's death: no client notices, and the replacement serves at once."""
import os
import re
import signal
import threading
import time

import rota_testing
from rota_testing import RELEASE, RotaCase, wait_for

ENOUGH = 1000 if RELEASE else 100


class Load:
    """Clients that send GETs as fast as they are answered, and remember when each began and whether it failed."""

    def __init__(self, daemon, clients=4):
        self.daemon, self.running = daemon, True
        self.results = [[] for _ in range(clients)]  # of each client: (began, problem or None, body)
        self.threads = [threading.Thread(target=self._run, args=(r,)) for r in self.results]
        for thread in self.threads:
            thread.start()

    def _run(self, results):
        client = None
        while self.running:
            began = time.monotonic()
            problem = body = None
            try:
                client = client or self.daemon.client()
                response = client.get("/")
                body = response.text
                if response.status != 200:
                    problem = repr(response)
            except Exception as error:  # whatever it is, it is a failed request
                problem, client = repr(error), None
            results.append((began, problem, body))
            time.sleep(rota_testing.Load.PAUSE)
        if client:
            client.close()

    def since(self, moment):
        return [r for results in self.results for r in list(results) if r[0] >= moment]

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class WorkerDeath(RotaCase):
    def test_no_request_begun_after_a_kill_fails_ten_times(self):
        daemon = self.serve({"web": self.hello(4)})
        pids = daemon.wait_workers(4)
        with Load(daemon) as load:
            for turn in range(10):
                slot = turn % 4
                os.kill(pids[slot], signal.SIGKILL)
                killed = time.monotonic()
                wait_for(lambda: len(load.since(killed)) >= ENOUGH, 30, f"{ENOUGH} requests after the kill")
                failed = [r for r in load.since(killed) if r[1]]
                self.assertEqual(failed, [], f"turn {turn}")
                answers = rf"slot {slot} \(pid (\d+)\)"
                def replaced():
                    for _, _, body in load.since(killed)[-200:]:
                        match = re.search(answers, body or "")
                        if match and int(match[1]) != pids[slot]:
                            return int(match[1])
                pids[slot] = wait_for(replaced, 15, f"a new worker in slot {slot}")
        failed = [r for r in load.since(0) if r[1]]
        self.assertEqual(failed, [], "of all requests")
        self.assertFalse([p for p in daemon.tree() if p.state == "Z"], "zombies")

    def test_a_new_worker_serves_within_100_ms_of_its_listen(self):
        """Both moments are the worker's own: when listen() had returned, and when the first request of a client came."""
        daemon = self.serve({"web": self.scripted(2)})
        pids = daemon.wait_workers(2)
        limit = 0.1 if RELEASE else 0.3
        with Load(daemon, clients=2):
            for _ in range(3):
                os.kill(pids[1], signal.SIGKILL)
                def successor():
                    return next((e for e in self.journal("listening", slot="1") if e["pid"] != pids[1]
                                 and e["pid"] not in dead), None)
                dead = {e["pid"] for e in self.journal("listening", slot="1")}
                listening = wait_for(successor, 15, "the next worker's listen()")
                request = self.wait_journal("request", pid=listening["pid"])
                self.assertLess(request["at"] - listening["at"], limit)
                pids[1] = listening["pid"]

    def test_the_exit_is_reported_with_its_status_and_slot(self):
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        with daemon.client() as client:
            client.send(b"POST /exit?code=7 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            self.assertEqual(client.response().status, 502)
        slot = self.journal("request", path="/exit")[0]["slot"]
        daemon.wait_log(rf"web\.{slot}.*(exit|status|code).*7")
        daemon.wait_workers(2)

    def test_a_signal_that_ends_a_worker_is_named(self):
        daemon = self.serve({"web": self.hello(1)})
        pid = daemon.wait_workers(1)[0]
        os.kill(pid, signal.SIGKILL)
        daemon.wait_log(r"web\.0.*(SIGKILL|signal 9|KILL)")
        wait_for(lambda: daemon.wait_workers(1)[0] != pid, what="a new worker")

    def test_requests_wait_while_the_only_worker_is_replaced(self):
        daemon = self.serve({"web": self.scripted(1, env={"LISTEN_GATE": "up"})})
        self.open_gate("up")
        pid = daemon.wait_workers(1)[0]
        self.close_gate("up")
        os.kill(pid, signal.SIGKILL)
        self.wait_journal("started", 2)
        with daemon.client() as client:
            client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
            self.assertEqual(self.journal("request", path="/echo"), [])
            self.open_gate("up")
            response = client.response("POST")
        self.assertEqual((response.status, response.body), (200, b"hello"))

    def test_a_worker_that_dies_at_start_is_tried_again_ever_more_slowly(self):
        env = {"EXIT_AT_START": "5", "SLOTS": "1"}
        daemon = self.serve({"web": self.scripted(2, env=env, restart={"delay": "200ms", "max_delay": "400ms"})})
        daemon.wait_workers(1)
        self.wait_journal("started", 5, timeout=20, slot="1")
        starts = [e["at"] for e in self.journal("started", slot="1")][:5]
        gaps = [b - a for a, b in zip(starts, starts[1:])]
        for gap, least in zip(gaps, (0.16, 0.32, 0.32, 0.32)):  # 200, then 400 ms, less 20 % of jitter
            self.assertGreaterEqual(gap, least, gaps)
        daemon.wait_log("the database is not there")
        self.assertEqual(daemon.get("/").text.split()[0], "0", "the healthy slot serves")

    def test_a_grandchild_dies_with_its_worker(self):
        daemon = self.serve({"web": self.scripted(1, env={"GRANDCHILD": "1"})})
        pid = daemon.wait_workers(1)[0]
        grandchild = self.wait_journal("grandchild")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{grandchild}"), 15, "the end of the grandchild")
        self.wait_journal("listening", 2)

    def test_an_unhealthy_worker_leaves_the_rotation_and_comes_back(self):
        health = {"path": "/healthz", "interval": "100ms", "timeout": "2s", "unhealthy_after": 2}
        app = self.scripted(2, env={"UNHEALTHY_GATE": "sick", "SLOTS": "1"}, health=health)
        daemon = self.serve({"web": app})
        pids = daemon.wait_workers(2)
        self.open_gate("sick")
        def slots(count):
            return {daemon.get("/").text.split()[0] for _ in range(count)}
        wait_for(lambda: slots(8) == {"0"}, what="slot 1 out of rotation")
        self.close_gate("sick")
        wait_for(lambda: slots(8) == {"0", "1"}, what="slot 1 back in rotation")
        self.assertEqual(daemon.wait_workers(2), pids, "nobody was restarted")


if __name__ == "__main__":
    rota_testing.main()
