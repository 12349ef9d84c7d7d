"""Bodies of any size pass byte for byte, and the proxy's memory does not grow with them."""
import hashlib
import threading
import time

import processes
import rota_testing
from rota_testing import RELEASE, RotaCase, wait_for

MIB = 1 << 20
LARGE = 1024 * MIB if RELEASE else 48 * MIB
MEMORY = 32 * MIB  # of the proxy; not measurable under a sanitizer
PATTERN = bytes(range(256)) * 256


def pattern_sum(count):
    digest = hashlib.sha256()
    for _ in range(count // len(PATTERN)):
        digest.update(PATTERN)
    digest.update(PATTERN[: count % len(PATTERN)])
    return digest.hexdigest()


class Bodies(RotaCase):
    def setUp(self):
        self.daemon = self.serve({"web": self.scripted(1)})
        self.daemon.wait_workers(1)
        self.proxy = self.daemon.role("proxy").pid

    def assert_small(self):
        if RELEASE:
            self.assertLess(processes.memory(self.proxy, "VmHWM"), MEMORY)

    def test_a_large_upload_arrives_as_it_was(self):
        with self.daemon.client(60) as client:
            client.send(b"PUT /sum HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LARGE)
            for _ in range(LARGE // len(PATTERN)):
                client.send(PATTERN)
            response = client.response("PUT")
        self.assertEqual(response.text, f"{LARGE} {pattern_sum(LARGE)}")
        self.assert_small()

    def test_a_large_download_arrives_as_it_was(self):
        with self.daemon.client(60) as client:
            client.send(b"GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % LARGE)
            head = client.response_head()
            self.assertEqual(head.get("content-length"), str(LARGE))
            digest, count = hashlib.sha256(), 0
            for piece in client.body_of(head, "GET"):
                digest.update(piece)
                count += len(piece)
        self.assertEqual((count, digest.hexdigest()), (LARGE, pattern_sum(LARGE)))
        self.assert_small()

    def test_a_chunked_upload_of_odd_pieces_arrives_as_it_was(self):
        pieces = [PATTERN[:size] for size in (1, 2, 3, 255, 4096, 65536, 1, 65535)] * 40
        with self.daemon.client() as client:
            client.send(b"POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in pieces:
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            response = client.response("POST")
        body = b"".join(pieces)
        self.assertEqual(response.text, f"{len(body)} {hashlib.sha256(body).hexdigest()}")

    def test_a_chunked_download_of_odd_pieces_arrives_as_it_was(self):
        for size in (1, 7, 4096, 65536):
            with self.subTest(size=size), self.daemon.client() as client:
                count = size * 50 + 3
                response = client.get(f"/chunked?n={count}&size={size}")
                whole, rest = divmod(count, size)
                self.assertEqual(response.body, PATTERN[:size] * whole + PATTERN[:rest])

    def test_a_client_that_does_not_read_stops_the_worker_not_the_proxy(self):
        count = 512 * MIB
        with self.daemon.client() as client:
            client.send(b"GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % count)
            self.wait_journal("request", path="/bytes")
            before = processes.memory(self.proxy)
            def still():
                first = self._bytes_read()
                time.sleep(0.2)
                return self._bytes_read() - first < 4096
            wait_for(still, what="the proxy to stop reading")
            if RELEASE:
                self.assertLess(processes.memory(self.proxy) - before, 4 * MIB)
            self.assertEqual(self.journal("sent"), [])
        self.wait_journal("connection-ended")  # and the client's leaving reaches the worker
        self.assert_small()

    def test_a_worker_that_does_not_read_stops_the_client_not_the_proxy(self):
        with self.daemon.client() as client:
            client.send(b"PUT /sum?gate=go HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
            sent = [0]
            def upload():
                for _ in range(64 * MIB // len(PATTERN)):
                    client.send(PATTERN)
                    sent[0] += len(PATTERN)
            uploading = threading.Thread(target=upload)
            uploading.start()
            try:
                def blocked():
                    before = sent[0]
                    time.sleep(0.2)
                    return before > 0 and sent[0] == before
                wait_for(blocked, what="the client to be stopped")
                self.assertLess(sent[0], 32 * MIB)
            finally:
                self.open_gate("go")
                uploading.join()
            response = client.response("PUT")
        self.assertEqual(response.text, f"{64 * MIB} {pattern_sum(64 * MIB)}")
        self.assert_small()

    def test_many_large_responses_at_once_share_little_memory(self):
        clients = [self.daemon.client(60) for _ in range(16)]
        for client in clients:
            client.send(b"GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (8 * MIB))
        for client in clients:
            self.assertEqual(len(client.response().body), 8 * MIB)
            client.close()
        self.assert_small()

    def _bytes_read(self):
        with open(f"/proc/{self.proxy}/io", encoding="ascii") as file:
            return int(file.readline().split()[1])


if __name__ == "__main__":
    rota_testing.main()
