"""A real, unmodified Express app under the real Node: examples/express with its own rota.yaml."""
import collections
import hashlib
import json
import os
import re
import signal

import npm
import rota_testing
from rota_testing import RELEASE, TREE, RotaCase, SharedCase, wait_for

EACH = 1000 if RELEASE else 200  # requests to each worker


def serve(case, workers):
    """The example with its own file, and its workers."""
    folder = npm.installed(TREE / "examples/express", "express-example")
    daemon = case.start("run", "-c", folder / "rota.yaml", "--listen", "127.0.0.1:0", "--workers", str(workers),
                        "--runtime-dir", case.folder / "run")
    return daemon, daemon.wait_workers(workers)


class Answers(SharedCase):
    def begin(self):
        daemon, type(self).pids = serve(self, 4)
        return daemon

    def test_four_workers_share_a_keep_alive_client_s_requests_equally(self):
        counts = collections.Counter()
        with self.daemon.client() as client:
            for _ in range(4 * EACH):
                counts[re.search(r"slot (\d)", client.get("/").text)[1]] += 1
        self.assertEqual(len(counts), 4)
        for slot, count in counts.items():
            self.assertAlmostEqual(count, EACH, delta=1, msg=f"slot {slot}: {counts}")

    def test_bodies_go_through_express(self):
        with self.daemon.client() as client:
            document = {"text": "grüße", "list": list(range(1000))}
            response = client.request("POST", "/echo", ["Content-Type: application/json"], json.dumps(document).encode())
            self.assertEqual(json.loads(response.text), document)
            data = os.urandom(3_000_000)
            answer = json.loads(client.request("POST", "/upload", body=data).text)
            self.assertEqual(answer, {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
            response = client.get("/download")
            self.assertEqual(response.body, (TREE / "examples/express" / "server.js").read_bytes())
            self.assertIn("attachment", response.get("content-disposition"))
            etag = client.get("/healthz").get("etag")
            self.assertEqual(client.get("/healthz", f"If-None-Match: {etag}").status, 304)

    def test_express_knows_the_real_client(self):
        with self.daemon.client() as client:
            answer = json.loads(client.get("/whoami", "X-Forwarded-For: 6.6.6.6").text)
        self.assertEqual((answer["ip"], answer["protocol"], answer["host"]), ("127.0.0.1", "http", "test.example"))

    def test_a_thrown_error_is_express_s_own_500(self):
        response = self.daemon.get("/boom")
        self.assertEqual(response.status, 500)
        self.assertEqual(self.daemon.wait_workers(4), self.pids)


class Ends(RotaCase):
    def setUp(self):
        self.daemon, self.pids = serve(self, 4)

    def test_a_crash_is_replaced(self):
        with self.daemon.client() as client:
            self.assertEqual(client.request("POST", "/boom?how=exit").status, 404)
        # A GET that ends its worker is tried once more and ends a second one.
        self.assertEqual(self.daemon.get("/boom?how=exit").status, 502)
        wait_for(lambda: len(set(self.daemon.wait_workers(4).values()) - set(self.pids.values())) == 2, 30, "two new workers")

    def test_kill_under_requests(self):
        with self.daemon.client() as client:
            for slot in range(4):
                os.kill(self.pids[slot], signal.SIGKILL)
                for _ in range(100):
                    self.assertEqual(client.get("/").status, 200)
        wait_for(lambda: not set(self.daemon.wait_workers(4).values()) & set(self.pids.values()), 30, "four new workers")

    def test_a_slow_answer_is_finished_before_the_end(self):
        with self.daemon.client() as client:
            client.send(b"GET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
            with self.daemon.client() as other:
                other.get("/")
            self.daemon.signal(signal.SIGTERM)
            self.assertEqual(client.response().status, 200)
        self.assertEqual(self.daemon.wait(), 0)
        self.daemon.assert_nothing_left()


if __name__ == "__main__":
    rota_testing.main()
