"""`rota probe`: the health check of containers."""
import socket
import threading
import unittest

from rota_testing import RotaCase


class Server:
    """Answers the first connection with some bytes (None: with nothing, until the test ends) and keeps what it read."""

    def __init__(self, case, answer, path=None):
        self.listener = socket.socket(socket.AF_UNIX) if path else socket.socket()
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen()
        self.address = f"unix:{path}" if path else f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.answer, self.seen, self.open = answer, b"", []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def _serve(self):
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        self.open.append(connection)
        while b"\r\n\r\n" not in self.seen:
            self.seen += connection.recv(4096)
        if self.answer is not None:
            for piece in self.answer:
                connection.sendall(piece)
            connection.close()

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()


class Probe(RotaCase):
    def probe(self, *arguments):
        daemon = self.ends("probe", *arguments)
        return daemon.code, daemon.out.strip()

    def test_a_worker_behind_rota(self):
        daemon = self.serve({"web": self.hello(2)})
        daemon.wait_workers(2)
        port = daemon.address[1]
        self.assertEqual(self.probe(f"127.0.0.1:{port}", "/healthz"), (0, f"127.0.0.1:{port}/healthz: 200"))
        self.assertEqual(self.probe(port), (0, f"*:{port}/: 200"))

    def test_a_listener_with_the_proxy_protocol(self):
        daemon = self.serve({"web": self.hello(1)}, listen={"address": "127.0.0.1:0", "proxy_protocol": True},
                            trusted_proxies=["127.0.0.1"])
        daemon.wait_log("web.0 ready")
        address = "127.0.0.1:%d" % daemon.address[1]
        self.assertEqual(self.probe("--proxy-protocol", address, "/healthz"), (0, f"{address}/healthz: 200"))
        self.assertEqual(self.probe(address)[0], 1)

    def test_no_ready_worker_is_a_failure(self):
        daemon = self.serve({"web": {"command": ["sleep", "1000"], "workers": 1, "queue": {"timeout": "50ms"}}})
        port = daemon.address[1]
        self.assertEqual(self.probe(port), (1, f"*:{port}/: 503"))

    def test_what_answers_below_500_serves(self):
        for status, code in ((204, 0), (302, 0), (404, 0), (499, 0), (500, 1), (503, 1)):
            with self.subTest(status):
                server = Server(self, [b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status])
                self.assertEqual(self.probe(server.address), (code, f"{server.address}/: {status}"))

    def test_the_final_answer_counts_however_it_arrives(self):
        answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        server = Server(self, [bytes([octet]) for octet in answer])
        self.assertEqual(self.probe(server.address)[0], 1)

    def test_what_is_asked(self):
        path = str(self.folder / "s")
        server = Server(self, [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], path)
        self.assertEqual(self.probe("--host=example.org", f"unix:{path}", "/up?deep=1"), (0, f"unix:{path}/up?deep=1: 200"))
        lines = server.seen.decode().split("\r\n")
        self.assertEqual(lines[0], "GET /up?deep=1 HTTP/1.1")
        self.assertIn("Host: example.org", lines)
        self.assertIn("Connection: close", lines)

    def test_no_answer_is_a_failure_that_says_why(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.assertEqual(self.probe(address), (1, f"{address}/: cannot connect: Connection refused"))
        missing = f"unix:{self.folder}/none"
        self.assertEqual(self.probe(missing), (1, f"{missing}/: cannot connect: No such file or directory"))
        silent = Server(self, None)
        self.assertEqual(self.probe("--timeout", "100ms", silent.address), (1, f"{silent.address}/: no answer in time"))
        closed = Server(self, [])
        self.assertEqual(self.probe(closed.address), (1, f"{closed.address}/: closed without an answer"))
        other = Server(self, [b"SSH-2.0-x\r\n\r\n"])
        code, text = self.probe(other.address)
        self.assertEqual(code, 1)
        self.assertIn("no valid HTTP", text)

    def test_endless_heads_end(self):
        server = Server(self, [b"HTTP/1.1 200 OK\r\n"] + [b"A: " + b"b" * 4000 + b"\r\n"] * 100)
        self.assertEqual(self.probe(server.address)[0], 1)


if __name__ == "__main__":
    unittest.main()
