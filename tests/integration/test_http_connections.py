"""Rules for connections, pipelining, retries, interim responses and time. The rows are those of docs/HTTP.md."""
import socket
import threading

import rota_testing
from peer import OK, PeerCase, answer, once
from rota_testing import RotaCase, wait_for
from wire import Closed

HOST = b"Host: t.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST


class Connections(PeerCase):
    top = {"access_log": "stdout", "limits": {"body": "1MiB", "head": "8KiB", "target": "2KiB"}}

    def test_row_085_and_row_097_responses_come_in_the_order_of_requests(self):
        self.peer.use(lambda peer, wire: [wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + wire.request().start.split()[1][1:].encode())
                                          for _ in range(1000)])
        self.client.send(b"".join(b"GET /%02d HTTP/1.1\r\n" % i + HOST + b"\r\n" for i in range(50)))
        self.assertEqual([self.client.response().body for _ in range(50)], [b"%02d" % i for i in range(50)])

    def test_row_093_a_page_that_ends_the_connection_says_so(self):
        self.refused(b"GET / HTTP/1.1\r\n\r\n", 400)

    def test_row_094_a_worker_that_says_close_is_not_asked_again(self):
        def script(peer, wire):
            peer.heads.append(wire.request())
            wire.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            wire.reset_or_end()
        self.peer.use(script)
        for number in (1, 2, 3):
            self.assertEqual(self.client.get("/").status, 200)
            self.assertEqual(self.peer.connections, number)

    def test_row_095_and_row_109_a_refusal_arrives_while_the_client_still_sends(self):
        big = b"X-Big: " + b"x" * 100000
        for head, status in ((POST + b"Content-Length: 50000000\r\n\r\n", 413), (b"GET / HTTP/1.1\r\n" + HOST + big, 431),
                             (b"GET /" + b"x" * 100000, 414), (b"\x16\x03\x01", 400)):
            with self.subTest(status), self.daemon.client() as client:
                try:
                    client.send(head)
                    for _ in range(10):
                        client.send(b"x" * 1000000)
                except (BrokenPipeError, ConnectionResetError):
                    self.fail("the connection was reset while the client was sending")
                self.assertEqual(client.response("POST").status, status)
                self.assertTrue(client.at_end())
        self.assertEqual(self.peer.heads, [])

    def test_row_095_the_rest_of_a_refused_request_is_not_waited_for(self):
        self.client.send(POST + b"Content-Length: 50000000\r\n\r\n")
        self.assertEqual(self.client.response("POST").status, 413)
        self.assertTrue(self.client.at_end())

    def test_row_098_workers_get_one_request_at_a_time(self):
        first, seen = threading.Event(), []
        def script(peer, wire):
            wire.request()
            first.wait(20)
            wire.sock.settimeout(0.2)
            try:
                seen.append(bytes(wire.held) + wire.sock.recv(1))
            except socket.timeout:
                seen.append(b"")
            wire.sock.settimeout(20)
            wire.send(OK)
            answer(peer, wire)
        self.peer.use(script)
        self.client.send(GET * 3)
        first.set()
        self.assertEqual([self.client.response().status for _ in range(3)], [200] * 3)
        self.assertEqual(seen, [b""])

    def test_row_099_a_post_that_was_read_is_delivered_once(self):
        self.peer.use(lambda peer, wire: peer.heads.append(wire.request()))
        self.assertEqual(self.ask(POST, b"Content-Length: 2\r\n\r\nab", method="POST").status, 502)
        self.assertEqual(len(self.peer.heads), 1)

    def test_row_100_who_read_a_request_and_did_not_answer_is_not_asked_again(self):
        self.peer.use(lambda peer, wire: peer.heads.append(wire.request()))
        self.assertEqual(self.client.get("/").status, 502)
        self.assertEqual(len(self.peer.heads), 1)
        wait_for(lambda: (self.daemon.access_log()[-1]["outcome"], self.daemon.access_log()[-1]["retries"]) == ("upstream_closed", 1),
                 what="the log line")

    def test_row_101_a_request_that_crosses_the_end_of_an_idle_connection_goes_to_a_new_one(self):
        for _ in range(50):
            self.peer.use(once(OK))  # closes when it has answered
            self.assertEqual(self.client.get("/").status, 200)
            self.assertEqual(self.ask(POST, b"Content-Length: 0\r\n\r\n", method="POST").status, 200)

    def test_row_102_a_client_that_leaves_frees_its_worker(self):
        ended = []
        def script(peer, wire):
            peer.heads.append(wire.request())
            ended.append(wire.reset_or_end())
        self.peer.use(script)
        self.client.send(POST + b"Content-Length: 1\r\n\r\n")
        wait_for(lambda: self.peer.connections, what="the request at the worker")
        self.client.close()
        wait_for(lambda: self.peer.heads or not any(t.is_alive() for t in self.peer.threads), what="the end at the worker")

    def test_row_104_an_early_answer_ends_the_upload(self):
        def script(peer, wire):
            peer.heads.append(wire.head())
            wire.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
            wire.reset_or_end()
        self.peer.use(script)
        self.client.send(POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000)
        response = self.client.response("POST")
        self.assertEqual((response.status, response.head.tokens("connection")), (403, ["close"]))
        self.peer.script = answer
        self.assertEqual(self.daemon.get("/").status, 200)
        self.assertEqual(self.peer.connections, 2, "a connection whose request was not complete is not used again")

    def test_row_107_an_answer_that_is_none_is_a_502(self):
        for octets in (b"no HTTP\r\n\r\n", b"HTTP/1.1 600 X\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"):
            self.worker(octets)
            with self.subTest(octets):
                self.assertEqual(self.client.get("/").status, 502)
                wait_for(lambda: self.daemon.access_log()[-1]["outcome"] == "upstream_invalid", what="the log line")

    def test_row_112_a_client_that_closes_its_sending_side_gets_its_answer(self):
        gate = threading.Event()
        def script(peer, wire):
            wire.request()
            gate.wait(20)
            wire.send(OK)
        self.peer.use(script)
        self.client.send(GET)
        self.client.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: self.peer.connections, what="the request at the worker")
        gate.set()
        self.assertEqual(self.client.response().status, 200)
        self.assertTrue(self.client.at_end())


class OutOfTurn(PeerCase):
    def test_row_084_octets_on_an_idle_connection_are_no_response_and_cost_their_sender_its_trust(self):
        def script(peer, wire):
            peer.heads.append(wire.request())
            wire.send(OK)
            said.wait(20)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
            ended.append(wire.reset_or_end())
        said, ended = threading.Event(), []
        self.peer.use(script)
        self.assertEqual(self.client.get("/").body, b"ok")
        self.peer.script = answer
        said.set()
        wait_for(lambda: ended, what="the end of the connection")
        self.assertEqual(self.client.get("/").body, b"ok")
        self.assertEqual(self.peer.connections, 2)

        def early(peer, wire):
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
            peer.heads.append(wire.request())
        self.peer.use(early)
        self.assertEqual(self.client.get("/").status, 502)
        self.assertEqual(self.peer.heads, [])


class Interim(PeerCase):
    HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

    def test_row_113_and_row_121_hints_pass_at_once_and_stay_apart(self):
        gate = threading.Event()
        def script(peer, wire):
            wire.request()
            wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" + self.HINTS)
            gate.wait(20)
            wire.send(OK)
        self.peer.use(script)
        self.client.send(GET)
        self.assertEqual(self.client.head().start, "HTTP/1.1 102 Processing")
        hints = self.client.head()
        self.assertEqual((hints.start, hints.fields), ("HTTP/1.1 103 Early Hints", [("link", "</a.css>")]))
        gate.set()
        self.assertIsNone(self.client.response().get("link"))

    def test_row_114_a_1_0_client_gets_no_interim_response(self):
        self.worker(self.HINTS, OK)
        self.client.send(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
        self.assertEqual(self.client.head().start, "HTTP/1.1 200 OK")

    def test_row_115_interim_responses_are_not_endless(self):
        self.worker(self.HINTS * 16, OK)
        self.assertEqual(self.client.get("/").status, 200)
        self.worker(self.HINTS * 17, OK)
        self.assertEqual(self.client.get("/").status, 502)

    def test_row_116_a_100_comes_from_the_worker_and_waits_for_nothing(self):
        def script(peer, wire):
            head = wire.head()
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            head.body = b"".join(wire.body_of(head))
            peer.heads.append(head)
            wire.send(OK)
        self.peer.use(script)
        self.client.send(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.client.head().start, "HTTP/1.1 100 Continue")
        self.client.send(b"hello")
        self.assertEqual(self.client.response("POST").status, 200)
        self.assertEqual((self.peer.heads[0].get("expect"), self.peer.heads[0].body), ("100-continue", b"hello"))

    def test_row_117_a_1_0_client_expects_nothing(self):
        self.client.send(b"POST / HTTP/1.0\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab")
        self.assertEqual(self.client.head().start, "HTTP/1.1 200 OK")
        self.assertEqual(self.peer.heads[0].all("expect"), [])

    def test_row_118_other_expectations_are_a_417(self):
        for value in (b"foo", b"100-continue, foo", b"y 100-continue", b"", b"100-continue\r\nExpect: 100-continue"):
            self.refused(POST + b"Content-Length: 2\r\nExpect: " + value + b"\r\n\r\n", 417)

    def test_row_119_a_final_answer_to_an_expectation_says_that_the_connection_ends(self):
        def script(peer, wire):
            wire.head()
            wire.send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
            wire.reset_or_end()
        self.peer.use(script)
        response = self.ask(POST, b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", method="POST")
        self.assertEqual((response.status, response.head.tokens("connection")), (401, ["close"]))
        self.assertTrue(self.client.at_end())

    def test_row_120_a_body_that_does_not_wait_is_taken(self):
        self.assertEqual(self.ask(POST, b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab", method="POST").status, 200)
        self.assertEqual(self.peer.heads[0].body, b"ab")

    def test_an_event_is_with_the_client_before_the_next_is_made(self):
        gate = threading.Event()
        def script(peer, wire):
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            for number in range(3):
                wire.send(b"data: %d\n\n" % number)
                gate.wait(20)
                gate.clear()
        self.peer.use(script)
        self.client.send(GET)
        body = self.client.body_of(self.client.response_head(), "GET")
        for number in range(3):
            self.assertEqual(next(body), b"data: %d\n\n" % number)
            gate.set()


class Time(PeerCase):
    top = {"access_log": "stdout", "timeouts": {"header": "500ms", "body": "500ms", "idle": "500ms", "write": "1s"}}
    app = {"timeouts": {"response": "500ms", "idle": "500ms"}}

    def test_row_105_a_head_that_does_not_come_is_a_408_and_an_idle_connection_ends_in_silence(self):
        self.client.send(b"GET / HTTP/1.1\r\nHos")
        self.assertEqual(self.client.response().status, 408)
        with self.daemon.client() as client:
            self.assertEqual(client.get("/").status, 200)
            self.assertTrue(client.at_end())
        with self.daemon.client() as client:
            self.assertTrue(client.at_end())

    def test_row_106_a_worker_that_does_not_answer_is_a_504(self):
        self.peer.use(lambda peer, wire: wire.request() and wire.reset_or_end())
        self.assertEqual(self.client.get("/").status, 504)

    def test_a_response_that_stalls_breaks_off(self):
        def script(peer, wire):
            wire.request()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal")
            wire.reset_or_end()
        self.peer.use(script)
        with self.assertRaises((Closed, ConnectionResetError)):
            self.client.get("/")
        wait_for(lambda: self.daemon.access_log()[-1]["outcome"] == "upstream_stalled", what="the log line")


class Overload(RotaCase):
    def test_row_103_and_row_108_what_cannot_wait_is_told_when_to_come_back(self):
        daemon = self.serve({"web": {"servers": [f"unix:{self.folder / 'nobody'}"], "queue": {"size": 2, "timeout": "300ms"}}})
        clients = [daemon.client() for _ in range(10)]
        for client in clients:
            client.send(GET)
        for client in clients:
            response = client.response()
            self.assertEqual((response.status, response.get("retry-after")), (503, "1"))
            client.close()


if __name__ == "__main__":
    rota_testing.main()
