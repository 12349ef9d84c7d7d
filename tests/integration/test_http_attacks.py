"""Families of attacks that need both ends, or time, to be seen. What one message alone can try is in the corpus."""
import threading

import rota_testing
from peer import OK, PeerCase, answer
from rota_testing import RELEASE, wait_for

HOST = b"Host: t.example\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /first HTTP/1.1\r\n" + HOST


class Desync(PeerCase):
    top = {"timeouts": {"body": "5s"}, "limits": {"body": "1MiB"}}
    app = {"timeouts": {"response": "500ms" if RELEASE else "2s"}}

    def targets(self):
        return [h.start.split(" ")[1] for h in self.peer.heads]

    def early(self, response=OK):
        """The worker answers on the head alone and goes on with what it takes for the next request."""
        def script(peer, wire):
            while True:
                peer.heads.append(wire.head())
                wire.send(response)
        self.peer.use(script)

    def test_cl_0_a_worker_that_ignores_a_body_is_never_given_it_as_a_request(self):
        self.early()
        for framing, body in ((b"Content-Length: %d\r\n\r\n" % len(SMUGGLED), SMUGGLED),
                              (b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED))):
            with self.subTest(framing), self.daemon.client() as client:
                client.send(POST + framing + body)
                self.assertEqual(client.response("POST").status, 200)
            with self.daemon.client() as client:
                self.assertEqual(client.get("/next").body, b"ok")

    def test_pause_a_worker_that_gives_up_a_half_sent_request_loses_its_connection(self):
        self.early(b"HTTP/1.1 408 Slow\r\nContent-Length: 2\r\n\r\nno")
        with self.daemon.client() as client:
            client.send(POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED))
            self.assertEqual(client.response("POST").status, 408)
            try:
                client.send(SMUGGLED)
            except OSError:
                pass
        self.peer.script = answer
        self.assertEqual(self.daemon.get("/next").status, 200)
        self.assertEqual((self.targets(), self.peer.connections), (["/first", "/next"], 2))

    def test_client_side_a_body_of_a_request_that_rota_answers_is_no_request(self):
        for request, status in ((b"POST /x HTTP/1.1\r\n" + HOST + b"Expect: z\r\n", 417), (b"FROB / HTTP/1.1\r\n" + HOST, 501),
                                (b"POST https://t.example/ HTTP/1.1\r\n" + HOST, 421),
                                (b"OPTIONS / HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n", 200)):
            with self.subTest(status), self.daemon.client() as client:
                client.send(request + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
                self.assertEqual(client.response("POST").status, status)
                self.assertTrue(client.at_end())
        self.assertEqual(self.peer.heads, [])

    def test_a_timeout_leaves_neither_side_a_connection_to_go_on_with(self):
        def script(peer, wire):
            peer.heads.append(wire.request())
            late.wait(20)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
        late = threading.Event()
        self.peer.use(script)
        self.assertEqual(self.client.get("/slow").status, 504)
        self.peer.script = answer
        late.set()
        for _ in range(3):
            self.assertEqual(self.daemon.get("/next").body, b"ok")

    def test_connection_state_every_request_of_a_connection_is_checked(self):
        self.assertEqual(self.client.get("/").status, 200)
        for bad in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            with self.daemon.client() as client:
                self.assertEqual(client.get("/").status, 200)
                client.send(bad)
                self.assertEqual(client.response().status, 400)
                self.assertTrue(client.at_end())

    def test_expect_a_late_100_is_nobody_s_response(self):
        def script(peer, wire):
            peer.heads.append(wire.head())
            wire.send(OK + b"HTTP/1.1 100 Continue\r\n\r\n")
            wire.reset_or_end()
        self.peer.use(script)
        self.client.send(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.client.response("POST").body, b"ok")
        self.assertTrue(self.client.at_end())
        self.assertEqual(self.client.interim, [])

    def test_queue_poisoning_a_response_goes_to_the_client_that_asked(self):
        def script(peer, wire):
            while True:
                head = wire.request()
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head.start), head.start.encode()))
        self.peer.use(script)
        clients = [self.daemon.client() for _ in range(20)]
        for turn in range(5):
            for number, client in enumerate(clients):
                client.send(b"GET /%d/%d HTTP/1.1\r\n" % (turn, number) + HOST + b"\r\n")
            for number, client in enumerate(clients):
                self.assertEqual(client.response().text, f"GET /{turn}/{number} HTTP/1.1")
        for client in clients:
            client.close()

    def test_cl_0_a_get_s_body_that_its_worker_leaves_unread_is_nobody_s_request(self):
        def script(peer, wire):
            while True:  # heads alone, as many a worker reads a GET
                head = wire.head()
                peer.heads.append(head)
                wire.send(OK)
                if "close" in head.tokens("connection"):
                    return
        self.peer.use(script)
        for method in ("GET", "DELETE", "OPTIONS"):
            with self.subTest(method), self.daemon.client() as client:
                client.send(b"%s /first HTTP/1.1\r\n" % method.encode() + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
                client.send(b"GET /second HTTP/1.1\r\n" + HOST + b"\r\n")
                self.assertEqual([client.response(method).body, client.response().body], [b"ok", b"ok"])
        self.assertEqual(self.targets(), ["/first", "/second"] * 3)

    def test_queue_poisoning_a_worker_that_keeps_such_a_connection_does_not_get_it_back(self):
        def script(peer, wire):
            peer.heads.append(wire.head())
            wire.send(OK)
            ends.append(wire.reset_or_end())
        ends = []
        self.peer.use(script)
        self.client.send(b"GET /first HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
        self.assertEqual(self.client.response().body, b"ok")
        wait_for(lambda: ends == [SMUGGLED], what="the end of the worker's connection")

    def test_a_chunked_request_over_the_limit_never_looks_complete_to_the_worker(self):
        got = []
        self.peer.use(lambda peer, wire: (wire.head(), got.append(wire.reset_or_end())))
        with self.daemon.client() as client:
            client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(20):
                    client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                client.send(b"0\r\n\r\n")
            except OSError:
                pass
            self.assertEqual(client.response("POST").status, 413)
        wait_for(lambda: got, what="the end at the worker")
        self.assertFalse(got[0].endswith(b"0\r\n\r\n"))

    def test_a_chunk_that_breaks_a_rule_breaks_the_request_off(self):
        for bad in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
                    b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", b"ffffffffffffffff1\r\n"):
            got = []
            self.peer.use(lambda peer, wire: (wire.head(), got.append(wire.reset_or_end())))
            with self.subTest(bad), self.daemon.client() as client:
                client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
                wait_for(lambda: self.peer.connections, what="the head at the worker")
                client.send(bad)
                self.assertIn(client.response("POST").status, (400, 413))
                self.assertTrue(client.at_end())
                wait_for(lambda: got, what="the end at the worker")
                self.assertFalse(got[0].endswith(b"0\r\n\r\n"))


class KeptConnections(PeerCase):
    """Apart from those after which the upstream is not trusted with kept connections for a while."""

    def test_queue_poisoning_a_body_that_follows_the_answer_to_a_head_is_no_response(self):
        def script(peer, wire):
            while True:
                head = wire.request()
                if not head.start.startswith("HEAD "):
                    wire.send(OK if wire not in poisoned else poison)
                    continue
                poisoned.append(wire)
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(poison))
        poisoned, poison = [], b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
        self.peer.use(script)
        # The body comes as soon as the connection is used again.
        self.assertEqual(self.client.request("HEAD").status, 200)
        self.client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assertEqual(self.client.response().body, b"ok")

    def test_a_connection_is_kept_behind_the_answer_to_a_head_that_announces_no_body(self):
        self.worker(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        for _ in range(3):
            self.assertEqual(self.client.request("HEAD").status, 200)
        self.assertEqual(self.peer.connections, 1)

    def test_cl_0_who_answers_before_it_has_taken_the_body_does_not_get_its_connection_back(self):
        def script(peer, wire):
            wire.sock.recv(1)
            wire.send(OK)
            over.wait(20)  # until then nothing more is taken
        over = threading.Event()
        self.addCleanup(over.set)
        self.peer.use(script)
        self.client.send(POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
        self.assertEqual(self.client.response("POST").body, b"ok")
        self.assertEqual(self.client.get("/next").body, b"ok")
        self.assertEqual(self.peer.connections, 2)


if __name__ == "__main__":
    rota_testing.main()
