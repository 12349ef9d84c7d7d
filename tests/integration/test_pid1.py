"""rota as process 1 of a container: it reaps whatever is left to it, takes no signal that is not meant for it, passes
none on, stops in time, and says how it ended. The container is a pid namespace."""
import os
import signal
import socket
import time
import unittest

import processes
import rota_testing
from load import TOOLS
from rota_testing import PYTHON, SCRIPTED, RotaCase, wait_for

AS_PROCESS_1 = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
ORPHANS = 10000 if rota_testing.RELEASE else 2000
IGNORED = ("WINCH", "PIPE", "TSTP", "TTIN", "TTOU", "CONT", "URG", "ALRM", "VTALRM", "PROF", "IO", "PWR")


@unittest.skipUnless(os.geteuid() == 0, "a pid namespace needs root")
class Process1(RotaCase):
    def contain(self, apps, prefix=AS_PROCESS_1, **top):
        """A daemon whose keeper is process 1; daemon.pid is its number outside."""
        daemon = self.start("run", "-c", self.write_config(apps, **top), prefix=prefix)
        def child():
            with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children", encoding="ascii") as file:
                return file.read().split()[:1]
        daemon.pid = int(wait_for(child, 15, "process 1")[0])
        daemon.signal = lambda number: os.kill(daemon.pid, number)
        daemon.address
        self.assertEqual(processes.status_field(daemon.pid, "NSpid").split()[-1], "1")
        return daemon

    def zombies(self, daemon):
        return [p for p in daemon.tree() if p.state == "Z"]

    def test_orphans_are_reaped(self):
        app = self.scripted(1, start_timeout="120s")
        app["command"] = ["/bin/sh", "-c", f"{TOOLS}/orphans {ORPHANS} && touch {self.folder}/done && exec \"$@\"", "sh", *SCRIPTED]
        daemon = self.contain({"web": app})
        before = processes.memory(daemon.pid)
        began = time.monotonic()
        wait_for(lambda: (self.folder / "done").exists(), 100, f"{ORPHANS} orphans")
        daemon.wait_workers(1)
        wait_for(lambda: not self.zombies(daemon), 5, "the end of the zombies")
        self.assertEqual(len([p for p in daemon.tree() if "orphans" in p.command and p.command != "sh"]), 0)
        self.assertLess(processes.memory(daemon.pid) - before, 4 << 20)
        print(f"\nmeasured: {ORPHANS} orphans reaped in {time.monotonic() - began:.1f} s, no zombie", flush=True)
        self.ends_with(daemon, 0)

    def ends_with(self, daemon, code):
        daemon.tree()
        os.kill(daemon.pid, signal.SIGTERM)
        self.assertEqual(daemon.wait(), code)
        daemon.assert_nothing_left()

    def test_daemons_that_workers_left_end_with_it(self):
        """They have a session of their own and are nobody's children but process 1's."""
        app = self.scripted(1)
        leave = "(setsid sh -c 'trap \"\" TERM; echo up > \"$0\"; while :; do sleep 0.1; done' \"$0\" &) ; exec \"$@\""
        app["command"] = ["/bin/sh", "-c", leave, str(self.folder / "up"), *SCRIPTED]
        daemon = self.contain({"web": app})
        daemon.wait_workers(1)
        wait_for(lambda: (self.folder / "up").exists(), what="the daemon")
        self.ends_with(daemon, 0)

    def test_no_signal_is_passed_on_and_those_without_a_meaning_are_ignored(self):
        daemon = self.contain({"web": self.scripted(2, env={"JOURNAL_SIGNALS": "1"})})
        pids = daemon.wait_workers(2)
        for name in (*IGNORED, "USR1", "USR2"):
            daemon.signal(getattr(signal, "SIG" + name))
            daemon.signal(signal.SIGRTMIN + 3)
        for _ in range(2000):
            daemon.signal(signal.SIGCHLD)
        for _ in range(10):
            self.assertEqual(daemon.get("/").status, 200)
        self.assertEqual(daemon.wait_workers(2), pids)
        self.assertEqual(self.journal("signal"), [])
        self.ends_with(daemon, 0)
        self.assertEqual({e["name"] for e in self.journal("signal")}, {str(signal.SIGTERM.value)})

    def test_a_second_term_skips_the_drain_and_a_third_kills(self):
        app = self.scripted(1, env={"IGNORE_TERM": "1"}, stop={"drain": "60s", "grace": "60s"})
        daemon = self.contain({"web": app}, shutdown={"timeout": "120s"})
        daemon.wait_workers(1)
        with daemon.client() as client:
            client.send(b"GET /gate/never HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/never")
            daemon.signal(signal.SIGTERM)
            daemon.wait_log("stopping: requests in flight have 5[89] s; a second signal does not wait for them")
            self.assertEqual(self.journal("term"), [])
            daemon.signal(signal.SIGTERM)
            daemon.wait_log("a second signal: requests in flight are not waited for")
            self.wait_journal("term")
            self.assertIsNone(daemon.process.poll())
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(10), 1)
        wait_for(lambda: not daemon.left_processes(), 5, "the end of every process")
        daemon.checked = True

    def test_the_stop_is_bounded_whatever_the_workers_do(self):
        app = self.scripted(2, env={"IGNORE_TERM": "1", "GRANDCHILD": "1"}, stop={"drain": "60s", "grace": "60s"})
        daemon = self.contain({"web": app}, shutdown={"timeout": "1s"})
        daemon.wait_workers(2)
        began = time.monotonic()
        self.ends_with(daemon, 0)
        self.assertLess(time.monotonic() - began, 5 * rota_testing.PATIENCE)

    # Exit codes; the process that waits for the container sees them ----------------------------------------------------

    def code(self, apps, prefix=AS_PROCESS_1, arguments=(), **top):
        arguments = arguments or ("run", "-c", self.write_config(apps, **top))
        daemon = self.ends(*arguments, prefix=prefix, timeout=60)
        daemon.assert_nothing_left()
        return daemon.code

    def test_69_when_no_app_became_ready(self):
        arguments = ("run", "--listen", "127.0.0.1:0", "--runtime-dir", self.folder / "run", "--", PYTHON, "-c", "raise SystemExit(4)")
        self.assertEqual(self.code({}, arguments=arguments), 69)

    def test_73_when_an_address_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            self.assertEqual(self.code({"web": self.hello(1)}, listen=f"127.0.0.1:{other.getsockname()[1]}"), 73)

    def test_75_when_it_runs_already(self):
        first = self.contain({"web": self.hello(1)})
        first.wait_workers(1)
        second = self.ends("run", "-c", self.folder / "rota.yaml", prefix=AS_PROCESS_1)
        self.assertEqual(second.code, 75, second.log)
        second.checked = True
        self.ends_with(first, 0)

    def test_77_when_it_may_not(self):
        os.chmod(self.folder, 0o777)
        self.assertEqual(self.code({"web": {**self.hello(1), "user": "root"}}, prefix=[*AS_PROCESS_1, *AS_NOBODY]), 77)

    def test_78_when_the_configuration_is_wrong(self):
        self.assertEqual(self.code({"web": {"command": "no-such-program"}}), 78)

    def test_2_when_the_command_line_is_wrong(self):
        self.assertEqual(self.code({}, arguments=("run", "--no-such-option")), 2)


if __name__ == "__main__":
    rota_testing.main()
