"""A worker whose every octet a test decides, on a Unix socket, for a daemon that has it as its only server."""
import os
import socket
import threading

from rota_testing import SharedCase, wait_for
from wire import Wire, WireError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class PeerWire(Wire):
    """The worker's end of one connection."""

    def request(self):
        """The next request's head, its body read to the end into .body."""
        head = self.head()
        head.body = b"".join(self.body_of(head))
        return head

    def reset_or_end(self):
        """Waits for the proxy to close; what came before that."""
        pieces = []
        try:
            while piece := self.sock.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        held = bytes(self.held)
        self.held.clear()
        return held + b"".join(pieces)


class Peer:
    """Each connection is given to script(wire) on a thread of its own, and closed when that returns."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.listen(512)
        self.lock = threading.Lock()
        self.threads, self.connections, self.heads, self.failures, self.live = [], 0, [], [], set()
        self.script = answer
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self.serve, args=(connection, self.script), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, connection, script):
        connection.settimeout(30)
        wire = PeerWire(connection)
        with self.lock:
            self.live.add(connection)
        try:
            script(self, wire)
        except (WireError, OSError):
            pass  # the proxy's end of a connection comes when it comes
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)
        finally:
            with self.lock:
                self.live.discard(connection)
            connection.close()

    def use(self, script):
        """From now on; connections that are left of an earlier test end."""
        with self.lock:
            for connection in self.live:
                connection.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: not any(t.is_alive() for t in self.threads), what="the end of earlier connections")
        self.threads, self.connections, self.heads, self.failures = [], 0, [], []
        self.script = script

    def close(self):
        self.use(answer)
        self.sock.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.sock.close()
        os.unlink(self.path)


def answer(peer, wire, response=OK):
    """Reads whole requests, notes their heads, and gives each the same answer."""
    while True:
        peer.heads.append(wire.request())
        wire.send(response)


def answering(response):
    return lambda peer, wire: answer(peer, wire, response)


def once(response):
    """One answer, then the end."""
    def script(peer, wire):
        peer.heads.append(wire.request())
        wire.send(response)
    return script


class PeerCase(SharedCase):
    """Tests with a daemon whose one server is self.peer."""

    top = {}
    app = {}

    def begin(self):
        type(self).peer = Peer(str(self.folder / "peer"))
        daemon = self.serve({"web": {"servers": [f"unix:{self.peer.path}"], **self.app}}, **self.top)
        wait_for(lambda: daemon.get("/").status == 200, what="an answer")
        return daemon

    @classmethod
    def tearDownClass(cls):
        cls.peer.close()
        super().tearDownClass()

    def setUp(self):
        self.peer.use(answer)
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def tearDown(self):
        self.assertEqual(self.peer.failures, [])
        super().tearDown()

    def worker(self, *octets):
        """The worker answers every request with this."""
        self.peer.use(answering(b"".join(octets)))

    def ask(self, *octets, method="GET"):
        """Sends this; the response to it."""
        self.client.send(b"".join(octets))
        return self.client.response(method)

    def refused(self, octets, status):
        """A client of its own gets this status and the end, and the worker nothing."""
        before = len(self.peer.heads)
        with self.daemon.client() as client:
            client.send(octets)
            response = client.response()
            self.assertEqual(response.status, status, octets[:80])
            self.assertEqual(response.head.tokens("connection"), ["close"])
            self.assertTrue(client.at_end())
        self.assertEqual(len(self.peer.heads), before)
        return response
