"""HUP: what changed is in force, nobody notices, and what cannot be done changes nothing."""
import json
import os
import re
import signal
import socket
import time

import processes
import rota_testing
from rota_testing import Load, RotaCase, wait_for


class ReloadCase(RotaCase):
    def run_two(self, workers=2, **more):
        self.app = self.scripted(workers, **more)
        daemon = self.serve({"web": self.app})
        self.pids = daemon.wait_workers(workers)
        daemon.wait_log("ready: ")
        return daemon

    def release(self, **env):
        """The app as it is, with another environment: a release of it."""
        return {**self.app, "env": {**self.app["env"], "RELEASE": str(time.monotonic_ns()), **env}}

    def hup(self, daemon, apps=None, result="reloaded", **top):
        """Writes the file anew, sends HUP and waits for the word of the end."""
        if apps is not None:
            top.setdefault("listen", "127.0.0.1:0")
            self.write_config(apps, **top)
        pattern = r"(reloaded|reload failed)[^\n]*"
        before = len(self.results(daemon, pattern))
        daemon.signal(signal.SIGHUP)
        match = daemon.wait_log(pattern, 60, before + 1)
        self.assertEqual(match[1], result, match[0])
        return match[0]

    def results(self, daemon, pattern):
        return re.findall(pattern, daemon.log)

    def pids_now(self, daemon):
        return {p.pid for p in daemon.workers("scripted_worker")}


class Reload(ReloadCase):
    def test_a_new_release_replaces_every_worker_and_no_client_notices(self):
        daemon = self.run_two(3)
        with Load(daemon.address) as load:
            said = self.hup(daemon, {"web": self.release()})
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertIn("3 of 3 workers of web replaced", said)
        wait_for(lambda: not self.pids_now(daemon) & set(self.pids.values()), what="the old workers' end")
        self.assertEqual(set(daemon.wait_workers(3)), {0, 1, 2})
        self.assertEqual(len(self.journal("term")), 3)
        daemon.stop()

    def test_the_old_worker_finishes_what_it_has(self):
        daemon = self.run_two(1)
        with daemon.client() as slow:
            slow.send(b"GET /gate/late HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/late")
            self.hup(daemon, {"web": self.release()})
            self.assertNotEqual(daemon.wait_workers(1), self.pids)
            self.open_gate("late")
            response = slow.response()
        self.assertEqual((response.status, response.text), (200, f"0 {self.pids[0]}\n"))

    def check_bad_release(self, why, **env):
        daemon = self.run_two(2, start_timeout="1s", restart={"delay": "50ms"}, stop={"grace": "200ms"})
        with Load(daemon.address) as load:
            said = self.hup(daemon, {"web": self.release(**env) | {"start_timeout": "1s", "stop": {"grace": "200ms"}}},
                            "reload failed")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertIn("the new worker of web.", said)
        self.assertIn(why, said)
        wait_for(lambda: self.pids_now(daemon) == set(self.pids.values()), what="nothing but the old workers")
        # They come back as what they were.
        os.kill(self.pids[1], signal.SIGKILL)
        wait_for(lambda: daemon.wait_workers(2)[1] != self.pids[1], what="a new worker")
        environment = json.loads(daemon.get("/environment").text)
        self.assertNotIn("RELEASE", environment)
        daemon.stop()
        return daemon

    def test_a_release_that_exits_at_once_is_given_up(self):
        daemon = self.check_bad_release("exit code 5", EXIT_AT_START="5")
        self.assertIn("said: the database is not there", daemon.log)

    def test_a_release_that_never_listens_is_given_up(self):
        self.check_bad_release("not ready within 1", NEVER_LISTEN="1")

    def test_a_release_that_listens_and_dies_soon_after_is_given_up(self):
        daemon = self.check_bad_release("exit code 7", DIE_AFTER="0.5")
        self.assertIn("said: the cache is corrupt", daemon.log)

    def test_a_broken_file_changes_nothing_and_says_what_is_wrong(self):
        daemon = self.run_two()
        (self.folder / "rota.yaml").write_text("listen: 1\napps:\n  web:\n    comand: x\n")
        said = self.hup(daemon, result="reload failed")
        self.assertIn("rota.yaml:", said)
        self.assertIn('"comand"', daemon.log)
        (self.folder / "rota.yaml").unlink()
        self.hup(daemon, result="reload failed")
        self.assertEqual(daemon.wait_workers(2), self.pids)

    def test_nothing_changed(self):
        daemon = self.run_two()
        self.assertIn("nothing has changed", self.hup(daemon))
        self.assertEqual(daemon.wait_workers(2), self.pids)

    def test_workers_from_two_to_four_to_one(self):
        daemon = self.run_two()
        with Load(daemon.address) as load:
            self.assertIn("web from 2 to 4 workers", self.hup(daemon, {"web": {**self.app, "workers": 4}}))
            four = daemon.wait_workers(4)
            self.hup(daemon, {"web": {**self.app, "workers": 1}})
            wait_for(lambda: self.pids_now(daemon) == {self.pids[0]}, what="one worker")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual({slot: four[slot] for slot in (0, 1)}, self.pids)

    def test_listeners_come_and_go_and_connections_stay(self):
        socket_path = self.folder / "web.sock"
        daemon = self.run_two()
        stays = daemon.client()
        self.assertEqual(stays.get("/").status, 200)
        self.hup(daemon, {"web": self.app}, listen=["127.0.0.1:0", f"unix:{socket_path}"])
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(socket_path))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200"))
            self.hup(daemon, {"web": self.app})
            # A connection is not its listener: it goes on.
            wait_for(lambda: not socket_path.exists(), what="the socket's removal")
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: connection.recv(100), what="an answer")
        self.assertEqual(stays.get("/").status, 200)
        stays.close()
        self.assertEqual(daemon.wait_workers(2), self.pids)

    def test_an_address_in_use_changes_nothing(self):
        daemon = self.run_two()
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            said = self.hup(daemon, {"web": self.release()}, "reload failed",
                            listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
        self.assertIn(f"cannot listen on 127.0.0.1:{port}", said)
        self.assertEqual(daemon.wait_workers(2), self.pids)
        self.assertEqual(self.journal("term"), [])

    def test_from_one_address_to_all_without_a_refused_connection(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.app = self.scripted(1)
        daemon = self.serve({"web": self.app}, listen=f"127.0.0.1:{port}")
        daemon.wait_workers(1)
        self.hup(daemon, {"web": self.app}, listen=port)
        with rota_testing.Client(("127.0.0.1", port)) as client:
            self.assertEqual(client.get("/").status, 200)

    def test_a_changed_env_file_is_a_release(self):
        env_file = self.folder / "web.env"
        env_file.write_text("COLOUR=red\n")
        daemon = self.run_two(env_file=str(env_file))
        self.assertEqual(json.loads(daemon.get("/environment").text)["COLOUR"], "red")
        env_file.write_text("COLOUR=green\n")
        self.hup(daemon)
        self.assertEqual(json.loads(daemon.get("/environment").text)["COLOUR"], "green")

    def test_a_stop_in_the_middle_ends_everything(self):
        daemon = self.run_two()
        self.write_config({"web": self.release(LISTEN_GATE="never")})
        daemon.signal(signal.SIGHUP)
        self.wait_journal("started", 3)
        daemon.stop()


class Crash(ReloadCase):
    """A crash is never a reload, and a reload survives one."""

    def kill_supervisor(self, daemon):
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGKILL)
        def other():
            process = daemon.role("supervisor")
            return process if process and process.pid != before else None
        wait_for(other, 15, "a new supervisor")
        daemon.wait_log("took over")

    def test_an_edited_or_broken_file_means_nothing_to_a_crash(self):
        daemon = self.run_two()
        for text in (json.dumps({"listen": 1, "apps": {}}), "a: [", None):
            if text is None:
                (self.folder / "rota.yaml").unlink()
            else:
                (self.folder / "rota.yaml").write_text(text)
            took = len(self.results(daemon, "took over"))
            os.kill(daemon.role("supervisor").pid, signal.SIGKILL)
            daemon.wait_log("took over 2 running workers", 15, took + 1)
            self.assertEqual(daemon.wait_workers(2), self.pids)
        self.assertEqual(self.journal("term"), [])
        self.hup(daemon, {"web": self.app})
        daemon.stop()

    def test_a_supervisor_that_dies_in_a_rollout_is_followed_by_one_that_finishes_it(self):
        daemon = self.run_two(3)
        with Load(daemon.address) as load:
            self.write_config({"web": self.release()})
            daemon.signal(signal.SIGHUP)
            daemon.wait_log(r"web\.\d replaced")
            self.kill_supervisor(daemon)
            wait_for(lambda: not self.pids_now(daemon) & set(self.pids.values()), 30, "the old workers' end")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual(len(self.pids_now(daemon)), 3)
        self.assertIn("RELEASE", json.loads(daemon.get("/environment").text))
        daemon.stop()

    def test_a_failed_reload_is_not_tried_again_by_a_crash(self):
        daemon = self.run_two(2, restart={"delay": "50ms"})
        self.hup(daemon, {"web": self.release(EXIT_AT_START="5")}, "reload failed")
        started = len(self.journal("started"))
        self.kill_supervisor(daemon)
        self.assertEqual(daemon.wait_workers(2), self.pids)
        self.assertEqual(len(self.journal("started")), started)


class Notify(ReloadCase):
    """What the service manager is told."""

    def start_notified(self, **environment):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        path = str(self.folder / "notify")
        self.manager.bind(path)
        self.manager.settimeout(20)
        self.told = []
        self.app = self.scripted(2)
        return self.start("run", "-c", self.write_config({"web": self.app}),
                          environment={"NOTIFY_SOCKET": path, **environment})

    def wait_told(self, beginning):
        while True:
            text = self.manager.recv(4096).decode()
            self.told.append(text)
            if text.startswith(beginning):
                return text

    def test_ready_reloading_status_and_stopping(self):
        daemon = self.start_notified()
        self.assertRegex(self.wait_told("STATUS=Serving on 127.0.0.1:"), r"; web: \d of 2 workers ready$")
        if "READY=1" not in self.told:
            self.wait_told("READY=1")
        before = time.monotonic_ns() // 1000
        self.write_config({"web": self.release()})
        daemon.signal(signal.SIGHUP)
        reloading = self.wait_told("RELOADING=1")
        usec = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)[1])
        self.assertTrue(before <= usec <= time.monotonic_ns() // 1000)
        self.assertIn("1 of 2 workers of web replaced; serving on", self.wait_told("STATUS=Reloading, 1"))
        self.wait_told("READY=1")
        (self.folder / "rota.yaml").write_text("a: [")
        daemon.signal(signal.SIGHUP)
        self.wait_told("RELOADING=1")
        self.assertIn("(reload failed: ", self.wait_told("STATUS=Serving"))
        self.wait_told("READY=1")
        with daemon.client() as slow:
            slow.send(b"GET /gate/late HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/late")
            daemon.signal(signal.SIGTERM)
            self.wait_told("STOPPING=1")
            self.wait_told("STATUS=Stopping: waiting for clients")
            self.open_gate("late")
            self.assertEqual(slow.response().status, 200)
        self.assertEqual(daemon.wait(), 0)

    def test_the_watchdog_is_fed_by_a_keeper_that_turns_and_by_no_other(self):
        daemon = self.start_notified(WATCHDOG_USEC="200000")
        self.wait_told("READY=1")
        for _ in range(3):
            self.wait_told("WATCHDOG=1")
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: processes.is_stopped(daemon.pid), what="a stopped keeper")
            self.manager.settimeout(0)
            with self.assertRaises(BlockingIOError):
                while True:
                    self.manager.recv(4096)  # what it said before
            self.manager.settimeout(1)
            with self.assertRaises(TimeoutError):
                self.manager.recv(4096)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        self.manager.settimeout(20)
        self.wait_told("WATCHDOG=1")


if __name__ == "__main__":
    rota_testing.main()
