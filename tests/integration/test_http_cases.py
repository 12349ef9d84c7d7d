"""The whole corpus of raw HTTP cases against the real daemon: each gets the preferred outcome, however its octets come, is
logged once, and leaves the proxy as it was. More cases of the same rules are played once.

ROTA_CASES names another file of such cases."""
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import resource
import socket

import rota_testing
from http_cases import SETTLE, Lane
from rota_testing import RELEASE, RotaCase, TREE, wait_for

LANES = 12  # a daemon each
# Here a client is no lane's: a test of its own plays it below.
ALONE = ("connections", "read_nothing", "read_drip")
LIMITS = {"head": "64KiB", "target": "16KiB", "fields": 100, "body": "1GiB"}
TIMEOUTS = {"header": "2s", "body": "2s", "idle": "2s", "write": "2s"}


def corpus(name="http-cases.json"):
    cases = json.loads(pathlib.Path(os.environ.get("ROTA_CASES", TREE / "tests/corpus" / name)).read_text())
    return [c for c in cases if not any(key in c for key in ALONE)]


def dealt(cases, block):
    """A share for each lane, of whole blocks: what a worker-side case leaves behind is what its neighbour finds."""
    blocks = [cases[at : at + block] for at in range(0, len(cases), block)]
    return [sum(blocks[lane::LANES], []) for lane in range(LANES)]


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def descriptors(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


class Cases(RotaCase):
    def begin_lane(self, index):
        path = str(self.folder / f"lane{index}.sock")
        app = {"servers": [f"unix:{path}"], "timeouts": {"response": "1500ms"}}
        config = self.write_config({"web": app}, f"lane{index}.yaml", access_log="stdout", timeouts=TIMEOUTS, limits=LIMITS,
                                   runtime_dir=str(self.folder / f"run{index}"))
        daemon = self.start(config)
        with daemon.client() as client:  # whoever answers has begun wholly
            client.send(b"no HTTP\r\n\r\n")
            self.assertEqual(client.response().status, 400)
        return path, daemon

    def run_corpus(self, lanes, shares, byte_by_byte=False, settle=SETTLE):
        """Runs every case once; returns the statuses that the clients of each lane have seen."""
        async def one_lane(path, daemon, cases):
            lane = Lane(path, daemon.address, byte_by_byte, settle)
            await lane.open()
            complaints = []
            try:
                for case in cases:
                    complaints += [f"{case['id']}: {c} ({case['note']})" for c in await lane.run(case)]
            finally:
                lane.server.close()
                with contextlib.suppress(FileNotFoundError):  # Python 3.13 does it
                    os.unlink(path)
            return collections.Counter(lane.statuses), complaints

        async def all_lanes():
            return await asyncio.gather(*(one_lane(*lane, share) for lane, share in zip(lanes, shares)))

        results = asyncio.run(all_lanes())
        self.assertEqual([c for _, complaints in results for c in complaints], [])
        return [seen for seen, _ in results]

    def test_every_case_has_the_preferred_outcome_and_leaves_nothing_behind(self):
        lanes = [self.begin_lane(i) for i in range(LANES)]
        proxies = [daemon.role("proxy").pid for _, daemon in lanes]
        before, sizes = [len(descriptors(p)) for p in proxies], []
        seen = [collections.Counter({400: 1}) for _ in lanes]
        cases = corpus()
        shares = dealt(cases, -(-len(cases) // LANES))
        for byte_by_byte in (False, True, False) if RELEASE else (False, True):
            for total, more in zip(seen, self.run_corpus(lanes, shares, byte_by_byte)):
                total.update(more)
            for proxy, count in zip(proxies, before):
                wait_for(lambda: len(descriptors(proxy)) <= count, what=lambda: f"{count} descriptors, not {descriptors(proxy)}")
            sizes.append([resident(p) for p in proxies])
        for (_, daemon), proxy, total, first, last in zip(lanes, proxies, seen, sizes[0], sizes[-1]):
            self.assertEqual(daemon.role("proxy").pid, proxy, "it is the same process")
            self.assert_logged_once(daemon, total)
            if RELEASE:
                self.assertLess(last - first, 2 << 20, f"resident memory grows: {sizes}")

    def test_more_cases_of_the_same_rules(self):
        lanes = [self.begin_lane(i) for i in range(LANES)]
        seen = self.run_corpus(lanes, dealt(corpus("http-cases-more.json"), 8), settle=0.05)
        for (_, daemon), total in zip(lanes, seen):
            self.assert_logged_once(daemon, total + collections.Counter({400: 1}))

    def assert_logged_once(self, daemon, seen):
        def logged():
            lines = daemon.access_log()
            return collections.Counter(l["status"] for l in lines if l["status"] and l["outcome"] != "client_closed")
        try:
            wait_for(lambda: logged() == seen, 5, "a line for each response")
        except AssertionError:
            self.assertEqual(logged(), seen)


class Alone(RotaCase):
    """Cases that need clients of another kind."""

    def test_sl_read_stall_a_client_that_reads_nothing_is_cut_and_its_worker_freed(self):
        daemon = self.serve({"web": self.scripted(1)}, timeouts={**TIMEOUTS, "write": "1s"}, access_log="stdout")
        daemon.wait_workers(1)
        proxy = daemon.role("proxy").pid
        before = resident(proxy)
        with daemon.client() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send(b"GET /bytes?n=67108864 HTTP/1.1\r\nHost: t.example\r\n\r\n")
            wait_for(lambda: any(l["outcome"] == "client_write_timeout" for l in daemon.access_log()), what="the cut")
            if RELEASE:
                self.assertLess(resident(proxy) - before, 2 << 20)
        self.wait_journal("connection-ended")
        self.assertEqual(daemon.get("/").status, 200)

    def test_sl_conn_flood_idle_connections_give_way_at_their_deadline(self):
        limit = 200
        daemon = self.serve({"web": self.scripted(1)}, timeouts={**TIMEOUTS, "header": "1s"},
                            limits={**LIMITS, "connections": limit})
        daemon.wait_workers(1)
        flood = [daemon.client() for _ in range(limit + 50)]
        self.assertEqual(daemon.get("/").status, 200, "a new client is answered when the silent ones are gone")
        for client in flood:
            self.assertTrue(client.at_end())
            client.close()


if __name__ == "__main__":
    rota_testing.main()
