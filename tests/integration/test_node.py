"""The Node servers and clients that people really use, through rota: ws, socket.io, Express, fetch, undici, node:http."""
import hashlib
import os
import subprocess

import npm
import rota_testing
from rota_testing import TREE, RotaCase, wait_for

FILE_SIZE = 1 << 20


class Node(RotaCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = npm.installed(TREE / "tests/node", "node-tests")

    def setUp(self):
        self.data = os.urandom(FILE_SIZE)
        file = self.folder / "file.bin"
        file.write_bytes(self.data)
        app = {"command": ["node", str(self.packages / "app.js")], "workers": 1, "health": "/healthz", "env": {"FILE": str(file)}}
        self.daemon = self.serve({"web": app}, timeouts={"tunnel": "30s"}, access_log="stdout")
        wait_for(lambda: self.daemon.get("/healthz").status == 200, 60, "the app")

    def test_real_clients_are_content(self):
        host, port = self.daemon.address
        run = subprocess.run(["node", str(self.packages / "clients.js"), f"http://{host}:{port}"], capture_output=True, text=True,
                             timeout=200)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("ws_close_codes_from_the_server", run.stdout)
        wait_for(lambda: sum(l["status"] == 101 for l in self.daemon.access_log()) > 100, what="a line for each tunnel")

    def test_send_file_answers_ranges_and_conditions(self):
        with self.daemon.client() as client:
            whole = client.get("/file")
            self.assertEqual(hashlib.sha256(whole.body).digest(), hashlib.sha256(self.data).digest())
            part = client.get("/file", "Range: bytes=1000-1999")
            self.assertEqual((part.status, part.body, part.get("content-range")), (206, self.data[1000:2000], f"bytes 1000-1999/{FILE_SIZE}"))
            self.assertEqual(client.get("/file", "Range: bytes=9999999-").status, 416)
            self.assertEqual(client.get("/file", f"If-None-Match: {whole.get('etag')}").status, 304)
            head = client.request("HEAD", "/file")
            self.assertEqual((head.get("content-length"), head.body), (str(FILE_SIZE), b""))

    def test_what_an_app_writes_piece_by_piece_arrives_piece_by_piece(self):
        with self.daemon.client() as client:
            client.send(b"GET /stream HTTP/1.1\r\nHost: t.example\r\n\r\n")
            head = client.response_head()
            self.assertEqual(head.get("transfer-encoding"), "chunked")
            self.assertEqual(list(client.body_of(head, "GET")), [b"data: %d\n\n" % i for i in range(5)])


if __name__ == "__main__":
    rota_testing.main()
