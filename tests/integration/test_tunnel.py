"""WebSocket's three steps: a handshake that is one, a 101 that answers it, and only then octets both ways."""
import hashlib
import os
import socket
import threading

import rota_testing
from peer import OK, PeerCase
from rota_testing import RotaCase, wait_for

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = (f"GET /chat HTTP/1.1\r\nHost: t.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n")


def switching(*fields, accept=ACCEPT, upgrade="websocket"):
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {upgrade}", f"Sec-WebSocket-Accept: {accept}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def echo(peer, wire):
    """Switches, and sends back what comes until its end."""
    peer.heads.append(wire.request())
    wire.send(switching())
    while piece := bytes(wire.held) or wire.sock.recv(65536):
        wire.held.clear()
        wire.send(piece)


class Tunnels(PeerCase):
    top = {"access_log": "stdout", "timeouts": {"tunnel": "1s", "idle": "500ms", "header": "500ms"}}
    app = {"timeouts": {"idle": "500ms", "response": "2s"}}

    def switch(self, *fields):
        """Sends a handshake and returns the 101's head."""
        handshake = HANDSHAKE.replace("/chat", self.target)
        self.client.send((handshake + "".join(f + "\r\n" for f in fields) + "\r\n").encode())
        head = self.client.head()
        self.assertEqual(head.start, "HTTP/1.1 101 Switching Protocols")
        return head

    def receive(self, count):
        return b"".join(self.client.exactly(count))

    @property
    def target(self):
        """Every test's own: the tunnel of the test before may still be ending."""
        return "/" + self._testMethodName

    def line(self):
        return wait_for(lambda: [l for l in self.daemon.access_log() if l.get("target") == self.target], what="the tunnel's line")[0]

    # The handshake ---------------------------------------------------------------------------------------------------

    def test_row_052_both_ends_see_an_upgrade_with_its_connection_option(self):
        self.peer.use(echo)
        head = self.switch("X-Nominated: 1", "Connection: x-nominated")
        self.assertEqual((head.all("connection"), head.all("upgrade"), head.all("sec-websocket-accept")), (["upgrade"], ["websocket"], [ACCEPT]))
        self.assertEqual((head.all("content-length"), head.all("transfer-encoding")), ([], []))
        head = self.peer.heads[0]
        self.assertEqual((head.all("connection"), head.all("upgrade"), head.all("sec-websocket-key")), (["upgrade"], ["websocket"], [KEY]))
        self.assertEqual(head.all("x-nominated"), [])

    def test_row_142_extensions_and_subprotocols_pass_unchanged_and_in_order(self):
        fields = ["Sec-WebSocket-Protocol: b, a", "Sec-WebSocket-Extensions: permessage-deflate; x=1", "Sec-WebSocket-Protocol: c"]
        def script(peer, wire):
            peer.heads.append(wire.request())
            wire.send(switching("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: permessage-deflate"))
            wire.reset_or_end()
        self.peer.use(script)
        head = self.switch(*fields)
        self.assertEqual((head.all("sec-websocket-protocol"), head.all("sec-websocket-extensions")), (["a"], ["permessage-deflate"]))
        wanted = [(n.lower(), v) for n, _, v in (f.partition(": ") for f in fields)]
        self.assertEqual([f for f in self.peer.heads[0].fields if f in wanted], wanted)

    def test_row_140_a_handshake_that_is_none_is_refused(self):
        for fault in (("Sec-WebSocket-Key: " + KEY + "\r\n", ""), (KEY, KEY[:-4]), (KEY, KEY + "\r\nSec-WebSocket-Key: " + KEY),
                      ("Sec-WebSocket-Version: 13\r\n", "")):
            with self.subTest(fault):
                self.refused((HANDSHAKE.replace(*fault) + "\r\n").encode(), 400)

    def test_row_128_another_version_is_the_apps_business(self):
        self.worker(b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n")
        response = self.ask(HANDSHAKE.replace(": 13", ": 14").encode(), b"\r\n")
        self.assertEqual((response.status, response.get("sec-websocket-version")), (426, "13"))
        self.assertEqual(self.peer.heads[0].get("sec-websocket-version"), "14")

    def test_row_053_and_row_058_other_upgrades_go_on_as_plain_requests(self):
        for request in (HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0"), HANDSHAKE.replace("GET", "POST"),
                        HANDSHAKE.replace("keep-alive, Upgrade", "keep-alive"), HANDSHAKE.replace("Upgrade: websocket", "Upgrade: h2c"),
                        HANDSHAKE.replace("Upgrade: websocket", "Upgrade: TLS/1.0") + "HTTP2-Settings: AAMA\r\n"):
            with self.subTest(request), self.daemon.client() as client:
                client.send((request + "\r\n").encode())
                self.assertEqual(client.response().status, 200)
                head = self.peer.heads[-1]
                self.assertEqual((head.all("upgrade"), head.all("connection"), head.all("http2-settings")), ([], [], []))

    def test_an_offer_of_several_protocols_is_one_of_websocket(self):
        self.peer.use(echo)
        self.client.send((HANDSHAKE.replace("Upgrade: websocket", "Upgrade: h2c, WebSocket") + "\r\n").encode())
        self.assertEqual(self.client.head().all("upgrade"), ["websocket"])
        self.assertEqual(self.peer.heads[0].all("upgrade"), ["websocket"])

    # The answer ------------------------------------------------------------------------------------------------------

    def test_row_054_and_row_141_a_101_that_does_not_answer_the_offer_is_a_502(self):
        for answer in (switching(upgrade="foo"), switching(accept="AAAA" + ACCEPT[4:]), switching().replace(b"Connection: Upgrade\r\n", b""),
                       switching().replace(b"Upgrade: websocket\r\n", b""), switching().replace(b"1.1 101", b"1.0 101"),
                       b"HTTP/1.1 101 Switching Protocols\r\n\r\n", switching("Content-Length: 5"), switching("Transfer-Encoding: chunked")):
            self.worker(answer, b"RAW")
            with self.subTest(answer), self.daemon.client() as client:
                client.send((HANDSHAKE + "\r\n").encode())
                response = client.response()
                self.assertEqual(response.status, 502)
                self.assertNotIn("RAW", response.text)

    def test_row_054_a_101_that_nobody_asked_for_is_a_502(self):
        self.worker(switching(), b"RAW")
        for request in ("GET / HTTP/1.1\r\nHost: a\r\n", HANDSHAKE.replace("websocket", "h2c"), HANDSHAKE.replace("HTTP/1.1", "HTTP/1.0")):
            with self.subTest(request), self.daemon.client() as client:
                client.send((request + "\r\n").encode())
                self.assertEqual(client.response().status, 502)

    def test_row_057_what_follows_the_handshake_waits_for_the_101(self):
        early = []
        def script(peer, wire):
            wire.request()
            wire.sock.settimeout(0.2)
            try:
                early.append(wire.sock.recv(1))
            except socket.timeout:
                pass
            wire.sock.settimeout(20)
            wire.send(switching())
            early.append(b"".join(wire.exactly(6)))
            wire.send(b"answer")
        self.peer.use(script)
        self.client.send((HANDSHAKE + "\r\n").encode() + b"frames")
        self.client.head()
        self.assertEqual(self.receive(6), b"answer")
        self.assertEqual(early, [b"frames"])

    def test_row_057_what_follows_is_the_next_request_when_there_is_no_101(self):
        response = self.ask((HANDSHAKE + "\r\n").encode() + b"GET /second HTTP/1.1\r\nHost: t.example\r\n\r\n")
        self.assertEqual(response.status, 200)
        self.assertEqual(self.client.response().status, 200)
        self.assertEqual([h.start for h in self.peer.heads], ["GET /chat HTTP/1.1", "GET /second HTTP/1.1"])
        self.assertEqual(len(self.peer.heads[1].all("via")), 1)

    def test_row_055_a_handshake_with_a_body_gets_its_100_before_the_101(self):
        def script(peer, wire):
            head = wire.head()
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = b"".join(wire.body_of(head))
            wire.send(switching() + body)
        self.peer.use(script)
        self.client.send((HANDSHAKE + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n").encode())
        self.assertEqual(self.client.head().start.split()[1], "100")
        self.client.send(b"hello")
        self.assertEqual(self.client.head().start.split()[1], "101")
        self.assertEqual(self.receive(5), b"hello")

    def test_a_101_before_the_request_is_complete_is_a_502(self):
        def script(peer, wire):
            wire.head()
            wire.send(switching())
            wire.reset_or_end()
        self.peer.use(script)
        self.client.send((HANDSHAKE + "Content-Length: 5\r\n\r\n").encode())
        self.assertEqual(self.client.response().status, 502)

    # The tunnel ------------------------------------------------------------------------------------------------------

    def test_row_143_octets_pass_both_ways_and_are_counted(self):
        self.peer.use(echo)
        self.switch()
        for piece in (b"\x81\x05hello", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n"):
            self.client.send(piece)
            self.assertEqual(self.receive(len(piece)), piece)
        self.client.close()
        line = self.line()
        self.assertEqual((line["bytes_sent"], line["bytes_received"], line["outcome"]), (125, 125, "ok"))

    def test_what_comes_with_the_101_belongs_to_the_tunnel(self):
        def script(peer, wire):
            wire.request()
            wire.send(switching() + b"first frames")
            wire.reset_or_end()
        self.peer.use(script)
        self.switch()
        self.assertEqual(self.receive(12), b"first frames")

    def test_megabytes_pass_in_both_directions_at_once(self):
        self.peer.use(echo)
        self.switch()
        data = os.urandom(1 << 20) * 16
        sender = threading.Thread(target=self.client.send, args=(data,))
        sender.start()
        got = hashlib.sha256()
        for piece in self.client.exactly(len(data)):
            got.update(piece)
        sender.join()
        self.assertEqual(got.digest(), hashlib.sha256(data).digest())

    def test_a_side_that_does_not_read_holds_up_the_other_and_no_memory(self):
        ready, go = threading.Event(), threading.Event()
        got = []
        def script(peer, wire):
            wire.request()
            wire.send(switching())
            ready.set()
            go.wait(20)
            got.append(len(wire.reset_or_end()))
        self.peer.use(script)
        self.switch()
        ready.wait(20)
        self.client.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += self.client.sock.send(b"x" * 65536)
        except socket.timeout:
            pass
        self.assertLess(sent, 32 << 20, "the client is held up")
        go.set()
        self.client.sock.settimeout(20)
        self.client.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(self.client.at_end())
        wait_for(lambda: got == [sent], what="every octet at the worker")

    def test_row_111_an_end_is_passed_on_behind_the_last_octet_and_the_other_side_may_finish(self):
        def script(peer, wire):
            wire.request()
            wire.send(switching())
            received = wire.reset_or_end()
            wire.send(b"bye " + received)
        self.peer.use(script)
        self.switch()
        self.client.send(b"x" * 100000)
        self.client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(100004), b"bye " + b"x" * 100000)
        self.assertTrue(self.client.at_end())

    def test_row_111_a_worker_that_ends_first_is_flushed_and_told_the_clients_end(self):
        ended = threading.Event()
        def script(peer, wire):
            wire.request()
            wire.send(switching() + b"x" * 300000)
            wire.sock.shutdown(socket.SHUT_WR)
            wire.reset_or_end()
            ended.set()
        self.peer.use(script)
        self.switch()
        self.assertEqual(len(self.receive(300000)), 300000)
        self.assertTrue(self.client.at_end())
        self.client.close()
        self.assertTrue(ended.wait(20))
        self.assertEqual(self.line()["outcome"], "ok")

    def test_row_111_a_worker_that_breaks_off_ends_the_client(self):
        def script(peer, wire):
            wire.request()
            wire.send(switching() + b"last words")
            wire.exactly(1)
        self.peer.use(script)
        self.switch()
        self.client.send(b"x" * 1000)
        self.assertEqual(self.receive(10), b"last words")
        self.assertTrue(self.client.at_end())

    def test_row_143_a_tunnel_has_an_idle_timeout_of_its_own(self):
        self.peer.use(echo)
        self.switch()
        self.client.send(b"x")
        self.assertEqual(self.receive(1), b"x")
        self.assertTrue(self.client.at_end())
        line = self.line()
        self.assertEqual(line["outcome"], "tunnel_timeout")
        self.assertGreater(line["total_ms"], 900, "neither the 500 ms of a keep-alive nor those of a response")

    def test_a_tunnel_is_no_pooled_connection(self):
        self.peer.use(lambda peer, wire: echo(peer, wire) if len(peer.heads) == 0 else peer.heads.append(wire.request()) or wire.send(OK))
        self.switch()
        self.assertEqual(self.daemon.get("/").status, 200)
        self.assertEqual(self.peer.connections, 2)


class Ends(RotaCase):
    """A tunnel at the end of its worker and of the daemon."""

    def tunnel(self, daemon):
        client = daemon.client()
        self.addCleanup(client.close)
        client.send((HANDSHAKE.replace("/chat", "/tunnel") + "\r\n").encode())
        self.assertEqual(client.head().start.split()[1], "101")
        return client

    def echoes(self, client, octets):
        client.send(octets)
        return b"".join(client.exactly(len(octets))) == octets

    def test_row_143_a_drain_waits_and_sends_nothing_into_the_stream(self):
        app = self.scripted(1, stop={"drain": "1s", "grace": "1s"})
        daemon = self.serve({"web": app}, shutdown={"timeout": "2s"})
        daemon.wait_workers(1)
        client = self.tunnel(daemon)
        daemon.signal(rota_testing.SIGTERM)
        daemon.wait_log("stopping")
        self.assertTrue(self.echoes(client, b"still here"))
        self.assertTrue(client.at_end(), "at the deadline it ends")
        self.assertEqual(daemon.wait(), 0)

    def test_a_stop_does_not_wait_for_a_tunnel_that_has_ended(self):
        daemon = self.serve({"web": self.scripted(1)})
        daemon.wait_workers(1)
        client = self.tunnel(daemon)
        self.assertTrue(self.echoes(client, b"x"))
        client.close()
        daemon.stop()

    def test_a_worker_that_dies_ends_its_tunnels_at_once(self):
        daemon = self.serve({"web": self.scripted(1)})
        (worker,) = daemon.wait_workers(1).values()
        client = self.tunnel(daemon)
        os.kill(worker, rota_testing.SIGKILL)
        self.assertTrue(client.at_end())
        self.assertEqual(daemon.get("/").status, 200)


if __name__ == "__main__":
    rota_testing.main()
