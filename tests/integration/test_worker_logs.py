"""Where workers' lines go and what they look like; log files, full disks, loud workers."""
import ctypes
import json
import os
import re
import signal
import unittest

import rota_testing
from rota_testing import RotaCase, wait_for

PRINTS = "echo to-stdout; echo to-stderr >&2; exec sleep 1000"


def lines_of(path):
    return path.read_text("utf-8", "replace").splitlines() if path.exists() else []


class Json(RotaCase):
    def test_everything_on_stderr_is_one_object_a_line(self):
        """All three roles and the workers; the proxy speaks since it may not have so many connections."""
        app = self.scripted(2, log={"format": "json"})
        daemon = self.serve({"web": app}, log={"format": "json"}, limits={"connections": 1000000})
        daemon.wait_workers(2)
        self.assertEqual(daemon.get("/print?to=stderr&line=%1b%5b31mred%1b%5b0m%20%22%ff").status, 200)
        daemon.signal(signal.SIGUSR1)
        daemon.wait_log("no log file to open again")
        daemon.wait_log("red")
        daemon.stop()
        lines = [json.loads(line) for line in daemon.log.splitlines()]
        own = [line for line in lines if "role" in line]
        self.assertEqual({line["role"] for line in own}, {"keeper", "supervisor", "proxy"})
        for line in own:
            self.assertEqual(set(line), {"time", "level", "role", "pid", "message"})
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        red = [line for line in lines if "red" in line["message"]][0]
        self.assertEqual(set(red), {"time", "app", "slot", "pid", "generation", "stream", "message"})
        self.assertEqual((red["app"], red["generation"], red["stream"], red["message"]), ("web", 1, "stderr", 'red "\ufffd'))
        self.assertIn(red["slot"], (0, 1))
        self.assertIn(red["pid"], {entry["pid"] for entry in self.journal("started")})

    def test_a_line_says_of_which_generation_its_worker_is(self):
        app = self.scripted(1, log={"format": "json"})
        daemon = self.serve({"web": app})
        before = daemon.wait_workers(1)
        self.write_config({"web": {**app, "env": {**app["env"], "RELEASE": "2"}}}, listen="127.0.0.1:0")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log(r"reloaded in [^\n]*1 of 1 workers of web replaced")
        self.assertNotEqual(daemon.wait_workers(1), before)
        self.assertEqual(daemon.get("/print?to=stdout&line=second").status, 200)
        line = json.loads(daemon.wait_log(r"\{[^\n]*second[^\n]*\}")[0])
        self.assertEqual(line["generation"], 2)

    def test_a_configuration_with_mistakes_is_told_in_json_too(self):
        daemon = self.ends("run", "-c", self.write_config({"web": {"command": "/no/such/program"}}, log={"format": "json"}))
        self.assertEqual(daemon.code, 78)
        messages = [json.loads(line)["message"] for line in daemon.log.splitlines()]
        self.assertTrue(any("/no/such/program" in message for message in messages), messages)

    def test_a_line_that_is_too_long_comes_in_parts(self):
        app = {"command": ["/bin/sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo; exec sleep 1000"], "workers": 1,
               "log": {"format": "json"}}
        daemon = self.start(self.write_config({"web": app}, log={"format": "json"}))
        def parts():
            found = [json.loads(line) for line in daemon.log.splitlines() if "xxx" in line and line.endswith("}")]
            return found if sum(len(part["message"]) for part in found) == 40000 else None
        found = wait_for(parts, what="the whole line")
        self.assertEqual([part.get("partial", False) for part in found], [True, True, False])


class Passthrough(RotaCase):
    def test_the_bytes_are_the_workers_own(self):
        line = '{"level":"info","msg":"\\u001b[1mgr\u00fc\u00df"}'
        app = {"command": ["/bin/sh", "-c", f"printf '%s\\n' '{line}'; exec sleep 1000"], "workers": 1,
               "log": {"format": "passthrough"}}
        daemon = self.start(self.write_config({"web": app}))
        wait_for(lambda: line in daemon.log.splitlines(), what="the line as it is")


class File(RotaCase):
    def serve_to_file(self, app=None, **log):
        self.path = self.folder / "web.log"
        app = {**(app or self.scripted(1)), "log": {"file": str(self.path), **log}}
        daemon = self.serve({"web": app})
        return daemon

    def say(self, daemon, word):
        self.assertEqual(daemon.get(f"/print?to=stderr&line={word}").status, 200)

    def test_lines_go_to_the_file_with_time_and_stream_and_nowhere_else(self):
        daemon = self.serve_to_file({"command": ["/bin/sh", "-c", PRINTS], "workers": 1})
        for stream in ("stdout", "stderr"):
            wait_for(lambda: any(re.fullmatch(rf"20\S+Z web\.0 {stream} \| to-{stream}", line) for line in lines_of(self.path)))
        self.assertNotIn("to-std", daemon.log)
        self.assertEqual(self.path.stat().st_mode & 0o7137, 0)

    def test_json_in_the_file(self):
        self.serve_to_file({"command": ["/bin/sh", "-c", PRINTS], "workers": 1}, format="json")
        wait_for(lambda: len(lines_of(self.path)) == 2)
        self.assertEqual({json.loads(line)["message"] for line in lines_of(self.path)}, {"to-stdout", "to-stderr"})

    def test_it_is_renamed_when_it_has_grown_and_no_line_is_lost(self):
        script = "i=0; while [ $i -lt 30000 ]; do echo line-$i; i=$((i+1)); done; echo done; exec sleep 1000"
        self.serve_to_file({"command": ["/bin/sh", "-c", script], "workers": 1}, format="passthrough", max_size="64KiB", keep=9)
        wait_for(lambda: "done" in lines_of(self.path), 60)
        files = [self.path] + [self.folder / f"web.log.{i}" for i in range(1, 10)]
        found = [line for file in reversed(files) for line in lines_of(file)]
        self.assertEqual(found, [f"line-{i}" for i in range(30000)] + ["done"])
        for file in files[1:5]:
            self.assertGreater(file.stat().st_size, 60 * 1024)
            self.assertLessEqual(file.stat().st_size, 64 * 1024)

    def test_usr1_opens_it_again_after_somebody_has_renamed_it(self):
        daemon = self.serve_to_file()
        self.say(daemon, "before")
        wait_for(lambda: "before" in "".join(lines_of(self.path)))
        old = self.folder / "web.log.old"
        self.path.rename(old)
        self.say(daemon, "between")
        wait_for(lambda: "between" in "".join(lines_of(old)))
        daemon.signal(signal.SIGUSR1)
        daemon.wait_log("the log of app web.*opened again")
        self.say(daemon, "after")
        wait_for(lambda: "after" in "".join(lines_of(self.path)))
        self.assertNotIn("after", old.read_text())

    def test_a_worker_prints_on_while_the_supervisor_is_dead(self):
        script = "i=0; while [ $i -lt 400 ]; do echo line-$i; i=$((i+1)); sleep 0.01; done; echo done; exec sleep 1000"
        daemon = self.serve_to_file({"command": ["/bin/sh", "-c", script], "workers": 1}, format="passthrough")
        wait_for(lambda: "line-20" in lines_of(self.path))
        os.kill(daemon.role("supervisor").pid, signal.SIGKILL)
        wait_for(lambda: "done" in lines_of(self.path), 60)
        numbers = [int(line[5:]) for line in lines_of(self.path)[:-1]]
        self.assertEqual(numbers, sorted(set(numbers)), "in order, none twice")
        # What it had read and not yet written dies with it; what it had not read waits in the pipe.
        self.assertGreaterEqual(len(numbers), 395)

    def test_a_worker_that_does_not_start_is_quoted_in_the_log_once(self):
        app = self.scripted(1, env={"EXIT_AT_START": "5"}, restart={"delay": "10ms", "max_delay": "10ms"})
        daemon = self.start(self.write_config({"web": {**app, "log": {"file": str(self.folder / "web.log")}}}))
        daemon.wait_log("exited: exit code 5", count=4)
        self.assertEqual(len(re.findall("said: .*the database is not there", daemon.log)), 1)
        self.assertGreaterEqual(len(re.findall("exited: exit code 5.*; its last words are the same as before", daemon.log)), 2)


class Ending(RotaCase):
    def test_what_was_just_shown_is_not_said_again(self):
        app = self.scripted(1, env={"EXIT_AT_START": "5"}, restart={"delay": "10ms", "max_delay": "10ms"})
        daemon = self.start(self.write_config({"web": app}))
        daemon.wait_log("exited: exit code 5", count=3)
        shown = daemon.log
        self.assertNotIn(" said", shown)
        lines = shown.splitlines()
        first = next(i for i, line in enumerate(lines) if "exited: exit code 5" in line)
        self.assertTrue(any("web.0 | the database is not there" in line for line in lines[:first]), shown)

    def test_the_last_word_of_a_start_that_failed_has_the_workers_words(self):
        app = self.scripted(1, env={"EXIT_AT_START": "5"}, start_timeout="1s")
        daemon = self.ends("run", "-c", self.write_config({"web": app}, boot="fail"))
        self.assertEqual(daemon.code, 69)
        self.assertRegex(daemon.log, r"(?s)no worker became ready.*last lines on stderr:.*the database is not there")

    def test_a_worker_that_says_nothing_leaves_the_last_word_to_the_one_before_it(self):
        says_it_once = "[ -e said ] && exec sleep 1000; : > said; echo the database is not there >&2; exit 5"
        app = {"command": ["/bin/sh", "-c", says_it_once], "directory": str(self.folder), "workers": 1, "start_timeout": "1s"}
        daemon = self.ends("run", "-c", self.write_config({"web": app}, boot="fail"))
        self.assertEqual(daemon.code, 69)
        self.assertRegex(daemon.log, r"(?s)no worker became ready.*last lines on stderr:.*the database is not there")


class Loud(RotaCase):
    def test_a_worker_that_prints_without_end_delays_nobodys_checks(self):
        """Slot 0 fills the disk's page cache as fast as it can; slots 1 and 2 leave the rotation and come back as ever."""
        loud = 'case $WORKER_ID in 0) yes "a line of a worker that has much to say" & ;; esac; exec "$@"'
        app = self.scripted(3, env={"UNHEALTHY_GATE": "ill", "SLOTS": "1"},
                            log={"file": str(self.folder / "web.log"), "max_size": "1MiB", "keep": 1})
        app["command"] = ["/bin/sh", "-c", loud, "sh", *app["command"]]
        app["health"] = {"path": "/healthz", "interval": "100ms"}
        daemon = self.serve({"web": app})
        daemon.wait_workers(3)
        rotated = self.folder / "web.log.1"
        seen = set()
        for number in range(1, 4):
            self.open_gate("ill")
            daemon.wait_log(r"web\.1 out of rotation", 10, count=number)
            self.close_gate("ill")
            daemon.wait_log(r"web\.1 passes its checks again", 10, count=number)
            seen.add(wait_for(lambda: rotated.exists() and rotated.stat().st_mtime_ns))
        self.assertEqual(len(seen), 3, "it went on printing all the while")
        dead = daemon.wait_workers(3)[2]
        os.kill(dead, signal.SIGKILL)
        daemon.wait_log(r"web\.2 exited: signal 9", 5)
        daemon.wait_log(r"web\.2 ready after", 15, count=2)
        self.assertNotIn("ended with", daemon.log, "no role was killed for being silent")


@unittest.skipIf(os.geteuid() != 0, "mounting needs root")
class FullDisk(RotaCase):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", str(self.disk).encode(), b"tmpfs", 0, b"size=256k,mode=0755") != 0:
            self.skipTest("nothing may be mounted here")
        self.addCleanup(lambda: libc.umount2(str(self.disk).encode(), 2))

    def test_lines_are_lost_and_counted_requests_are_served_and_it_recovers(self):
        access, log = self.disk / "access.log", self.disk / "web.log"
        app = self.scripted(1, log={"file": str(log), "format": "json"})
        daemon = self.serve({"web": app}, access_log=str(access))
        daemon.wait_workers(1)
        filler = self.disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        word = "w" * 900
        def talk(done):
            with daemon.client() as client:
                def again():
                    self.assertEqual(client.get(f"/print?to=stdout&line={word}").status, 200)
                    return done()
                wait_for(again, 30)
        talk(lambda: re.search("the log of app web loses lines: .*No space left", daemon.log)
             and re.search(r"the access log takes no more: \d+ lines were dropped", daemon.log))
        filler.unlink()
        sizes = access.stat().st_size, log.stat().st_size
        talk(lambda: re.search(r"the log of app web is written again: \d+ lines were lost", daemon.log)
             and access.stat().st_size > sizes[0] and log.stat().st_size > sizes[1])
        daemon.stop()
        for path in (access, log):
            for line in lines_of(path):
                json.loads(line)
        self.assertLess(len(re.findall("loses lines", daemon.log)), 4)


if __name__ == "__main__":
    rota_testing.main()
