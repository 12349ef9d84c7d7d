"""Workers and machines that misbehave, one kind after the other: what rota cannot mend it survives, says, and keeps away
from everybody else. (A jump of the monotonic clock cannot be made on one machine: it does not jump, and a time
namespace only shifts it once. rota reads no other clock but for stamps.)"""
import os
import shutil
import signal
import socket
import threading
import time
import unittest

import rota_testing
from rota_testing import SCRIPTED, RotaCase, wait_for

needs_root = unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root")
QUICK = {"path": "/healthz", "interval": "200ms", "timeout": "2s", "unhealthy_after": 2}


class Workers(RotaCase):
    def all_answer(self, daemon, slot, count=30):
        """Every request is answered, and by this slot."""
        for _ in range(count):
            response = daemon.get("/")
            self.assertEqual((response.status, response.text.split()[0]), (200, str(slot)))

    def slot_alone(self, daemon, slot):
        wait_for(lambda: {daemon.get("/").text.split()[0] for _ in range(6)} == {str(slot)}, 20, f"slot {slot} alone")

    def test_one_that_never_becomes_ready_is_replaced_with_its_reason(self):
        app = self.scripted(2, env={"NEVER_LISTEN": "1", "SLOTS": "1"}, start_timeout="500ms", restart={"delay": "100ms"})
        daemon = self.serve({"web": app})
        daemon.wait_workers(1)
        self.wait_journal("started", 3, slot="1")
        self.assertRegex(daemon.log, r"web\.1 .*(not ready|did not|listen)")
        self.all_answer(daemon, 0)
        self.assertLessEqual(len(daemon.workers("scripted")), 2)
        daemon.stop()

    def test_one_that_forks_and_exits_leaves_nothing_behind(self):
        app = self.scripted(2, restart={"delay": "50ms", "max_delay": "100ms"})
        app["command"] = ["/bin/sh", "-c", "test $ROTA_SLOT = 0 && exec \"$@\"; \"$@\" & exit 0", "sh", *SCRIPTED]
        daemon = self.serve({"web": app})
        self.slot_alone(daemon, 0)
        daemon.wait_log(r"web\.1.*exit code 0", count=5)
        self.all_answer(daemon, 0)
        # What the last shell has left may still be there, and never more than that.
        wait_for(lambda: len(daemon.workers("scripted")) <= 3, 5, "the end of those that were left")
        daemon.stop()

    def test_one_that_closes_its_listener_and_lives(self):
        daemon = self.serve({"web": self.scripted(2, health=QUICK)})
        daemon.wait_workers(2)
        with daemon.client() as client:
            slot = client.request("POST", "/close-listener").text.split()[0]
        other = 1 - int(slot)
        for _ in range(30):
            self.assertEqual(daemon.get("/").status, 200)
        self.slot_alone(daemon, other)
        daemon.stop()

    def test_a_full_backlog_is_busy_and_not_dead(self):
        daemon = self.serve({"web": self.scripted(1, env={"BACKLOG": "1", "ACCEPT_GATE": "open"}, health={
            "path": "/healthz", "interval": "60s", "timeout": "30s"}, queue={"timeout": "30s"})})
        self.open_gate("open")
        pid = daemon.wait_workers(1)[0]
        self.close_gate("open")
        results = []
        def ask():
            with daemon.client(60) as client:
                client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
                results.append(client.response("POST").status)
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)  # so long that a proxy that took it for dead would have said so
        self.open_gate("open")
        for thread in threads:
            thread.join()
        self.assertEqual(results, [200] * 20)
        self.assertEqual(daemon.wait_workers(1)[0], pid)
        daemon.stop()

    def sockets(self, slot):
        return list((self.folder / "run" / "web").glob(f"{slot}-*.sock"))

    def test_a_socket_file_that_another_stands_in_for(self):
        daemon = self.serve({"web": self.scripted(2, health=QUICK)})
        daemon.wait_workers(2)
        for path in self.sockets(0):
            path.unlink()
            path.write_text("not a socket")
        for _ in range(30):
            with daemon.client() as client:
                self.assertEqual(client.request("POST", "/echo", body=b"x").status, 200)
        self.slot_alone(daemon, 1)
        daemon.stop()

    @needs_root
    def test_a_socket_file_that_the_proxy_may_not_use(self):
        daemon = self.serve({"web": self.scripted(2, health=QUICK)})
        daemon.wait_workers(2)
        for path in self.sockets(0):
            path.chmod(0)
        for _ in range(60):
            with daemon.client() as client:
                self.assertEqual(client.request("POST", "/echo", body=b"x").status, 200)
        daemon.stop()

    def test_sockets_of_a_rota_before(self):
        folder = self.folder / "run" / "web"
        folder.mkdir(parents=True)
        (self.folder / "run").chmod(0o711)
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(folder / "0-1.sock"))
        stale.close()
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        self.assertFalse((folder / "0-1.sock").exists())
        daemon.stop()


@needs_root
class Machine(RotaCase):
    """A file system, or a limit, of the daemon's own."""

    def mounted(self, where, options, ending="exec \"$@\""):
        where.mkdir(exist_ok=True)
        return ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o {options} tmpfs \"$0\" && {ending}", str(where)]

    def test_a_full_disk_below_the_access_log_stops_no_request(self):
        where = self.folder / "small"
        # Room for a moment, then none.
        prefix = self.mounted(where, "size=16k,mode=755")
        daemon = self.start("run", "-c", self.write_config({"web": self.hello(2)}, access_log=str(where / "access.log")),
                            prefix=prefix)
        daemon.wait_workers(2)
        for _ in range(300):
            self.assertEqual(daemon.get("/").status, 200)
        daemon.wait_log(r"access log", timeout=20)
        daemon.stop()

    def test_a_full_disk_below_an_app_s_log_file_stops_no_request(self):
        where = self.folder / "small"
        app = self.scripted(2, log={"file": str(where / "web.log")})
        self.needs({"web": app})
        daemon = self.start("run", "-c", self.write_config({"web": app}), prefix=self.mounted(where, "size=16k,mode=755"))
        daemon.wait_workers(2)
        for number in range(200):
            self.assertEqual(daemon.get(f"/print?line={'x' * 200}{number}").status, 200)
        self.assertIsNone(daemon.process.poll())
        daemon.stop()

    def test_a_runtime_folder_that_takes_no_more_files(self):
        run = self.folder / "run"
        daemon = self.start("run", "-c", self.write_config({"web": self.hello(2)}), prefix=self.mounted(run, "nr_inodes=2,mode=711"))
        self.assertIn(daemon.wait(20), (71, 73), daemon.log)
        self.assertRegex(daemon.log, "(?i)no space")
        daemon.assert_nothing_left(self.folder / "nothing")

    def test_a_runtime_folder_that_is_read_only(self):
        run = self.folder / "run"
        prefix = self.mounted(run, "mode=711", "mount -o remount,ro \"$0\" && exec \"$@\"")
        daemon = self.start("run", "-c", self.write_config({"web": self.hello(2)}), prefix=prefix)
        self.assertIn(daemon.wait(20), (73, 77), daemon.log)
        self.assertRegex(daemon.log, "(?i)read-only")
        daemon.assert_nothing_left(self.folder / "nothing")

    def test_no_room_for_a_worker_s_socket_is_the_worker_s_trouble(self):
        """The folder has room for one socket: the slot that gets it serves, the other tries on."""
        run = self.folder / "run"
        daemon = self.start("run", "-c", self.write_config({"web": self.scripted(2, restart={"delay": "100ms"})}),
                            prefix=self.mounted(run, "nr_inodes=4,mode=711"))  # itself, lock, web/, one socket
        daemon.wait_workers(1)
        self.wait_journal("started", 4)
        for _ in range(20):
            self.assertEqual(daemon.get("/").status, 200)
        daemon.stop()


class Limits(RotaCase):
    # UBSan looks at objects through a pipe, and takes it amiss when there is none.
    @rota_testing.only_in_release
    def test_sixty_four_descriptors_are_enough_to_live(self):
        daemon = self.start("run", "-c", self.write_config({"web": self.hello(2)}), prefix=["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"])
        daemon.wait_workers(2)
        pids = {role: daemon.role(role).pid for role in ("supervisor", "proxy")}
        clients = []
        for _ in range(200):
            clients.append(socket.create_connection(daemon.address, 5))
        for client in clients[:50]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answered = sum(1 for client in clients[:10] if client.recv(100).startswith(b"HTTP/1.1 200"))
        self.assertEqual(answered, 10, "the first are served while the others wait")
        for client in clients:
            client.close()
        wait_for(lambda: daemon.get("/").status == 200, 20, "an answer")
        # A worker that dies is replaced although descriptors are scarce.
        before = daemon.wait_workers(2)
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: daemon.wait_workers(2)[0] != before[0], 20, "a new worker")
        self.assertEqual({role: daemon.role(role).pid for role in pids}, pids, "no role has died of it")
        daemon.stop()

    @needs_root
    def test_no_process_to_be_had_is_tried_again(self):
        os.chmod(self.folder, 0o777)
        # A user of its own: the limit counts all of a user's processes and threads.
        prefix = ["prlimit", "--nproc=14", "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=-all"]
        daemon = self.start("run", "-c", self.write_config({"web": self.scripted(16)}), prefix=prefix)
        daemon.wait_log(r"(?i)fork.*temporarily unavailable", timeout=30)
        self.assertIsNone(daemon.process.poll())
        wait_for(lambda: daemon.get("/").status == 200, 30, "an answer of those that could be started")
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
