"""Rules for messages, target and fields that need both ends to be seen. The rows are those of docs/HTTP.md."""
import socket

import rota_testing
from peer import OK, PeerCase, once
from wire import Closed

HOST = b"Host: t.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST


class Messages(PeerCase):
    def test_row_001_octets_above_ascii_pass_as_they_are(self):
        self.worker(b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n")
        response = self.ask(GET, b"X-Name: caf\xe9\r\n\r\n")
        self.assertEqual((self.peer.heads[0].get("x-name"), response.get("x-name")), ("caf\xe9", "caf\xe9"))

    def test_row_007_and_row_010_both_sides_are_spoken_to_in_our_own_version(self):
        self.peer.use(once(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        self.client.send(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n")
        self.assertEqual(self.client.response().version, "HTTP/1.1")
        self.assertTrue(self.peer.heads[0].start.endswith(" HTTP/1.1"))

    def test_row_021_and_row_131_no_line_of_a_response_is_split_or_folded(self):
        for field in (b"X-A: a\rSet-Cookie: b", b"X-A: a\nSet-Cookie: b", b"X-A: a\r\n b", b"X-A: a\0b", b"X-A: a\r\n\tb"):
            with self.subTest(field), self.daemon.client() as client:
                self.worker(b"HTTP/1.1 200 OK\r\n", field, b"\r\nContent-Length: 0\r\n\r\n")
                response = client.get("/")
                self.assertEqual((response.status, response.get("set-cookie")), (502, None))
                self.assertNotIn(b"\r", response.head.raw.replace(b"\r\n", b""))

    def test_row_026_fields_that_nobody_knows_pass_both_ways(self):
        self.worker(b"HTTP/1.1 200 OK\r\nX-Odd_Name.1: a\r\nContent-Length: 0\r\n\r\n")
        response = self.ask(GET, b"X-Odd_Name.2: b\r\n\r\n")
        self.assertEqual((self.peer.heads[0].get("x-odd_name.2"), response.get("x-odd_name.1")), ("b", "a"))

    def test_row_027_fields_that_are_no_lists_come_once(self):
        self.ask(b"POST http://other.example/ HTTP/1.1\r\n", HOST, b"Content-Length: 3\r\nContent-Type: a/b\r\n\r\nabc", method="POST")
        head = self.peer.heads[0]
        self.assertEqual([head.all(n) for n in ("host", "content-length", "content-type")], [["other.example"], ["3"], ["a/b"]])

    def test_row_028_empty_elements_of_lists_are_skipped(self):
        self.assertEqual(self.ask(GET, b"Connection: , ,,x-gone, ,\r\nX-Gone: 1\r\n\r\n").status, 200)
        self.assertEqual(self.peer.heads[0].all("x-gone"), [])

    def test_row_039_nothing_of_the_representation_is_touched(self):
        fields = [("etag", '"a"'), ("content-encoding", "gzip"), ("content-type", "x/y; a=b"), ("server", "app/1"),
                  ("content-range", "bytes 0-1/2"), ("cache-control", "no-transform"), ("last-modified", "never")]
        lines = "".join(f"{n}: {v}\r\n" for n, v in fields).encode()
        self.worker(b"HTTP/1.1 206 Partial Content\r\n", lines, b"Content-Length: 2\r\n\r\n\x1f\x8b")
        response = self.ask(GET, b"Referer: http://a/?b#c\r\nUser-Agent: x (y)\r\n\r\n")
        self.assertEqual([(n, response.get(n)) for n, _ in fields], fields)
        self.assertEqual(response.body, b"\x1f\x8b")
        head = self.peer.heads[0]
        self.assertEqual((head.get("referer"), head.get("user-agent")), ("http://a/?b#c", "x (y)"))

    def test_row_042_via_entries_stay_apart(self):
        self.ask(GET, b"Via: 2 a, 1.0 b\r\nVia: 1.1 c\r\n\r\n")
        self.assertEqual(self.peer.heads[0].all("via"), ["2 a, 1.0 b", "1.1 c", "1.1 rota"])

    def test_row_043_the_apps_own_allow_passes(self):
        self.worker(b"HTTP/1.1 405 No\r\nAllow: GET, FROB\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.ask(GET, b"\r\n").get("allow"), "GET, FROB")

    def test_row_044_no_page_of_ours_varies_by_everything(self):
        self.worker(b"no HTTP\r\n\r\n")
        response = self.ask(GET, b"\r\n")
        self.assertEqual((response.status, response.get("vary")), (502, None))

    def test_row_050_chunked_is_never_asked_for(self):
        self.ask(GET, b"Connection: TE\r\nTE: chunked, trailers\r\n\r\n")
        self.assertEqual(self.peer.heads[0].all("te"), ["trailers"])

    def test_row_123_max_forwards_is_not_added(self):
        self.ask(b"OPTIONS / HTTP/1.1\r\n", HOST, b"\r\n", method="OPTIONS")
        self.assertEqual(self.peer.heads[0].all("max-forwards"), [])

    def test_row_034_options_of_everything_reaches_the_worker(self):
        self.ask(b"OPTIONS * HTTP/1.1\r\n", HOST, b"\r\n", method="OPTIONS")
        self.ask(b"OPTIONS http://t.example HTTP/1.1\r\n", HOST, b"\r\n", method="OPTIONS")
        self.assertEqual([h.start for h in self.peer.heads], ["OPTIONS * HTTP/1.1"] * 2)

    def test_row_110_misdirected_is_only_what_asks_for_https(self):
        self.refused(b"GET https://t.example/ HTTP/1.1\r\n" + HOST + b"\r\n", 421)
        self.assertEqual(self.ask(b"GET http://who.knows/ HTTP/1.1\r\n", HOST, b"\r\n").status, 200)

    def test_row_127_our_405_says_what_is_allowed(self):
        for line in (b"TRACE / HTTP/1.1\r\n", b"CONNECT t.example:80 HTTP/1.1\r\n"):
            response = self.refused(line + HOST + b"\r\n", 405)
            self.assertIn("GET", response.get("allow"))

    def test_row_132_pages_repeat_nothing_that_the_client_sent(self):
        for request in (b"GET /<script> HTTP/1.1\r\n" + HOST, b"GET / HTTP/1.1\r\nHost: <script>\r\n", b"<script> / HTTP/1.1\r\n" + HOST,
                        GET + b"<script>: x\r\n", GET + b"Expect: <script>\r\n"):
            with self.subTest(request), self.daemon.client() as client:
                client.send(request + b"\r\n")
                response = client.response()
                self.assertGreaterEqual(response.status, 400)
                self.assertNotIn("script", response.text)

    def test_rows_133_to_139_http_2_is_not_spoken(self):
        for preface in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"):
            with self.subTest(preface), self.daemon.client() as client:
                client.send(preface)
                self.assertIn(client.response().status, (400, 501, 505))
                self.assertTrue(client.at_end())
        self.assertEqual(self.peer.heads, [])


class Bodies(PeerCase):
    top = {"timeouts": {"body": "1s"}}

    def test_row_071_a_length_that_is_no_number_is_told_to_nobody(self):
        for length in (b"+5", b"5,5", b"0x5", b"5 5", b"", b"05"):
            self.refused(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + length + b"\r\n\r\nhello", 400)

    def test_row_073_a_request_that_breaks_off_is_broken_for_the_worker_too(self):
        seen = []
        for head, body in ((b"Content-Length: 10\r\n\r\n", b"hello"), (b"Transfer-Encoding: chunked\r\n\r\n", b"a\r\nhello")):
            self.peer.use(lambda peer, wire: seen.append((wire.head(), wire.reset_or_end())))
            with self.subTest(head), self.daemon.client() as client:
                client.send(b"POST / HTTP/1.1\r\n" + HOST + head + body)
                rota_testing.wait_for(lambda: self.peer.connections, what="the request at the worker")
            rota_testing.wait_for(lambda: seen, what="the end at the worker")
            _, got = seen.pop()
            self.assertNotIn(b"0\r\n\r\n", got)
            self.assertLess(len(got), 10 + 5)

    def test_row_077_chunked_has_no_parameters(self):
        self.refused(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400)

    def test_row_080_trailers_of_a_request_pass_but_for_those_that_must_not(self):
        got = []
        def script(peer, wire):
            head = wire.request()
            got.append((head, wire.trailers))
            wire.send(OK)
        self.peer.use(script)
        trailers = b"X-Sum: 1\r\nHost: evil\r\nContent-Length: 9\r\nX-Forwarded-For: 6.6.6.6\r\nAuthorization: x\r\nX_Forwarded_For: 7\r\n"
        self.ask(b"POST / HTTP/1.1\r\n", HOST, b"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", trailers, b"\r\n", method="POST")
        head, passed = got.pop()
        self.assertEqual(passed, [b"X-Sum: 1"])
        self.assertEqual((head.get("trailer"), head.get("x-sum"), head.body), ("X-Sum", None, b"ab"))

    def test_row_046_a_trailer_that_connection_may_mean_does_not_pass(self):
        got = []
        def script(peer, wire):
            wire.request()
            got.append(wire.trailers)
            wire.send(OK)
        self.peer.use(script)
        self.ask(b"POST / HTTP/1.1\r\n", HOST, b"Connection: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n", method="POST")
        self.assertEqual(got, [[]])

    def test_row_081_trailers_of_a_response_go_to_who_asks_for_them(self):
        self.worker(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n")
        response = self.ask(GET, b"\r\n")
        self.assertEqual((response.body, self.client.trailers, response.get("trailer")), (b"ok", [], None))
        response = self.ask(GET, b"Connection: TE\r\nTE: trailers\r\n\r\n")
        self.assertEqual((response.body, self.client.trailers, response.get("trailer")), (b"ok", [b"X-Sum: 1"], "X-Sum"))
        self.assertEqual(self.peer.heads[1].all("te"), ["trailers"])

    def test_row_079_a_trailer_never_becomes_a_field(self):
        self.worker(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n")
        self.client.send(b"GET / HTTP/1.0\r\n" + HOST + b"TE: trailers\r\n\r\n")
        response = self.client.response()
        self.assertEqual((response.get("x-sum"), response.body), (None, b""))

    def test_row_082_a_response_without_its_end_has_none_for_the_client(self):
        for octets in (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"Content-Length: 5\r\n\r\nok", b"\r\nok"):
            self.peer.use(once(b"HTTP/1.1 200 OK\r\n" + octets))
            with self.subTest(octets), self.daemon.client() as client:
                with self.assertRaises((Closed, ConnectionResetError)):
                    client.get("/")

    def test_row_074_an_end_that_was_announced_is_one(self):
        for head in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
            self.peer.use(once(head + b"all of it"))
            with self.subTest(head):
                response = self.client.get("/")
                self.assertEqual((response.get("transfer-encoding"), response.body), ("chunked", b"all of it"))

    def test_row_107_a_body_that_is_broken_from_the_start_is_a_502(self):
        for body in (b"-5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"):
            self.worker(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body)
            with self.subTest(body):
                self.assertEqual(self.client.get("/").status, 502)

    def test_row_083_what_comes_behind_a_response_is_dropped_with_its_connection(self):
        self.worker(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
        for _ in range(3):
            self.assertEqual(self.client.get("/").body, b"ok")
        self.assertEqual(self.peer.connections, 3)

    def test_row_088_a_205_stays_framed(self):
        self.worker(b"HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(self.client.get("/").body, b"ok")
        self.assertEqual(self.client.get("/").status, 205)

    def test_row_089_a_body_of_a_get_is_a_body(self):
        self.assertEqual(self.ask(GET, b"Content-Length: 28\r\n\r\nGET /smuggled HTTP/1.1\r\nX: y").status, 200)
        self.assertEqual([h.body for h in self.peer.heads], [b"GET /smuggled HTTP/1.1\r\nX: y"])

    def test_row_090_a_body_that_nobody_reads_is_never_the_next_request(self):
        def script(peer, wire):
            peer.heads.append(wire.head())
            wire.send(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
            wire.reset_or_end()
        self.peer.use(script)
        self.client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n")
        response = self.client.response("POST")
        self.assertEqual((response.status, response.head.tokens("connection")), (401, ["close"]))
        try:
            self.client.send(b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
            self.assertTrue(self.client.at_end())
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertEqual(len(self.peer.heads), 1)

    def test_a_body_that_drips_is_given_up(self):
        self.peer.use(lambda peer, wire: (wire.head(), wire.reset_or_end()))
        self.client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        self.client.sock.settimeout(0.1)
        for _ in range(300):
            try:
                self.client.send(b"a")
                self.assertEqual(self.client.response("POST").status, 408)
                return
            except socket.timeout:
                pass
        self.fail("an octet now and then has held the connection for 30 seconds")


if __name__ == "__main__":
    rota_testing.main()
