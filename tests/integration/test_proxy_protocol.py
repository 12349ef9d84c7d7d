"""Clients behind a balancer that speaks the PROXY protocol, versions 1 and 2."""
import ipaddress
import struct

import rota_testing
from rota_testing import RotaCase, wait_for
from wire import Client, Closed, Head

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TEXT = b"PROXY TCP4 192.0.2.1 198.51.100.1 4660 443\r\n"


def binary(source="192.0.2.1", destination="198.51.100.1", extensions=b"", command=0x21):
    addresses = [ipaddress.ip_address(one) for one in (source, destination)]
    family = 0x11 if addresses[0].version == 4 else 0x21
    block = b"".join(one.packed for one in addresses) + struct.pack(">HH", 4660, 443) + extensions
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


class ProxyProtocol(RotaCase):
    TRUSTED = ["127.0.0.0/8"]

    def setUp(self):
        self.daemon = self.serve(
            {"web": self.scripted(1)}, listen=[{"address": "127.0.0.1:0", "proxy_protocol": True}],
            trusted_proxies=self.TRUSTED, access_log="stdout", timeouts={"header": "1s"},
            limits={"connections_per_address": 2})
        wait_for(lambda: self.ask(TEXT) is not None and self.ask(TEXT).status == 200, what="a worker")

    def ask(self, header, pieces=None, fields=()):
        """The response to a GET for /head behind this header; None when rota closes without a word."""
        request = "\r\n".join(["GET /head HTTP/1.1", "Host: t.example", "Connection: close", *fields]).encode() + b"\r\n\r\n"
        with self.daemon.client() as client:
            try:
                data = header + request
                for at in range(0, len(data), pieces or len(data)):
                    client.send(data[at : at + (pieces or len(data))])
                return client.response()
            except (ConnectionError, Closed):
                return None

    def head(self, header, pieces=None, fields=()):
        return Head(self.ask(header, pieces, fields).body)

    def assert_named(self, head, address="192.0.2.1", port="443"):
        self.assertEqual(head.all("x-forwarded-for"), [address])
        self.assertEqual(head.all("x-real-ip"), [address])
        self.assertEqual(head.all("x-forwarded-port"), [port])

    def test_both_versions_name_the_client(self):
        self.assert_named(self.head(TEXT))
        self.assert_named(self.head(b"PROXY TCP6 2001:db8::7 ::1 80 8443\r\n"), "2001:db8::7", "8443")
        self.assert_named(self.head(binary()))
        self.assert_named(self.head(binary("2001:db8::7", "2001:db8::8")), "2001:db8::7")
        self.assert_named(self.head(binary(extensions=b"\x04\x00\x04noop" + b"\xea" + struct.pack(">H", 500) + bytes(500))))
        lines = wait_for(lambda: [l for l in self.daemon.access_log() if l["client"] == "2001:db8::7"][1:], what="log lines")
        self.assertEqual(lines[0]["status"], 200)

    def test_a_header_may_come_in_any_pieces(self):
        for header in (TEXT, binary(extensions=bytes(40))):
            for pieces in (1, 2, 7, len(header) - 1, len(header), len(header) + 1):
                with self.subTest(header=header[:6], pieces=pieces):
                    self.assert_named(self.head(header, pieces))

    def test_what_the_client_says_of_itself_is_replaced(self):
        head = self.head(TEXT, fields=["X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6"])
        self.assert_named(head)
        self.assertNotIn("6.6.6.6", head.raw.decode())

    def test_the_balancers_own_connections_are_its_own(self):
        local = SIGNATURE + b"\x20\x00\x00\x00"
        self.assertEqual(self.head(local).all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(self.head(b"PROXY UNKNOWN\r\n").all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(self.head(b"PROXY UNKNOWN\r\n", fields=["X-Forwarded-For: 6.6.6.6"]).all("x-forwarded-for"),
                         ["127.0.0.1"])

    def test_without_a_header_the_connection_ends(self):
        for header in (b"", b"PROXY TCP4 192.0.2.1 198.51.100.1 4660\r\n", b"PROXY TCP9 1 2 3 4\r\n", SIGNATURE + bytes(4),
                       b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n"):
            with self.subTest(header):
                self.assertIsNone(self.ask(header))
        match = self.daemon.wait_log(r"closed (\d+) connections that did not say whose they are")
        self.assertEqual(match[1], "1")
        self.assertEqual(self.ask(TEXT).status, 200)

    def test_half_a_header_has_the_deadline_of_a_head(self):
        with self.daemon.client() as client:
            client.send(TEXT[:20])
            self.assertTrue(client.at_end())

    def test_the_limit_of_connections_is_for_the_client_named(self):
        request = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
        def opened(address):
            client = self.daemon.client()
            self.addCleanup(client.close)
            client.send(b"PROXY TCP4 %s 198.51.100.1 4660 443\r\n" % address.encode() + request)
            try:
                return client.response().status
            except (ConnectionError, Closed):
                return None
        self.assertEqual([opened("192.0.2.8") for _ in range(3)], [200, 200, None])
        self.assertEqual(opened("192.0.2.9"), 200)
        self.daemon.wait_log("192.0.2.8 has 2 connections, limits.connections_per_address")


class Strangers(RotaCase):
    def test_a_header_from_a_stranger_ends_the_connection(self):
        daemon = self.serve({"web": self.scripted(1)}, listen=[{"address": "127.0.0.1:0", "proxy_protocol": True}],
                            trusted_proxies=["192.0.2.0/24"])
        with daemon.client() as client:
            try:
                client.send(TEXT + b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            except ConnectionError:
                pass
            self.assertTrue(client.at_end())
        daemon.wait_log("closed 1 connections to 127.0.0.1:.*trusted_proxies")

    def test_without_the_option_a_header_is_no_http(self):
        daemon = self.serve({"web": self.scripted(1)}, trusted_proxies=["127.0.0.1"])
        with daemon.client() as client:
            client.send(TEXT + b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            self.assertEqual(client.response().status, 400)

    def test_unix_peers_are_trusted_by_name(self):
        path = str(self.folder / "front.sock")
        daemon = self.start(self.write_config({"web": self.scripted(1)}, trusted_proxies=["unix"],
                                              listen=[{"address": f"unix:{path}", "proxy_protocol": True}]))
        daemon.wait_log("listening on unix:")
        def head():
            with Client(path) as client:
                client.send(TEXT + b"GET /head HTTP/1.1\r\nHost: t\r\n\r\n")
                response = client.response()
                return response.status == 200 and Head(response.body)
        self.assertEqual(wait_for(head, what="a worker").all("x-forwarded-for"), ["192.0.2.1"])


if __name__ == "__main__":
    rota_testing.main()
