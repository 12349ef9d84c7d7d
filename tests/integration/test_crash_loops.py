"""Crash loops of any process are throttled, never given up, cost no CPU, and say what they are; one app's loop touches no
other app."""
import os
import re
import signal
import time

import processes
import rota_testing
from load import Load, post_log_app
from rota_testing import RotaCase, wait_for


class CrashLoops(RotaCase):
    def cpu(self, daemon):
        supervisor = daemon.role("supervisor")
        return processes.cpu_seconds(daemon.pid) + (processes.cpu_seconds(supervisor.pid) if supervisor else 0)

    def test_a_proxy_that_dies_at_every_start(self):
        daemon = self.serve({"web": self.scripted(2)})
        pids, address = daemon.wait_workers(2), daemon.address
        kills = 8
        cpu, began, killed = processes.cpu_seconds(daemon.pid), time.monotonic(), set()
        while len(killed) < kills:
            proxy = daemon.role("proxy")
            if proxy and proxy.pid not in killed:
                os.kill(proxy.pid, signal.SIGKILL)
                killed.add(proxy.pid)
            time.sleep(0.002)
        elapsed, used = time.monotonic() - began, processes.cpu_seconds(daemon.pid) - cpu
        with rota_testing.Client(address) as client:  # which waited in the backlog
            self.assertEqual(client.get("/").status, 200)
        delays = re.findall(r"the proxy \(pid \d+\) ended: .*; the next one starts (now|in [\d.]+ ?\w+)", daemon.log)
        self.assertEqual(len(delays), kills, daemon.log)
        self.assertEqual(delays[:5], ["now", "in 50 ms", "in 100 ms", "in 200 ms", "in 400 ms"])
        self.assertGreater(elapsed, 0.05 + 0.1 + 0.2 + 0.4 + 0.8 + 1.6)
        self.assertLess(used, 0.1 * elapsed + 0.2)
        self.assertEqual(daemon.wait_workers(2), pids)
        print(f"\nmeasured: {kills} proxies in {elapsed:.1f} s, delays {delays}, keeper's CPU {used:.2f} s", flush=True)
        daemon.stop()

    def test_a_worker_s_loop_costs_nothing_and_touches_no_other_app(self):
        sick = self.scripted(2, restart={"delay": "100ms", "max_delay": "800ms"},
                             routes=["sick.example"])
        sick["command"] = ["/bin/sh", "-c", "test -e \"$GATES/cured\" && exec \"$@\"; echo 'the disk is full' >&2; exit 9", "sh",
                           *rota_testing.SCRIPTED]
        apps = {"web": post_log_app(self), "sick": sick}
        self.needs(apps)
        daemon = self.serve(apps)
        pids = daemon.wait_workers(2)
        with Load(self, daemon, 8) as load:
            daemon.wait_log(r"sick\.0.*exit code 9", count=4)
            cpu, began = self.cpu(daemon), time.monotonic()
            daemon.wait_log(r"sick\.0.*exit code 9", count=7)
            elapsed, used = time.monotonic() - began, self.cpu(daemon) - cpu
            with daemon.client() as client:
                client.sock.settimeout(30)
                client.send(b"GET / HTTP/1.1\r\nHost: sick.example\r\n\r\n")
                self.open_gate("cured")
                self.assertEqual(client.response().status, 200, "it waited for the cure, and nobody had given up")
            result = load.stop()
        self.assertEqual((result["failures"], result["refused"]), ([], 0))
        self.assertEqual(daemon.wait_workers(2), pids)
        self.assertIn("the disk is full", daemon.log)
        self.assertRegex(daemon.log, r"sick\.\d.*(next|again|restart).*(ms|\bs\b)")
        self.assertLess(used, 0.2 * elapsed * rota_testing.PATIENCE + 0.1)
        print(f"\nmeasured: a worker's crash loop over {elapsed:.1f} s: keeper and supervisor used {used:.2f} s of CPU; the other "
              f"app answered {result['get'] + result['post']}, 0 failed", flush=True)
        daemon.stop()

    def test_a_supervisor_that_dies_at_every_start(self):
        """Its workers and its proxy go on; the keeper says when it tries again."""
        daemon = self.serve({"web": self.scripted(2)})
        pids = daemon.wait_workers(2)
        killed = set()
        while len(killed) < 5:
            supervisor = daemon.role("supervisor")
            if supervisor and supervisor.pid not in killed:
                os.kill(supervisor.pid, signal.SIGKILL)
                killed.add(supervisor.pid)
            self.assertEqual(daemon.get("/").status, 200)
        wait_for(lambda: (p := daemon.role("supervisor")) and p.pid not in killed, 15, "a supervisor that lives")
        delays = [int(d) for d in re.findall(r"supervisor \(process \d+\) ended with .*starts in (\d+) ms", daemon.log)]
        self.assertEqual(delays, [0, 100, 200, 400, 800])
        self.assertEqual(daemon.wait_workers(2), pids)
        daemon.stop()

    def children(self, daemon):
        try:
            with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children", encoding="ascii") as file:
                return [int(pid) for pid in file.read().split()]
        except OSError:
            return []

    def test_a_stop_in_the_midst_of_a_supervisor_s_loop(self):
        """With nobody there for five seconds the keeper stops everything by itself."""
        daemon = self.serve({"web": self.scripted(1)})
        daemon.wait_workers(1)
        daemon.tree()
        began, dead, told = time.monotonic(), set(), False
        while daemon.process.poll() is None:
            for process in map(processes.read, self.children(daemon)):
                if process and process.state != "Z" and process.command.startswith("rota: supervisor"):
                    os.kill(process.pid, signal.SIGKILL)
                    dead.add(process.pid)
            if len(dead) >= 3 and not told:
                daemon.process.send_signal(signal.SIGTERM)
                told = True
            self.assertLess(time.monotonic() - began, 60)
            time.sleep(0.001)
        self.assertEqual(daemon.process.returncode, 0)
        self.assertGreater(time.monotonic() - began, 4)
        self.assertEqual(len(self.journal("term")), 1)
        daemon.checked = True
        wait_for(lambda: not daemon.left_processes(), 5, "the end of every process")


if __name__ == "__main__":
    rota_testing.main()
