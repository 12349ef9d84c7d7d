"""rota's log, the workers' lines in it, and the access log."""
import json
import os
import re
import signal

import rota_testing
from rota_testing import RotaCase, wait_for


class Log(RotaCase):
    def test_worker_lines_carry_app_and_slot(self):
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        for slot in ("0", "1"):
            for to in ("stdout", "stderr"):
                with self.subTest(slot=slot, to=to):
                    word = f"word-{slot}-{to}"
                    with daemon.client() as client:
                        wait_for(lambda: client.get(f"/print?to={to}&line={word}").status == 200
                                 and self.journal("request", path="/print", slot=slot)
                                 and self.journal("request", path="/print", slot=slot)[-1]["query"]["line"] == word)
                    daemon.wait_log(rf"(?m)\bweb\.{slot}\b.*{word}$")
        self.assertNotIn("word-0", daemon.out, "stdout is the access log's alone")

    def test_a_line_without_an_end_is_not_lost_when_the_worker_dies(self):
        app = {"command": ["/bin/sh", "-c", "printf 'last words'; exit 9"], "workers": 1,
               "restart": {"delay": "60s", "max_delay": "60s"}}
        daemon = self.start(self.write_config({"web": app}))
        daemon.wait_log(r"web\.0.*last words")
        daemon.wait_log(r"web\.0.*9")

    def test_control_bytes_of_a_worker_do_not_reach_the_terminal(self):
        daemon = self.serve({"web": self.scripted(1)})
        daemon.get("/print?line=%1b%5b2Jred%0dover")
        daemon.wait_log("over")
        self.assertNotIn("\x1b", daemon.log)
        self.assertNotIn("\r", daemon.log)

    def test_a_long_line_is_kept_within_bounds(self):
        app = {"command": ["/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo after; exec sleep 1000"],
               "workers": 1}
        daemon = self.start(self.write_config({"web": app}))
        daemon.wait_log(r"web\.0.*after")
        self.assertLess(max(map(len, daemon.log.splitlines())), 70000)

    def test_a_flood_of_lines_passes_whole_and_in_order(self):
        app = {"command": ["/bin/sh", "-c", "i=0; while [ $i -lt 5000 ]; do echo line-$i; i=$((i+1)); done; echo done; "
                           "exec sleep 1000"], "workers": 1}
        daemon = self.start(self.write_config({"web": app}))
        daemon.wait_log(r"web\.0.*done")
        self.assertEqual([int(n) for n in re.findall(r"line-(\d+)", daemon.log)], list(range(5000)))

    def test_levels_are_named_and_a_failure_is_not_mere_information(self):
        daemon = self.serve({"web": self.scripted(1, env={"EXIT_AT_START": "5"}, restart={"delay": "60s", "max_delay": "60s"})})
        daemon.wait_log("the database is not there")
        daemon.wait_log(r"(?i)(warning|error).*web\.0")
        self.assertRegex(daemon.log, r"(?im)^.*\binfo\b.*listening on")

    def test_a_worker_on_a_port_of_its_own_is_found_out_soon(self):
        """Long before start_timeout, and once although every life of it does the same."""
        daemon = self.serve({"web": self.scripted(1, env={"WRONG_PORT": "1"})})
        self.assertRegex(daemon.wait_log(r"(?m)^.*web\.0 has not opened its socket.*$")[0],
                         r"warning.* after 3(\.\d)? s, but listens on tcp port \d+; it must listen on the path .* PORT .*\{socket\}")

    def test_journald_gets_priorities_instead_of_time_stamps(self):
        """$JOURNAL_STREAM names the device and inode of stderr when that is the journal."""
        wrapper = self.folder / "as-a-unit"
        wrapper.write_text('#!/bin/sh\nJOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"\n')
        wrapper.chmod(0o755)
        daemon = self.start("run", "-c", self.write_config({"web": self.scripted(1)}), prefix=[str(wrapper)])
        daemon.address
        self.assertEqual(daemon.get("/print?line=hello-journal").status, 200)
        daemon.wait_log("hello-journal")
        os.kill(daemon.workers()[0].pid, signal.SIGKILL)
        daemon.wait_log(r"(?m)^<[34]>.*web\.0")
        for line in daemon.log.splitlines():
            self.assertRegex(line, r"^<[3-7]>\D", "a priority and no time stamp")
        variables = json.loads(daemon.get("/environment").text)
        self.assertNotIn("JOURNAL_STREAM", variables, "workers write to a pipe, not to the journal")


class AccessLog(RotaCase):
    KEYS = {"time", "client", "method", "host", "target", "status", "bytes_sent", "bytes_received", "app", "slot", "upstream",
            "total_ms", "queue_ms", "connect_ms", "first_byte_ms", "retries", "outcome", "user_agent", "referer",
            "request_id"}

    def serve_logged(self, access_log="stdout", **more):
        self.daemon = self.serve({"web": self.scripted(2, **more)}, access_log=access_log)
        self.daemon.wait_workers(2)
        return self.daemon

    def line(self, target):
        def found():
            return [l for l in self.daemon.access_log() if l.get("target") == target]
        return wait_for(found, what=f"the access log line of {target}")[0]

    def test_a_line_tells_everything_of_an_exchange(self):
        daemon = self.serve_logged()
        with daemon.client() as client:
            response = client.request("POST", "/echo?a=b", ["User-Agent: tests/1.0", "Referer: http://x/"], b"hello")
        self.assertEqual(response.status, 200)
        line = self.line("/echo?a=b")
        self.assertEqual(set(line), self.KEYS)
        slot = self.journal("request", path="/echo")[0]["slot"]
        expected = {"method": "POST", "host": "test.example", "status": 200, "bytes_received": 5, "app": "web",
                    "slot": int(slot), "retries": 0, "outcome": "ok", "user_agent": "tests/1.0", "referer": "http://x/"}
        self.assertEqual({k: line[k] for k in expected}, expected)
        self.assertGreaterEqual(line["bytes_sent"], 5)
        self.assertRegex(line["client"], r"^127\.0\.0\.1")
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        for key in ("total_ms", "queue_ms", "connect_ms", "first_byte_ms"):
            self.assertIsInstance(line[key], (int, float))
            self.assertGreaterEqual(line[key], 0)
        self.assertLessEqual(line["first_byte_ms"], line["total_ms"])

    def test_every_exchange_has_one_line(self):
        daemon = self.serve_logged()
        with daemon.client() as client:
            for number in range(200):
                client.get(f"/?{number}")
        wait_for(lambda: len([l for l in daemon.access_log() if l.get("target", "").startswith("/?")]) == 200, what="200 lines")

    def test_a_retry_is_counted(self):
        self.serve_logged()
        self.assertEqual(self.daemon.get("/eof-once?name=a").status, 200)
        line = self.line("/eof-once?name=a")
        self.assertEqual((line["retries"], line["outcome"], line["status"]), (1, "ok", 200))

    def test_failures_are_named(self):
        self.serve_logged(timeouts={"response": "200ms"})
        with self.daemon.client() as client:
            client.request("POST", "/eof", body=b"x")
            client.get("/gate/late")
        with self.daemon.client() as client, self.assertRaises(Exception):
            client.get("/short")
        with self.daemon.client() as client:
            client.send(b"GET /bytes?n=500000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            client.response_head()
        self.open_gate("late")
        for target, status, outcome in (("/eof", 502, "upstream_closed"), ("/gate/late", 504, "upstream_timeout"),
                                        ("/short", 200, "upstream_truncated"), ("/bytes?n=500000000", 200, "client_closed")):
            with self.subTest(target):
                line = self.line(target)
                self.assertEqual((line["status"], line["outcome"]), (status, outcome))

    def test_a_refused_request_has_a_line_too(self):
        self.serve_logged()
        with self.daemon.client() as client:
            client.send(b"GET /refused HTTP/1.1\r\n\r\n")
            client.response()
        wait_for(lambda: [l for l in self.daemon.access_log() if l["status"] == 400 and l["outcome"] == "bad_request"],
                 what="a line of the refusal")

    def test_what_a_client_sends_cannot_forge_a_line(self):
        self.serve_logged()
        with self.daemon.client() as client:
            client.get("/forged", 'User-Agent: "}\\n{"status":1', "Referer: \xff\xfe")
        self.assertEqual(self.line("/forged")["user_agent"], '"}\\n{"status":1')

    def test_waiting_time_is_time_in_the_queue(self):
        daemon = self.daemon = self.serve({"web": self.scripted(1, env={"LISTEN_GATE": "up"})}, access_log="stdout")
        with daemon.client() as client, daemon.client() as refused:
            refused.send(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(refused.response().status, 400, "the proxy serves already")
            client.send(b"GET /waited HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("started")
            self.open_gate("up")
            self.assertEqual(client.response().status, 404)
        line = self.line("/waited")
        self.assertGreater(line["queue_ms"], line["total_ms"] / 2, line)

    def test_a_file_takes_it_too(self):
        path = self.folder / "access.log"
        daemon = self.serve_logged(str(path))
        daemon.get("/to-a-file")
        wait_for(lambda: "/to-a-file" in path.read_text(), what="the line in the file")
        for line in path.read_text().splitlines():
            json.loads(line)
        self.assertEqual(daemon.out, "")

    def test_off_means_nothing(self):
        daemon = self.serve_logged("off")
        daemon.get("/")
        daemon.stop()
        self.assertEqual(daemon.out, "")

    def test_the_last_lines_are_written_before_the_end(self):
        daemon = self.serve_logged()
        for number in range(20):
            daemon.get(f"/last?{number}")
        daemon.stop()
        self.assertEqual(len([l for l in daemon.access_log() if l.get("target", "").startswith("/last?")]), 20)


if __name__ == "__main__":
    rota_testing.main()
