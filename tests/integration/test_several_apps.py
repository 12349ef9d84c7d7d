"""Several apps under one daemon: each has a life of its own."""
import os
import signal

import rota_testing
from rota_testing import Load, RotaCase, wait_for


class SeveralApps(RotaCase):
    def two(self, **api):
        return {"web": self.scripted(2), "api": self.scripted(1, env={"API": "1"}, routes=["/api"], **api)}

    def test_one_that_crash_loops_does_not_touch_the_other(self):
        apps = self.two(restart={"delay": "10ms", "max_delay": "50ms"})
        apps["api"]["env"]["EXIT_AT_START"] = "5"
        daemon = self.serve(apps)
        pids = daemon.wait_workers(2)
        daemon.wait_log("app api: no worker became ready")
        with Load(daemon.address) as load:
            daemon.wait_log(r"api\.0 .*short lives in a row")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual(daemon.wait_workers(2), pids)
        self.assertEqual(daemon.get("/api/x").status, 503)
        daemon.stop()

    def test_a_worker_s_death_is_its_own_app_s(self):
        daemon = self.serve(self.two())
        pids = daemon.wait_workers(2)
        daemon.wait_log("ready: 1 of 1 workers of api")
        before = {p.pid for p in daemon.workers("scripted_worker")} - set(pids.values())
        self.assertEqual(len(before), 1)
        os.kill(before.pop(), signal.SIGKILL)
        wait_for(lambda: len({p.pid for p in daemon.workers("scripted_worker")} - set(pids.values())) == 1,
                 what="a new worker of api")
        self.assertEqual(daemon.wait_workers(2), pids)

    def test_an_app_is_added_and_removed_while_the_other_serves(self):
        apps = self.two()
        daemon = self.serve({"web": apps["web"]})
        pids = daemon.wait_workers(2)
        with Load(daemon.address) as load:
            self.write_config(apps)
            daemon.signal(signal.SIGHUP)
            daemon.wait_log("reloaded in .*app api added")
            self.assertEqual(daemon.get("/api/nothing").status, 404)  # the scripted worker's own answer
            self.assertEqual(len(daemon.workers("scripted_worker")), 3)
            with daemon.client() as slow:
                slow.send(b"GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(slow.response().status, 404)
            self.write_config({"web": apps["web"]})
            daemon.signal(signal.SIGHUP)
            daemon.wait_log("app api is gone")
            load.goes_on()
        self.assertEqual(load.failed, [])
        self.assertEqual(daemon.wait_workers(2), pids)
        wait_for(lambda: not (self.folder / "run/api").exists(), what="the removal of its directory")
        daemon.stop()

    def test_only_the_app_that_changed_gets_new_workers(self):
        apps = self.two()
        daemon = self.serve(apps)
        pids = daemon.wait_workers(2)
        daemon.wait_log("ready: 1 of 1 workers of api")
        apps["api"]["env"]["API"] = "2"
        self.write_config(apps)
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("reloaded in .*1 of 1 workers of api replaced")
        self.assertEqual(daemon.wait_workers(2), pids)


if __name__ == "__main__":
    rota_testing.main()
