"""The keeper's promise: a supervisor or proxy that dies is started again, and the workers never notice."""
import os
import re
import signal
import time

import rota_testing
from rota_testing import RotaCase, wait_for


class RoleDeaths(RotaCase):
    def serve_two(self, **more):
        daemon = self.serve({"web": self.scripted(2, **more)})
        self.pids = daemon.wait_workers(2)
        return daemon

    def successor(self, daemon, role, before, timeout=15):
        def other():
            process = daemon.role(role)
            return process if process and process.pid != before else None
        return wait_for(other, timeout, f"a new {role}")

    def test_the_three_roles_are_separate_processes(self):
        daemon = self.serve_two()
        roles = sorted(p.command.split(" ")[1] for p in daemon.tree() if p.command.startswith("rota: "))
        self.assertEqual(roles, ["keeper", "proxy", "supervisor"])
        for role in ("supervisor", "proxy"):
            self.assertEqual(daemon.role(role).parent, daemon.pid)

    def test_a_killed_proxy_comes_back_with_its_listeners_and_its_state(self):
        daemon = self.serve_two()
        address = daemon.address
        for _ in range(3):
            before = daemon.role("proxy").pid
            os.kill(before, signal.SIGKILL)
            # The listener never closed: a connection made right now waits in its backlog.
            with rota_testing.Client(address) as client:
                self.assertEqual(client.get("/").status, 200)
            self.assertNotEqual(self.successor(daemon, "proxy", before).pid, before)
        self.assertEqual(daemon.wait_workers(2), self.pids, "no worker was restarted")
        self.assertEqual(self.journal("term"), [])

    def test_the_proxy_comes_back_while_the_supervisor_is_dead(self):
        daemon = self.serve_two()
        supervisor, proxy = daemon.role("supervisor").pid, daemon.role("proxy").pid
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(proxy, signal.SIGKILL)
        try:
            self.assertEqual(daemon.get("/").status, 200)
            self.successor(daemon, "proxy", proxy)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        self.assertEqual(daemon.wait_workers(2), self.pids)

    def test_a_killed_supervisor_comes_back(self):
        daemon = self.serve_two()
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGKILL)
        for _ in range(20):
            self.assertEqual(daemon.get("/").status, 200, "the proxy serves on meanwhile")
        self.successor(daemon, "supervisor", before)
        daemon.wait_workers(2)
        # And it supervises: a worker that dies now is replaced.
        pids = daemon.wait_workers(2)
        os.kill(pids[1], signal.SIGKILL)
        wait_for(lambda: daemon.wait_workers(2)[1] != pids[1], what="a new worker")
        daemon.stop()

    def test_a_killed_supervisor_cuts_at_most_one_line_of_each_stream(self):
        """A worker prints numbered lines to both streams all the while."""
        prints = ("import sys, time\n"
                  "for i in range(10**9):\n"
                  "    sys.stdout.write('out %d end\\n' % i)\n"
                  "    sys.stderr.write('err %d end\\n' % i)\n"
                  "    sys.stdout.flush(); sys.stderr.flush(); i % 4 or time.sleep(0.001)\n")
        app = self.scripted(1)
        app["command"] = ["/bin/sh", "-c", '"$0" -c "$1" & shift; exec "$@"', rota_testing.PYTHON, prints, *app["command"]]
        daemon = self.serve({"web": app})
        daemon.wait_workers(1)

        def newest():
            with open(daemon.log_path, "rb") as log:
                log.seek(-min(1 << 17, log.seek(0, os.SEEK_END)), os.SEEK_END)
                return int(re.findall(rb"web\.0 \| err (\d+) end\n", log.read())[-1])
        kills = 6
        for number in range(kills):
            before, shown = daemon.role("supervisor").pid, newest()
            wait_for(lambda: newest() > shown + 200 + number * 7, what="more lines")
            os.kill(before, signal.SIGKILL)
            self.successor(daemon, "supervisor", before)
        shown = newest()
        wait_for(lambda: newest() > shown, what="lines that the last supervisor has shown")
        last, log = newest(), daemon.log
        for stream in ("out", "err"):
            seen = {int(number) for number in re.findall(rf"web\.0 \| {stream} (\d+) end\n", log)}
            lost = sorted(set(range(last)) - seen)
            self.assertLessEqual(len(lost), kills, f"{stream}: {lost[:20]}")

    def test_a_stop_signal_reaches_a_supervisor_that_starts_again(self):
        daemon = self.serve_two()
        supervisor = daemon.role("supervisor").pid
        os.kill(supervisor, signal.SIGSTOP)
        daemon.signal(signal.SIGTERM)
        os.kill(supervisor, signal.SIGKILL)
        self.assertEqual(daemon.wait(40), 0)
        daemon.assert_nothing_left()

    def test_roles_ignore_what_a_terminal_sends(self):
        daemon = self.serve_two()
        roles = {role: daemon.role(role).pid for role in ("supervisor", "proxy")}
        for pid in roles.values():
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP):
                os.kill(pid, number)
        for _ in range(10):
            self.assertEqual(daemon.get("/").status, 200)
        self.assertEqual({role: daemon.role(role).pid for role in roles}, roles)

    def test_a_stopped_supervisor_is_noticed_and_replaced(self):
        """Silence is a death too: the keeper kills a supervisor that has not answered for ten seconds."""
        daemon = self.serve_two()
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGSTOP)
        began = time.monotonic()
        self.successor(daemon, "supervisor", before, 30)
        self.assertGreater(time.monotonic() - began, 5)
        daemon.wait_workers(2)

    def test_workers_that_write_do_not_notice_a_supervisor_s_death(self):
        daemon = self.serve_two()
        before = daemon.role("supervisor").pid
        os.kill(before, signal.SIGKILL)
        for number in range(50):
            self.assertEqual(daemon.get(f"/print?line=word{number}").status, 200)
        self.successor(daemon, "supervisor", before)
        wait_for(lambda: daemon.role("supervisor"), what="the supervisor")
        daemon.wait_workers(2)


if __name__ == "__main__":
    rota_testing.main()
