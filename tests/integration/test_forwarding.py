"""What a worker is told of the client, and what it must not be told."""
import os

import rota_testing
from rota_testing import RotaCase
from wire import Client, Head


class Forwarding(RotaCase):
    def setUp(self):
        self.daemon = self.serve({"web": self.scripted(1)})
        self.daemon.wait_workers(1)

    def head(self, *fields, host="shop.example"):
        """The head the worker got for a GET with these fields."""
        with self.daemon.client() as client:
            response = client.request("GET", "/head", fields, host=host)
        self.assertEqual(response.status, 200)
        return Head(response.body)

    def test_the_client_is_named(self):
        head = self.head()
        self.assertEqual(head.all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(head.all("x-forwarded-proto"), ["http"])
        self.assertEqual(head.all("x-forwarded-host"), ["shop.example"])
        self.assertEqual(head.all("host"), ["shop.example"])

    def test_what_an_untrusted_client_claims_is_replaced(self):
        head = self.head("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
                         "Forwarded: for=6.6.6.6")
        self.assertEqual(head.all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(head.all("x-forwarded-proto"), ["http"])
        self.assertEqual(head.all("x-forwarded-host"), ["shop.example"])
        self.assertNotIn("6.6.6.6", " ".join(head.all("forwarded")))

    def test_underscores_do_not_forge_a_field(self):
        head = self.head("X_Forwarded_For: 6.6.6.6")
        self.assertNotIn("6.6.6.6", " ".join(v for n, v in head.fields if n.replace("_", "-") == "x-forwarded-for"))

    def test_via_names_every_hop(self):
        self.assertEqual(len(self.head().tokens("via")), 1)
        via = self.head("Via: 1.0 fred").tokens("via")
        self.assertEqual(via[0], "1.0 fred")
        self.assertTrue(via[1].startswith("1.1 "), via)

    def test_every_field_names_the_same_client(self):
        head = self.head("X-Real-IP: 6.6.6.6", "X.Real.IP: 6.6.6.6", "X-Forwarded-Prefix: /evil", "Forwarded: for=\"6.6.6.6")
        self.assertEqual(head.all("x-real-ip"), ["127.0.0.1"])
        self.assertEqual(head.all("forwarded"), ["for=127.0.0.1;host=shop.example;proto=http"])
        self.assertEqual(head.all("x-forwarded-port"), [str(self.daemon.address[1])])
        self.assertNotIn("6.6.6.6", head.raw.decode("latin-1"))
        self.assertNotIn("/evil", head.raw.decode("latin-1"))

    def test_a_request_has_an_id_of_its_own_or_a_new_one(self):
        made = [self.head().get("x-request-id") for _ in range(2)]
        self.assertEqual([len(one) for one in made], [32, 32])
        self.assertNotEqual(*made)
        self.assertEqual(self.head("X-Request-ID: trace-1").all("x-request-id"), ["trace-1"])
        for bad in ("X-Request-ID: " + "A" * 4000, "X-Request-ID: a b", "X_Request_ID: a"):
            with self.subTest(bad[:20]):
                ids = [v for n, v in self.head(bad).fields if n.replace("_", "-") == "x-request-id"]
                self.assertEqual([len(one) for one in ids], [32])

    def test_a_loop_ends(self):
        with self.daemon.client() as client:
            response = client.request("GET", "/head", ["Via: " + ", ".join(["1.1 rota"] * 8)])
        self.assertEqual(response.status, 508)

    def test_options_that_may_go_no_further_is_answered_here(self):
        with self.daemon.client() as client:
            response = client.request("OPTIONS", "/head", ["Max-Forwards: 0"])
            self.assertEqual((response.status, response.body), (200, b""))
            self.assertIn("GET", response.get("allow"))
            self.assertIn(b"max-forwards: 6\r\n", client.request("OPTIONS", "/head", ["Max-Forwards: 7"]).body.lower() + b"\r\n")

    def test_connection_fields_end_here(self):
        head = self.head("Connection: X-Secret, keep-alive", "X-Secret: 1", "Keep-Alive: timeout=9", "TE: gzip",
                         "Proxy-Connection: keep-alive")
        for name in ("x-secret", "keep-alive", "te", "proxy-connection"):
            self.assertEqual(head.all(name), [], name)

    def test_nominating_a_field_of_the_proxy_does_not_remove_it(self):
        head = self.head("Connection: X-Forwarded-For, Host, close")
        self.assertEqual(head.all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(head.all("host"), ["shop.example"])

    def test_other_fields_pass_in_order(self):
        fields = ["Accept: a", "X-One: 1", "Accept: b", "Cookie: a=b; c=d", "Authorization: Basic eDp5", "X-Utf8: \xe9"]
        head = self.head(*fields)
        wanted = [(n.lower(), v) for n, _, v in (f.partition(": ") for f in fields)]
        self.assertEqual([f for f in head.fields if f in wanted], wanted)

    def test_a_unix_client_has_no_address_to_name(self):
        path = str(self.folder / "front.sock")
        daemon = self.start(self.write_config({"web": self.scripted(1)}, "second.yaml", listen=f"unix:{path}",
                                              runtime_dir=str(self.folder / "run2")))
        daemon.wait_log("listening on unix:")
        with Client(path) as client:
            response = client.get("/head")
        self.assertEqual(response.status, 200)
        self.assertLessEqual(len(Head(response.body).all("x-forwarded-for")), 1)
        daemon.signal(15)
        self.assertEqual(daemon.wait(), 0)
        daemon.assert_nothing_left(self.folder / "run2")
        self.assertFalse(os.path.exists(path))

    def test_the_response_passes_unchanged_but_for_its_framing(self):
        with self.daemon.client() as client:
            response = client.request("POST", "/echo", body=b"x")
        self.assertEqual(response.get("x-received"), "length")
        self.assertEqual(response.head.all("keep-alive"), [])
        self.assertEqual(response.head.all("via"), ["1.1 rota"])


class Trusted(Forwarding):
    """The same from a peer that is believed; what nobody may do stays as it is."""

    def setUp(self):
        self.daemon = self.serve({"web": self.scripted(1)}, trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"], access_log="stdout")
        self.daemon.wait_workers(1)

    def test_what_an_untrusted_client_claims_is_replaced(self):
        head = self.head("X-Forwarded-For: 192.0.2.1, 10.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: front.example",
                         "Forwarded: for=192.0.2.1", "X-Request-ID: from-front")
        self.assertEqual(head.all("x-forwarded-for"), ["192.0.2.1, 10.0.0.9, 127.0.0.1"])
        self.assertEqual(head.all("forwarded"), ["for=192.0.2.1, for=127.0.0.1;host=shop.example;proto=http"])
        self.assertEqual(head.all("x-real-ip"), ["192.0.2.1"])
        self.assertEqual(head.all("x-forwarded-proto"), ["https"])
        self.assertEqual(head.all("x-forwarded-host"), ["front.example"])
        self.assertEqual(head.all("x-forwarded-port"), ["443"])
        line = rota_testing.wait_for(
            lambda: [l for l in self.daemon.access_log() if l.get("request_id") == "from-front"], what="the access log line")[0]
        self.assertEqual(line["client"], "192.0.2.1")

    def test_every_field_names_the_same_client(self):
        # A balancer that passes on what its client invented.
        head = self.head("X-Forwarded-For: 6.6.6.6, 192.0.2.1", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6")
        self.assertEqual(head.all("x-real-ip"), ["192.0.2.1"])
        self.assertEqual(head.tokens("x-forwarded-for"), ["6.6.6.6", "192.0.2.1", "127.0.0.1"])
        self.assertTrue(head.get("forwarded").startswith("for=192.0.2.1;"))


if __name__ == "__main__":
    rota_testing.main()
