"""Every failure to start says in a sentence what to do, ends with the exit code that is documented for it, and leaves
nothing half-started."""
import json
import os
import shutil
import socket
import unittest

import rota_testing
from rota_testing import RotaCase

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
is_root = os.getuid() == 0


class StartFailures(RotaCase):
    def fails(self, config, code, *words, **top):
        path = config if hasattr(config, "read_text") else self.write_config(config, **top)
        daemon = self.ends(path)
        self.assertEqual(daemon.code, code, daemon.log)
        for word in words:
            self.assertIn(word, daemon.log)
        daemon.assert_nothing_left()
        return daemon

    def test_a_missing_file(self):
        self.fails(self.folder / "nowhere.yaml", 78, "nowhere.yaml")

    def test_a_broken_file(self):
        path = self.folder / "rota.yaml"
        path.write_text("listen: 8080\napps: [\n")
        self.fails(path, 78, "rota.yaml:")

    def test_an_unknown_key(self):
        daemon = self.fails({"web": {**self.hello(1), "helth": "/"}}, 78, "helth", "health")
        self.assertRegex(daemon.log, r"rota\.yaml:\d+:\d+: ")

    def test_a_missing_command(self):
        self.fails({"web": {"command": "no-such-program --port 1"}}, 78, "no-such-program")

    def test_a_command_that_is_not_executable(self):
        (self.folder / "app").write_text("#!/bin/sh\n")
        self.fails({"web": {"command": "./app"}}, 78, "app", "execut")

    def test_a_missing_directory(self):
        self.fails({"web": {**self.hello(1), "directory": "/no/such/place"}}, 78, "/no/such/place")

    def test_an_unknown_user(self):
        code = 78 if is_root else 77
        self.fails({"web": {**self.hello(1), "user": "no-such-user"}}, code, "no-such-user")

    def test_an_unknown_user_of_the_proxy(self):
        self.fails({"web": self.hello(1)}, 78 if is_root else 77, "no-such-user", user="no-such-user")

    def test_a_runtime_directory_too_long_for_a_socket(self):
        long = str(self.folder / ("x" * 100))
        self.fails({"web": self.hello(1)}, 78, "107", runtime_dir=long)
        self.assertFalse(os.path.exists(long))

    def test_a_runtime_directory_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        daemon = self.ends(self.write_config({"web": self.hello(1)}, runtime_dir=str(self.folder / "file" / "run")))
        self.assertIn(daemon.code, (73, 78), daemon.log)
        self.assertIn("file", daemon.log)
        daemon.assert_nothing_left(self.folder / "nothing")

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.fails({"web": self.scripted(1)}, 73, str(port), "in use", listen=f"127.0.0.1:{port}")
        self.assertEqual(self.journal("started"), [], "a worker was started although the port was taken")

    def test_one_port_of_several_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.fails({"web": self.scripted(1)}, 73, str(port), listen=["127.0.0.1:0", f"127.0.0.1:{port}"])

    def test_a_unix_socket_in_use(self):
        path = str(self.folder / "front.sock")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            self.fails({"web": self.hello(1)}, 73, "front.sock", listen=f"unix:{path}")
        self.assertTrue(os.path.exists(path), "another program's socket was removed")

    def test_an_address_that_is_not_ours(self):
        self.fails({"web": self.hello(1)}, 73, "192.0.2.1", listen="192.0.2.1:8080")

    def test_a_second_start(self):
        first = self.serve({"web": self.hello(1)})
        first.wait_workers(1)
        second = self.ends(self.folder / "rota.yaml")
        self.assertEqual(second.code, 75, second.log)
        self.assertIn("already", second.log)
        second.checked = True
        self.assertEqual(first.get("/").status, 200, "the first goes on")

    def test_no_arguments_that_make_sense(self):
        for arguments in (("run", "--no-such-option"), ("no-such-command",), ()):
            with self.subTest(arguments):
                self.assertEqual(self.ends(*arguments).code, 2)

    @unittest.skipUnless(is_root and shutil.which("setpriv"), "needs root to become nobody")
    def test_a_port_that_is_not_permitted(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            first = int(file.read())
        if first < 2:
            self.skipTest("every port is permitted to everybody here")
        self.as_nobody({"web": self.hello(1)}, 77, "127.0.0.1:1", "privilege", listen="127.0.0.1:1")

    @unittest.skipUnless(is_root and shutil.which("setpriv"), "needs root to become nobody")
    def test_another_user_without_being_root(self):
        self.as_nobody({"web": {**self.hello(1), "user": "root"}}, 77, "root")

    def as_nobody(self, apps, code, *words, **top):
        os.chmod(self.folder, 0o777)
        daemon = self.ends("run", "-c", self.write_config(apps, **top), prefix=AS_NOBODY)
        self.assertEqual(daemon.code, code, daemon.log)
        for word in words:
            self.assertIn(word, daemon.log)
        daemon.assert_nothing_left()

    def test_every_mistake_is_told_at_once(self):
        apps = {"web": {**self.hello(1), "helth": "/"}, "api": {"command": "no-such-program"}, "old": {}}
        daemon = self.fails(apps, 78, "helth", "no-such-program", "old")
        self.assertEqual(daemon.out, "")

    def test_starts_that_hang_hold_up_nobody_for_long(self):
        """As many as may start at once hang: the next one starts all the same, long before their time is over."""
        hanging = max(2, len(os.sched_getaffinity(0)))
        app = self.scripted(hanging + 1, start_timeout="10m", stop={"grace": "100ms"})
        app["command"] = ["/bin/sh", "-c", 'test "$WORKER_ID" -lt "$0" && exec sleep 3600; exec "$@"', str(hanging), *rota_testing.SCRIPTED]
        daemon = self.serve({"web": app})
        daemon.wait_log(rf"web\.{hanging} ready", timeout=30)
        self.assertEqual(daemon.get("/").status, 200)

    def test_json_is_accepted_as_the_yaml_it_is(self):
        path = self.write_config({"web": self.hello(1)})
        json.loads(path.read_text())
        self.start(path).wait_workers(1)


if __name__ == "__main__":
    rota_testing.main()
