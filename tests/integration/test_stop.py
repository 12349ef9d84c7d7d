"""How rota ends: drain, one TERM, KILL after the grace period; exit code 0 and nothing left."""
import os
import signal
import time

import rota_testing
from rota_testing import RotaCase, wait_for


class Stop(RotaCase):
    def test_requests_in_flight_are_finished_before_any_worker_is_signalled(self):
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        with daemon.client() as client:
            client.send(b"GET /gate/go HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/go")
            daemon.signal(signal.SIGTERM)
            wait_for(lambda: not self._accepts(daemon), what="the listener to be closed")
            self.open_gate("go")
            self.assertEqual(client.response().status, 200)
            self.assertTrue(client.at_end())
        self.assertEqual(daemon.wait(), 0)
        terms = self.journal("term")
        self.assertEqual(len(terms), 2, "one TERM for each worker")
        answering = self.journal("answering")[0]["at"]
        self.assertGreater(min(e["at"] for e in terms), answering)
        daemon.assert_nothing_left()

    def test_a_worker_that_ignores_term_is_killed_after_the_grace_period(self):
        app = self.scripted(1, env={"IGNORE_TERM": "1"}, stop={"grace": "300ms"})
        daemon = self.serve({"web": app})
        daemon.wait_workers(1)
        daemon.signal(signal.SIGTERM)
        self.wait_journal("term")
        termed = self.journal("term")[0]["at"]
        self.assertEqual(daemon.wait(), 0)
        self.assertGreaterEqual(time.monotonic() - termed, 0.29)
        self.assertEqual(len(self.journal("term")), 1)
        daemon.assert_nothing_left()

    def test_a_request_that_outlasts_the_drain_does_not_hold_up_the_stop(self):
        app = self.scripted(1, stop={"drain": "300ms", "grace": "5s"})
        daemon = self.serve({"web": app}, shutdown={"timeout": "10s"})
        daemon.wait_workers(1)
        with daemon.client() as client:
            client.send(b"GET /gate/never HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/never")
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(), 0)
            self.assertLess(time.monotonic() - began, 8 * rota_testing.PATIENCE)
        daemon.assert_nothing_left()

    def test_the_whole_stop_is_bounded_by_shutdown_timeout(self):
        app = self.scripted(2, env={"IGNORE_TERM": "1"}, stop={"drain": "60s", "grace": "60s"})
        daemon = self.serve({"web": app}, shutdown={"timeout": "1s"})
        daemon.wait_workers(2)
        with daemon.client() as client:
            client.send(b"GET /gate/never HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/never")
            began = time.monotonic()
            daemon.signal(signal.SIGTERM)
            self.assertEqual(daemon.wait(), 0)
        self.assertLess(time.monotonic() - began, 6 * rota_testing.PATIENCE)
        daemon.assert_nothing_left()

    def test_a_second_term_skips_the_drain_and_a_third_kills(self):
        app = self.scripted(1, env={"IGNORE_TERM": "1"}, stop={"drain": "60s", "grace": "60s"})
        daemon = self.serve({"web": app}, shutdown={"timeout": "120s"})
        daemon.wait_workers(1)
        with daemon.client() as client:
            client.send(b"GET /gate/never HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/never")
            daemon.signal(signal.SIGTERM)
            wait_for(lambda: not self._accepts(daemon), what="the listener to be closed")
            self.assertEqual(self.journal("term"), [])
            daemon.signal(signal.SIGTERM)
            self.wait_journal("term")
            self.assertIsNone(daemon.process.poll())
            daemon.signal(signal.SIGTERM)
            daemon.wait(10)
        # A socket file may remain of such an end, as of a KILL; the next start removes it.
        wait_for(lambda: not daemon.left_processes(), 5, "the end of every process")
        daemon.checked = True
        daemon = self.serve({"web": self.scripted(1)})
        daemon.wait_workers(1)
        self.assertEqual(len(list((self.folder / "run" / "web").glob("*.sock"))), 1)

    def _accepts(self, daemon):
        try:
            daemon.client(2).close()
            return True
        except OSError:
            return False

    def test_int_is_graceful_too(self):
        daemon = self.serve({"web": self.hello(2)})
        daemon.wait_workers(2)
        daemon.stop(number=signal.SIGINT)

    def test_ctrl_c_in_a_terminal_reaches_the_keeper_alone(self):
        """A terminal signals the whole foreground process group: roles and workers must not be in it, or ignore it."""
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        daemon.tree()
        os.killpg(daemon.pid, signal.SIGINT)
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual(len(self.journal("term")), 2, "workers got TERM, and got it from rota")
        daemon.assert_nothing_left()

    def test_quit_does_not_drain(self):
        app = self.scripted(1, stop={"drain": "60s", "grace": "1s"})
        daemon = self.serve({"web": app}, shutdown={"timeout": "120s"})
        daemon.wait_workers(1)
        with daemon.client() as client:
            client.send(b"GET /gate/never HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/never")
            began = time.monotonic()
            daemon.stop(number=signal.SIGQUIT)
            self.assertLess(time.monotonic() - began, 8 * rota_testing.PATIENCE)

    def test_another_stop_signal_is_sent_when_it_is_asked_for(self):
        app = {"command": ["/bin/sh", "-c", f"trap 'echo usr2 > {self.folder}/got; exit' USR2; exec 3<>/dev/null; "
                           "while :; do sleep 0.05; done"],
               "workers": 1, "stop": {"signal": "USR2", "grace": "10s"}}
        daemon = self.start(self.write_config({"web": app}))
        wait_for(lambda: daemon.workers("while"), what="the worker")
        daemon.stop()
        self.assertTrue((self.folder / "got").exists())

    def test_a_stop_while_workers_start(self):
        daemon = self.start(self.write_config({"web": self.scripted(3, env={"LISTEN_GATE": "never"})}))
        self.wait_journal("started", 2)
        daemon.stop()

    def test_a_stop_while_a_worker_waits_to_be_started_again(self):
        app = self.scripted(1, env={"EXIT_AT_START": "1"}, restart={"delay": "60s", "max_delay": "60s"})
        daemon = self.start(self.write_config({"web": app}))
        self.wait_journal("started")
        daemon.wait_log("the database is not there")
        daemon.stop()
        self.assertEqual(len(self.journal("started")), 1)

    def test_a_grandchild_that_ignores_term_does_not_survive(self):
        daemon = self.serve({"web": self.scripted(1, env={"GRANDCHILD": "1"})})
        daemon.wait_workers(1)
        grandchild = self.wait_journal("grandchild")["pid"]
        daemon.stop()
        self.assertFalse(os.path.exists(f"/proc/{grandchild}"))

    def test_nothing_outlives_a_killed_keeper(self):
        daemon = self.serve({"web": self.hello(2)})
        daemon.wait_workers(2)
        daemon.signal(signal.SIGKILL)
        self.assertEqual(daemon.wait(), -signal.SIGKILL)
        wait_for(lambda: not daemon.left_processes(), 15, "the end of every process")
        daemon.checked = True
        # What a killed keeper left in the file system does not hinder the next start.
        daemon = self.serve({"web": self.hello(2)})
        daemon.wait_workers(2)
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
