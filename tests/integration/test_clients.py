"""Clients that people really have: curl, h2load, Python's http.client and urllib."""
import hashlib
import http.client
import os
import shutil
import subprocess
import unittest
import urllib.request

import rota_testing
from rota_testing import SharedCase


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed (scripts/setup --test)")


class Clients(SharedCase):
    def begin(self):
        daemon = self.serve({"web": self.scripted(2)})
        daemon.wait_workers(2)
        return daemon

    @property
    def base(self):
        return "http://%s:%d" % self.daemon.address

    def curl(self, *arguments, data=b""):
        run = subprocess.run(["curl", "-sS", "--max-time", "30", *arguments], input=data, capture_output=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    @needs("curl")
    def test_curl_gets_heads_and_bodies(self):
        self.assertRegex(self.curl(self.base + "/"), rb"^\d+ \d+\n$")
        self.assertIn(b"HTTP/1.1 200", self.curl("-I", self.base + "/"))
        self.assertEqual(len(self.curl(self.base + "/chunked?n=100000&size=999")), 100000)
        self.assertEqual(self.curl("-0", self.base + "/until-close?n=50"), bytes(range(50)))

    @needs("curl")
    def test_curl_uploads_with_and_without_a_length_and_waits_for_100(self):
        data = os.urandom(2 << 20)
        want = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
        self.assertEqual(self.curl("--data-binary", "@-", self.base + "/sum", data=data), want)
        self.assertEqual(self.curl("-T", "-", "-X", "POST", self.base + "/sum", data=data), want)
        self.assertEqual(self.curl("-H", "Expect: 100-continue", "--data-binary", "@-", self.base + "/continue", data=b"x" * 100000), b"x" * 100000)

    @needs("curl")
    def test_curl_keeps_its_connection_and_offers_what_rota_does_not_speak(self):
        out = self.curl("-w", "%{num_connects} ", "-o", os.devnull, self.base + "/", "-o", os.devnull, self.base + "/")
        self.assertEqual(out, b"1 0 ")
        self.assertRegex(self.curl("--http2", self.base + "/"), rb"^\d+ \d+\n$")

    @needs("h2load")
    def test_h2load_has_every_request_answered(self):
        run = subprocess.run(["h2load", "--h1", "-n", "2000", "-c", "20", "-m", "4", self.base + "/"], capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("2000 succeeded, 0 failed, 0 errored", run.stdout)

    def test_python_s_http_client(self):
        connection = http.client.HTTPConnection(*self.daemon.address, timeout=30)
        for method, body in (("GET", None), ("POST", b"abc"), ("PUT", iter([b"a", b"bc"])), ("HEAD", None), ("POST", b"")):
            connection.request(method, "/echo", body, {"Content-Type": "a/b"}, encode_chunked=True)
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b"abc" if body else b""))
        connection.close()

    def test_python_s_urllib(self):
        with urllib.request.urlopen(self.base + "/bytes?n=100000") as response:
            self.assertEqual(len(response.read()), 100000)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(self.base + "/nothing-here")
        self.assertEqual(caught.exception.code, 404)


if __name__ == "__main__":
    rota_testing.main()
