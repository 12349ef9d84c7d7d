"""What is told of a worker's death: how it ended, its last words, and the requests that were in flight on it."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import unittest

import processes
import rota_testing
from rota_testing import RotaCase, wait_for

NODE_APP = """
const http = require('http');
http.createServer((request, response) => {
  if (request.url.startsWith('/boom')) setImmediate(() => { throw new Error('the cache is corrupt'); });
  else if (request.url.startsWith('/never')) return;
  else response.end(process.env.WORKER_ID + ' ' + process.pid);
}).listen(process.env.PORT);
"""


def report_lines(daemon, number):
    """The texts of one report, without time and level."""
    return re.findall(rf"crash report {number}: (.*)", daemon.log)


class CrashCase(RotaCase):
    def whole(self, number):
        """Waits for a report and returns its lines, which are as many as its first line says, and those of stderr."""
        first = self.daemon.wait_log(rf"crash report {number}: web.*")[0]
        count = re.search(r"in flight: (\d+) request", first)
        requests = lambda: [l for l in report_lines(self.daemon, number) if l.startswith("in flight for")]
        wait_for(lambda: count is None or len(requests()) == int(count[1]), what="a line for each request")
        return report_lines(self.daemon, number)

    def serve_scripted(self, workers=1, top=None, **more):
        more.setdefault("retry", {"attempts": 0})
        self.daemon = self.serve({"web": self.scripted(workers, **more)}, **(top or {}))
        self.pids = self.daemon.wait_workers(workers)
        return self.daemon

    def ask(self, method, target, *fields):
        """In the background, whatever becomes of it."""
        def run():
            with contextlib.suppress(Exception), self.daemon.client(60) as client:
                client.request(method, target, fields)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 60)


class Reports(CrashCase):
    def test_an_exit_code_with_the_request_that_caused_it(self):
        daemon = self.serve_scripted()
        response = daemon.get("/exit?code=5&token=hunter2", "X-Request-ID: the-fatal-one")
        self.assertEqual(response.status, 502)
        lines = self.whole(1)
        self.assertRegex(lines[0], rf"^web\.0 \(pid {self.pids[0]}\): exit code 5 after .*; 1 restart of this slot; in flight: 1 request$")
        self.assertRegex(lines[1], r"^in flight for .*: GET /exit \(request id the-fatal-one\)$")
        self.assertNotIn("hunter2", daemon.log, "what stands in a query may be secret")

    def test_a_signal_and_the_last_twenty_lines_of_stderr(self):
        daemon = self.serve_scripted()
        self.assertEqual(daemon.get("/kill?signal=11&lines=30").status, 502)
        daemon.wait_log("crash report 1: stderr: line 29 before the end")
        lines = report_lines(daemon, 1)
        self.assertIn("signal 11 (SEGV)", lines[0])
        self.assertEqual([l for l in lines if l.startswith("stderr")],
                         [f"stderr: line {n} before the end" for n in range(10, 30)])
        # Again the same: it is said once.
        daemon.wait_workers(1)
        daemon.get("/kill?signal=11&lines=30")
        daemon.wait_log("crash report 2: stderr: the same as in crash report 1")

    def test_everything_in_flight_on_it_and_nothing_else_over_all_loops(self):
        daemon = self.serve_scripted(2, top={"threads": 2})
        for number in range(8):
            self.ask("POST" if number % 2 else "GET", f"/gate/{number}", f"X-Request-ID: id-{number}")
        wait_for(lambda: len(self.journal("request")) - len(self.journal("request", path="/")) == 8, what="eight requests")
        expected = {(e["method"], e["path"]) for e in self.journal("request", slot="0") if e["path"] != "/"}
        self.assertGreaterEqual(len(expected), 1)
        os.kill(self.pids[0], signal.SIGKILL)
        lines = self.whole(1)
        self.assertIn(f"; in flight: {len(expected)} request", lines[0])
        found = re.findall(r"in flight for [^:]*: (\w+) (\S+) \(request id id-(\d)\)", "\n".join(lines))
        self.assertEqual({(method, path) for method, path, _ in found}, expected)
        self.assertTrue(all(path == f"/gate/{number}" for _, path, number in found), found)
        for number in range(8):
            self.open_gate(str(number))

    def test_a_response_under_way_and_a_tunnel_are_in_flight(self):
        daemon = self.serve_scripted(env={"TOKEN": "x"})
        with daemon.client() as half, daemon.client() as tunnel:
            half.send(b"GET /first-half/never HTTP/1.1\r\nHost: t\r\n\r\n")
            half.response_head()
            tunnel.send(b"GET /tunnel HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            self.assertEqual(tunnel.head().start, "HTTP/1.1 101 Switching Protocols")
            os.kill(self.pids[0], signal.SIGKILL)
            lines = self.whole(1)
        self.assertIn("; in flight: 2 requests", lines[0])
        for path in ("/first-half/never", "/tunnel"):
            self.assertTrue(any(re.match(f"in flight for .*, answering: GET {path} ", line) for line in lines), lines)

    def test_a_json_log_has_the_same_lines(self):
        daemon = self.serve_scripted(top={"log": {"format": "json"}})
        daemon.get("/exit?code=5", "X-Request-ID: of-json")
        daemon.wait_log(r'"message":"crash report 1: in flight for ')
        messages = [json.loads(l) for l in daemon.log.splitlines() if "crash report 1: " in l]
        self.assertTrue(all(m["role"] == "supervisor" and m["level"] == "warning" for m in messages), messages)
        self.assertTrue(any("GET /exit (request id of-json)" in m["message"] for m in messages), messages)

    def test_reports_outlive_the_supervisor(self):
        daemon = self.serve_scripted()
        daemon.get("/exit?code=5")
        self.whole(1)
        daemon.wait_workers(1)
        supervisor = daemon.role("supervisor").pid
        os.kill(supervisor, signal.SIGKILL)
        daemon.wait_log(r"1 crash reports are kept, the last of them number 1: web\.0 \(pid \d+\): exit code 5")
        daemon.get("/exit?code=6")
        self.assertIn("exit code 6", self.whole(2)[0])

    def test_a_death_while_there_is_no_supervisor_is_reported_by_the_next(self):
        daemon = self.serve_scripted()
        supervisor = daemon.role("supervisor").pid
        os.kill(supervisor, signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(supervisor), what="the supervisor to stand still")
        self.assertEqual(daemon.get("/exit?code=5", "X-Request-ID: unseen").status, 502)
        os.kill(supervisor, signal.SIGKILL)
        lines = self.whole(1)
        self.assertIn("exit code 5", lines[0])
        self.assertIn("; in flight: 1 request", lines[0])
        self.assertIn("(request id unseen)", lines[1])

    def test_a_proxy_that_does_not_answer_delays_no_restart(self):
        daemon = self.serve_scripted()
        proxy = daemon.role("proxy").pid
        os.kill(proxy, signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(proxy), what="the proxy to stand still")
        os.kill(self.pids[0], signal.SIGKILL)
        daemon.wait_log(r"crash report 1: .*in flight: not known, the proxy did not answer in time")
        daemon.wait_log(r"web\.0 ready", count=2)
        os.kill(proxy, signal.SIGCONT)
        daemon.wait_workers(1)

    def test_a_death_that_was_asked_for_is_no_crash(self):
        daemon = self.serve_scripted()
        daemon.stop()
        self.assertNotIn("crash report", daemon.log)

    def test_one_that_is_killed_for_not_getting_ready_is_reported_with_the_reason(self):
        app = self.scripted(1, env={"NEVER_LISTEN": "1", "IGNORE_TERM": "1"}, start_timeout="300ms", stop={"grace": "100ms"})
        daemon = self.start(self.write_config({"web": app}))
        daemon.wait_log(r"crash report 1: web\.0 .*: not ready within 300 ms.*; .*it had served nothing")

    @unittest.skipUnless(shutil.which("node"), "Node is not installed (scripts/setup --test)")
    def test_an_uncaught_exception_of_node(self):
        script = self.folder / "app.js"
        script.write_text(NODE_APP)
        self.daemon = daemon = self.serve({"web": {"command": ["node", str(script)], "workers": 1, "retry": {"attempts": 0}}})
        daemon.wait_workers(1)
        self.ask("GET", "/never", "X-Request-ID: innocent")
        self.assertEqual(daemon.get("/boom?x=1", "X-Request-ID: guilty").status, 502)
        daemon.wait_log(r"crash report 1: stderr: .*the cache is corrupt")
        lines = self.whole(1)
        self.assertIn("exit code 1 ", lines[0])
        self.assertTrue(any("GET /boom (request id guilty)" in line for line in lines), lines)


class Poison(CrashCase):
    def status(self, method="GET", target="/exit?code=3"):
        with self.daemon.client(60) as client:
            return client.request(method, target).status

    def served(self, target):
        """How often a worker has got it."""
        return len(self.journal("request", path=target))

    def serve_poisoned(self, workers=3, threads=1, **retry):
        app = self.scripted(workers, retry=retry, restart={"delay": "10ms", "max_delay": "10ms"})
        self.daemon = self.serve({"web": app}, threads=threads, access_log="stdout")
        self.daemon.wait_workers(workers)

    def test_a_get_that_kills_is_refused_and_all_others_are_served(self):
        self.serve_poisoned(threads=2, attempts=1, poison_after=2)
        self.assertEqual(self.status(), 502)  # it was tried twice
        self.assertEqual(self.served("/exit"), 2)
        with self.daemon.client() as client:
            refused = client.get("/exit?code=3", "Accept: application/json")
        self.assertEqual((refused.status, refused.get("retry-after")), (503, "30"))
        self.assertEqual(json.loads(refused.body)["outcome"], "poisoned")
        wait_for(lambda: any(l["outcome"] == "poisoned" for l in self.daemon.access_log()), what="its line")
        line = next(l for l in self.daemon.access_log() if l["outcome"] == "poisoned")
        self.assertEqual(line["reason"], "in flight at too many deaths of workers in a row")
        for _ in range(20):  # on connections of their own, so on either loop
            self.assertEqual(self.status(), 503)
            self.assertEqual(self.status(target="/"), 200)
        self.assertEqual(self.served("/exit"), 2, "no worker has died of it since")
        self.daemon.wait_log(r"web: GET /exit was in flight at 2 deaths of workers in a row: refused for 30 s")
        self.assertNotIn("code=3", self.daemon.log)

    def test_tries_of_one_exchange_end_there_too(self):
        self.serve_poisoned(attempts=10, poison_after=2)
        self.assertEqual(self.status(), 503)
        self.assertEqual(self.served("/exit"), 2)

    def test_a_post_that_kills_is_refused_when_it_comes_again(self):
        self.serve_poisoned(poison_after=3)
        for _ in range(3):
            self.assertEqual(self.status("POST"), 502)
        for _ in range(5):
            self.assertEqual(self.status("POST"), 503)
        self.assertEqual(self.served("/exit"), 3)
        self.assertEqual(self.status("POST", "/echo"), 200)

    def test_it_needs_no_supervisor(self):
        self.serve_poisoned(attempts=1, poison_after=2)
        supervisor = self.daemon.role("supervisor").pid
        os.kill(supervisor, signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(supervisor), what="the supervisor to stand still")
        self.assertEqual(self.status(), 502)
        self.assertEqual([self.status(), self.status(target="/")], [503, 200])
        os.kill(supervisor, signal.SIGCONT)

    def test_what_is_answered_between_two_deaths_is_innocent(self):
        self.serve_poisoned(workers=2, attempts=1, poison_after=2)
        for turn in range(3):
            waiting = []
            with self.daemon.client(60) as client:
                client.send(b"GET /gate/open HTTP/1.1\r\nHost: test.example\r\n\r\n")
                victim = self.wait_journal("request", count=2 * turn + 1, path="/gate/open")["pid"]
                os.kill(victim, signal.SIGKILL)
                self.wait_journal("request", count=2 * turn + 2, path="/gate/open")
                self.open_gate("open")
                waiting.append(client.response().status)
            self.assertEqual(waiting, [200], turn)
            self.close_gate("open")
            self.daemon.wait_workers(2)
        self.assertNotIn("refused for", self.daemon.log)

    def test_off_unless_it_is_asked_for(self):
        self.serve_poisoned(workers=1)
        for _ in range(4):
            self.assertEqual(self.status("POST"), 502)
            self.daemon.wait_workers(1)
        self.assertEqual(self.served("/exit"), 4)


class MemoryGroup:
    """A control group of 400 MiB below our own, of either version; None in .path when there can be none."""

    def __init__(self):
        self.path = None
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if "memory" in controllers.split(","):
                self.make("/sys/fs/cgroup/memory" + group, "memory.limit_in_bytes")
            elif not controllers:
                self.make("/sys/fs/cgroup" + group, "memory.max")
            if self.path is not None:
                return

    def make(self, parent, limit):
        path = pathlib.Path(parent) / f"rota-test-{os.getpid()}"
        try:
            path.mkdir()
        except OSError:
            return
        try:
            (path / limit).write_text(str(400 << 20))
            with contextlib.suppress(OSError):  # a machine without swap has no such file
                (path / ("memory.swap.max" if limit == "memory.max" else "memory.memsw.limit_in_bytes")).write_text(
                    "0" if limit == "memory.max" else str(400 << 20))
            # A process must be allowed in.
            subprocess.run(["sh", "-c", 'echo $$ > "$0/cgroup.procs"', str(path)], check=True, stderr=subprocess.DEVNULL)
            self.path = path
        except (OSError, subprocess.CalledProcessError):
            path.rmdir()

    def remove(self):
        wait_for(lambda: not (self.path / "cgroup.procs").read_text().strip(), what="an empty control group")
        self.path.rmdir()


class Memory(CrashCase):
    def test_a_kill_for_want_of_memory_is_told_from_any_other(self):
        group = MemoryGroup()
        if group.path is None:
            self.skipTest("no control group with a memory limit can be made here")
        self.addCleanup(group.remove)
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(group.path)]
        # Only the workers: the proxy and the supervisor of a sanitized build may be larger than they.
        app = self.scripted(1, retry={"attempts": 0})
        self.daemon = daemon = self.serve({"web": {**app, "command": [*enter, *app["command"]]}})
        pid = daemon.wait_workers(1)[0]
        self.assertEqual(daemon.get("/fill-memory").status, 502)
        line = self.whole(1)[0]
        self.assertRegex(line, rf"^web\.0 \(pid {pid}\): signal 9 \(KILL\) after .*; out of memory \((the limit of its control group|the machine's)\); ")
        os.kill(daemon.wait_workers(1)[0], signal.SIGKILL)
        self.assertIn("; not for want of memory; ", self.whole(2)[0])
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
