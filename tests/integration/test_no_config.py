"""`rota run -- COMMAND`: no file at all."""
import json
import os
import shutil
import socket
import sys
import unittest

import rota_testing
from rota_testing import HELLO, SCRIPTED, TREE, RotaCase

FREE = ("--listen", "127.0.0.1:0")


class NoConfig(RotaCase):
    def run_dir(self):
        return ("--runtime-dir", str(self.folder / "run"))

    def test_a_command_and_a_number_of_workers(self):
        daemon = self.start("run", *FREE, *self.run_dir(), "--workers", "3", "--", HELLO)
        self.assertEqual(sorted(daemon.wait_workers(3)), [0, 1, 2])
        self.assertEqual(len(daemon.workers("hello")), 3)
        daemon.stop()

    def test_as_many_workers_as_processors_without_a_number(self):
        daemon = self.start("run", *FREE, *self.run_dir(), "--", HELLO)
        count = len(os.sched_getaffinity(0))
        daemon.wait_workers(1)
        rota_testing.wait_for(lambda: 1 <= len(daemon.workers("hello")) <= count, what="the workers")

    def test_the_default_address(self):
        try:
            socket.create_server(("127.0.0.1", 8080)).close()
        except OSError:
            self.skipTest("port 8080 is taken on this machine")
        daemon = self.start("run", *self.run_dir(), "--workers", "1", "--", HELLO)
        self.assertEqual(daemon.address, ("127.0.0.1", 8080))
        daemon.wait_workers(1)

    def test_the_default_runtime_directory_is_private_to_the_user(self):
        environment = {"XDG_RUNTIME_DIR": str(self.folder), "RUNTIME_DIRECTORY": str(self.folder / "run")}
        daemon = self.start("run", *FREE, "--workers", "1", "--", HELLO, environment=environment)
        daemon.wait_workers(1)
        self.assertTrue((self.folder / "run" / "app").is_dir())

    def test_options_of_the_command_are_the_command_s(self):
        daemon = self.start("run", *FREE, *self.run_dir(), "--workers", "1", "--", *SCRIPTED, "--workers", "9", "-c", "x")
        daemon.wait_workers(1)
        self.assertIn("--workers 9 -c x", daemon.workers()[0].command)

    def test_a_worker_inherits_the_environment_and_the_directory(self):
        daemon = self.start("run", *FREE, *self.run_dir(), "--workers", "1", "--", *SCRIPTED,
                            environment={"GREETING": "hi there", "NOTIFY_SOCKET": "/run/x"})
        daemon.wait_workers(1)
        variables = json.loads(daemon.get("/environment").text)
        self.assertEqual(variables["GREETING"], "hi there")
        self.assertEqual(variables["cwd"], str(self.folder))
        self.assertEqual(variables["WORKER_ID"], "0")
        self.assertTrue(variables["PORT"].startswith(str(self.folder / "run")), variables["PORT"])
        self.assertNotIn("NOTIFY_SOCKET", variables)

    def test_an_app_that_always_ends_is_an_exit_code_of_69(self):
        script = "import sys; print('no database', file=sys.stderr); sys.exit(4)"
        daemon = self.ends("run", *FREE, *self.run_dir(), "--workers", "2", "--", sys.executable, "-c", script, timeout=60)
        self.assertEqual(daemon.code, 69, daemon.log)
        self.assertIn("no database", daemon.log, "the worker's own words")
        self.assertRegex(daemon.log, r"\b4\b")
        daemon.assert_nothing_left()

    def test_a_missing_command_is_an_exit_code_of_78(self):
        daemon = self.ends("run", *FREE, *self.run_dir(), "--", "no-such-program")
        self.assertEqual(daemon.code, 78, daemon.log)
        self.assertIn("no-such-program", daemon.log)

    def test_no_command_and_no_file_is_a_mistake_of_usage(self):
        self.assertIn(self.ends("run", *FREE, *self.run_dir()).code, (2, 78))

    def test_a_bad_address_is_told(self):
        daemon = self.ends("run", "--listen", "127.0.0.1:notaport", *self.run_dir(), "--", HELLO)
        self.assertIn(daemon.code, (2, 78))
        self.assertIn("notaport", daemon.log)

    def test_the_command_line_overrides_the_file(self):
        path = self.write_config({"web": self.hello(4)}, listen="127.0.0.1:1")
        daemon = self.start("run", "-c", path, *FREE, "--workers", "2")
        self.assertEqual(sorted(daemon.wait_workers(2)), [0, 1])
        self.assertEqual(len(daemon.workers("hello")), 2)

    @unittest.skipUnless(shutil.which("node"), "Node is not installed (scripts/setup --test)")
    def test_a_plain_node_server(self):
        (self.folder / "server.js").write_text(
            "require('http').createServer((q, s) => s.end(`slot ${process.env.WORKER_ID} (pid ${process.pid})`))"
            ".listen(process.env.PORT || 3000)\n")
        daemon = self.start("run", *FREE, *self.run_dir(), "--workers", "2", "--", "node", "server.js")
        daemon.wait_workers(2)
        daemon.stop()


class Demo(RotaCase):
    def test_the_demo_s_configuration_serves(self):
        """conf/demo.yaml as it is, but with the binary of this build and a free port."""
        text = (TREE / "conf/demo.yaml").read_text()
        self.assertIn("build/release/hello", text)
        path = self.folder / "demo.yaml"
        path.write_text(text.replace("build/release/hello", HELLO).replace("directory: ..", f"directory: {TREE}"))
        daemon = self.start("run", "-c", path, *FREE, "--runtime-dir", str(self.folder / "run"))
        daemon.wait_workers(4)
        self.assertRegex(daemon.get("/").text, r"^hello from slot \d \(pid \d+\)\n$")
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
