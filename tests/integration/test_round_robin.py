"""Requests, not connections, are spread over the workers, and exactly so."""
import collections
import re

import rota_testing
from rota_testing import RotaCase


def slot_of(response):
    return int(re.search(r"slot (\d+)", response.text)[1])


class RoundRobin(RotaCase):
    def test_one_keep_alive_client_gives_each_of_four_workers_a_quarter(self):
        daemon = self.serve({"web": self.hello(4)})
        daemon.wait_workers(4)
        counts = collections.Counter()
        with daemon.client() as client:
            for _ in range(4000):
                response = client.get("/")
                self.assertEqual(response.status, 200)
                counts[slot_of(response)] += 1
        self.assertEqual(sorted(counts), [0, 1, 2, 3])
        for slot, count in counts.items():
            self.assertAlmostEqual(count, 1000, delta=1, msg=f"slot {slot}: {counts}")

    def test_requests_of_several_connections_share_one_round(self):
        daemon = self.serve({"web": self.hello(3)})
        daemon.wait_workers(3)
        clients = [daemon.client() for _ in range(4)]
        counts = collections.Counter(slot_of(clients[i % 4].get("/")) for i in range(300))
        for client in clients:
            client.close()
        for slot in range(3):
            self.assertAlmostEqual(counts[slot], 100, delta=1, msg=str(counts))

    def test_each_worker_follows_the_one_before(self):
        daemon = self.serve({"web": self.hello(4)})
        daemon.wait_workers(4)
        with daemon.client() as client:
            order = [slot_of(client.get("/")) for _ in range(40)]
        for before, after in zip(order, order[1:]):
            self.assertEqual(after, (before + 1) % 4, order)

    def test_an_unfinished_request_does_not_hold_up_the_round(self):
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        with daemon.client() as waiting:
            waiting.send(b"GET /gate/go HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_journal("request", path="/gate/go")
            with daemon.client() as client:
                slots = collections.Counter(client.get("/").text.split()[0] for _ in range(20))
            self.assertEqual(slots, {"0": 10, "1": 10})
            self.open_gate("go")
            self.assertEqual(waiting.response().status, 200)

    def test_servers_that_already_run_are_balanced_and_left_alone(self):
        backend = self.serve({"web": self.hello(2)})
        backend.wait_workers(2)
        paths = sorted((self.folder / "run" / "web").glob("*.sock"))
        self.assertEqual(len(paths), 2)
        front = self.serve({"old": {"servers": [f"unix:{p}" for p in paths]}}, runtime_dir=str(self.folder / "front"))
        counts = collections.Counter()
        with front.client() as client:
            rota_testing.wait_for(lambda: client.get("/").status == 200, what="the servers to be in rotation")
            for _ in range(20):
                counts[slot_of(client.get("/"))] += 1
        self.assertEqual(counts, {0: 10, 1: 10})
        front.signal(15)
        self.assertEqual(front.wait(), 0)
        front.assert_nothing_left(self.folder / "front")
        self.assertEqual(backend.get("/").status, 200)

    def test_servers_on_tcp_are_balanced_too(self):
        backend = self.serve({"web": self.hello(1)})
        backend.wait_workers(1)
        host, port = backend.address
        front = self.serve({"old": {"servers": [f"{host}:{port}"]}}, runtime_dir=str(self.folder / "front"))
        with front.client() as client:
            rota_testing.wait_for(lambda: client.get("/").status == 200, what="the server to be in rotation")
        front.signal(15)
        self.assertEqual(front.wait(), 0)
        front.assert_nothing_left(self.folder / "front")


if __name__ == "__main__":
    rota_testing.main()
