"""The harness sees what it is there to see: what a test leaves behind fails it."""
import os
import signal
import subprocess
import sys

import rota_testing
from rota_testing import RotaCase, wait_for


class Harness(RotaCase):
    def ended(self):
        daemon = self.serve({"web": self.hello(1)})
        daemon.wait_workers(1)
        daemon.stop()
        return daemon

    def test_a_process_that_is_left_is_seen(self):
        daemon = self.ended()
        left = subprocess.Popen([sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"],
                                env={"ROTA_TEST_MARK": daemon.mark}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        left.stdout.readline()
        with self.assertRaisesRegex(AssertionError, "processes left"):
            daemon.assert_nothing_left()
        left.communicate()

    def test_a_file_that_is_left_is_seen(self):
        daemon = self.ended()
        (self.folder / "run" / "web").mkdir(exist_ok=True)
        path = self.folder / "run" / "web" / "0-1.sock"
        path.touch()
        with self.assertRaisesRegex(AssertionError, "files left"):
            daemon.assert_nothing_left()
        path.unlink()

    def test_a_sanitizer_report_of_each_role_is_seen(self):
        if not rota_testing.SANITIZE.startswith("address"):
            self.skipTest("not an ASan build")
        for role in ("proxy", "supervisor"):
            with self.subTest(role):
                daemon = self.serve({"web": self.hello(1)})
                daemon.wait_workers(1)
                before = daemon.role(role).pid
                os.kill(before, signal.SIGSEGV)
                wait_for(lambda: (now := daemon.role(role)) and now.pid != before, what=f"a new {role}")
                with self.assertRaisesRegex(AssertionError, "sanitizer"):
                    daemon.assert_clean_log()
                daemon.end()
                self.daemons.remove(daemon)

    def test_a_wrong_exit_code_is_seen(self):
        daemon = self.serve({"web": self.hello(1)})
        daemon.wait_workers(1)
        with self.assertRaisesRegex(AssertionError, "exit code 0, not 7"):
            daemon.stop(expected=7)
        daemon.assert_nothing_left()


if __name__ == "__main__":
    rota_testing.main()
