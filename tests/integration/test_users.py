"""Who runs as whom: the proxy without any privilege, workers as their app says, and nobody else at their sockets."""
import json
import os
import pwd
import signal
import stat
import unittest

import processes
import rota_testing
from rota_testing import RotaCase, wait_for

NOBODY = pwd.getpwnam("nobody")


def ids(pid, field="Uid"):
    return {int(n) for n in processes.status_field(pid, field).split()}


@unittest.skipUnless(os.getuid() == 0, "needs root")
class AsRoot(RotaCase):
    def setUp(self):
        (self.folder / "journal").touch()
        (self.folder / "journal").chmod(0o666)  # for workers of another user

    def test_the_proxy_is_nobody_and_can_do_nothing(self):
        daemon = self.serve({"web": self.hello(1)})
        daemon.wait_workers(1)
        proxy = daemon.role("proxy").pid
        self.assertEqual(ids(proxy), {NOBODY.pw_uid})
        self.assertEqual(ids(proxy, "Gid"), {NOBODY.pw_gid})
        self.assertLessEqual({int(g) for g in processes.status_field(proxy, "Groups").split()}, {NOBODY.pw_gid})
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(processes.status_field(proxy, caps), 16), 0, caps)
        self.assertEqual(processes.status_field(proxy, "NoNewPrivs"), "1")
        self.assertEqual(ids(daemon.role("supervisor").pid), {0})
        self.assertEqual(ids(daemon.pid), {0})

    def test_the_proxy_is_another_user_when_it_is_asked_for(self):
        daemon = self.serve({"web": self.hello(1)}, user="daemon")
        daemon.wait_workers(1)
        self.assertEqual(ids(daemon.role("proxy").pid), {pwd.getpwnam("daemon").pw_uid})

    def test_a_worker_is_its_app_s_user(self):
        daemon = self.serve({"web": self.scripted(1, user="www-data")})
        daemon.wait_workers(1)
        worker = daemon.workers()[0].pid
        user = pwd.getpwnam("www-data")
        self.assertEqual((ids(worker), ids(worker, "Gid")), ({user.pw_uid}, {user.pw_gid}))
        self.assertEqual(int(processes.status_field(worker, "CapEff"), 16), 0)
        variables = json.loads(daemon.get("/environment").text)
        self.assertEqual(variables["HOME"], user.pw_dir)
        self.assertEqual(variables["USER"], "www-data")

    def test_only_the_worker_and_the_proxy_reach_the_socket(self):
        daemon = self.serve({"web": self.scripted(1, user="www-data")})
        daemon.wait_workers(1)
        run, app = os.stat(self.folder / "run"), os.stat(self.folder / "run" / "web")
        self.assertEqual(stat.S_IMODE(run.st_mode), 0o711)
        self.assertEqual(stat.S_IMODE(app.st_mode), 0o2750)
        self.assertEqual((app.st_uid, app.st_gid), (pwd.getpwnam("www-data").pw_uid, NOBODY.pw_gid))
        socket = next((self.folder / "run" / "web").glob("*.sock")).stat()
        self.assertEqual(stat.S_IMODE(socket.st_mode) & 0o007, 0)
        self.assertEqual(socket.st_gid, NOBODY.pw_gid)

    def test_the_directory_of_an_app_goes_with_its_user(self):
        """Changed by a reload, while the old worker is there; and kept by who comes back after a failed one."""
        app = self.scripted(1, user="www-data", start_timeout="5s", restart={"delay": "50ms"})
        daemon = self.serve({"web": app})
        before = daemon.wait_workers(1)
        folder = self.folder / "run" / "web"

        def hup(result, **more):
            self.write_config({"web": {**app, **more}}, listen="127.0.0.1:0")
            daemon.signal(signal.SIGHUP)
            daemon.wait_log(result, 60)

        hup(r"reloaded in [^\n]*1 of 1 workers of web replaced", user="daemon")
        daemon_user = pwd.getpwnam("daemon").pw_uid
        after = daemon.wait_workers(1)
        self.assertNotEqual(after, before)
        self.assertEqual(ids(after[0]), {daemon_user})
        self.assertEqual((folder.stat().st_uid, folder.stat().st_gid), (daemon_user, NOBODY.pw_gid))
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o2750)
        self.assertEqual(daemon.get("/").status, 200)
        wait_for(lambda: len(list(folder.glob("*.sock"))) == 1, what="the old worker's socket to go")
        hup("reload failed after", user="games", command=["/bin/false"])
        os.kill(after[0], signal.SIGKILL)
        wait_for(lambda: daemon.wait_workers(1) != after, what="the worker of before")
        self.assertEqual(folder.stat().st_uid, daemon_user)
        self.assertEqual(daemon.get("/").status, 200)

    def test_root_as_a_worker_s_user_is_warned_about(self):
        daemon = self.serve({"web": self.hello(1)})
        daemon.wait_workers(1)
        self.assertRegex(daemon.log, r"(?i)warning.*root")

    def test_a_closed_parent_directory_does_not_matter(self):
        os.chmod(self.folder, 0o700)
        daemon = self.serve({"web": self.hello(1)})
        self.assertEqual(daemon.get("/").status, 200)

    def test_workers_inherit_no_descriptor(self):
        daemon = self.serve({"web": {"command": ["/bin/sh", "-c", "ls -l /proc/self/fd > fds; exec sleep 1000"], "workers": 1,
                                     "directory": str(self.folder)}})
        path = self.folder / "fds"
        wait_for(lambda: path.exists() and path.read_text(), what="the list of descriptors")
        lines = [line.split()[-3] for line in path.read_text().splitlines() if "->" in line]
        self.assertEqual(sorted(lines), ["0", "1", "2", "3"], "3 is the directory that ls reads")
        self.assertIsNotNone(daemon)


class AsAnybody(RotaCase):
    def test_a_worker_is_a_session_and_group_of_its_own(self):
        daemon = self.serve({"web": self.hello(2)})
        daemon.wait_workers(2)
        for worker in daemon.workers("hello"):
            self.assertEqual((os.getpgid(worker.pid), os.getsid(worker.pid)), (worker.pid, worker.pid))
            self.assertEqual(int(processes.status_field(worker.pid, "SigIgn"), 16), 1 << 12, "SIGPIPE, by hello itself")
            self.assertEqual(int(processes.status_field(worker.pid, "SigBlk"), 16), 0)

    @unittest.skipUnless(os.getuid() == 0, "needs root to become nobody")
    def test_all_are_one_user_when_not_started_as_root(self):
        os.chmod(self.folder, 0o777)
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        daemon = self.start("run", "-c", self.write_config({"web": self.hello(1)}), prefix=prefix)
        daemon.wait_workers(1)
        self.assertEqual({uid for p in daemon.tree() for uid in ids(p.pid)}, {65534})


if __name__ == "__main__":
    rota_testing.main()
