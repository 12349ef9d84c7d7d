"""Which app a request goes to: by listener, host and path, as sent and as tricked."""
import socket

import rota_testing
from rota_testing import RotaCase, SharedCase
from wire import Client


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def app_of(response):
    """The app that answered, or the status of rota's own answer."""
    return response.get("x-app") or response.status


class Routing(SharedCase):
    def begin(self):
        port = free_port()
        self.start(self.write_config({
            "site": self.scripted(1, routes=["shop.example", "*.shop.example"]),
            "api": self.scripted(1, routes=["shop.example/api", "other.example"]),
            "back": self.scripted(1, routes=[f":{port}"]),
        }, listen=["127.0.0.1:0", f"127.0.0.1:{port}"], access_log="stdout", timeouts={"idle": "60s"}))
        daemon = self.daemons[0]
        type(self).back = "127.0.0.1", port
        daemon.wait_log("listening on", count=2)
        type(self).front = "127.0.0.1", next(
            int(m) for m in rota_testing.re.findall(r"listening on 127\.0\.0\.1:(\d+)", daemon.log) if int(m) != port)
        for host, target, app in (("shop.example", "/", "site"), ("shop.example", "/api", "api")):
            rota_testing.wait_for(lambda: self.app(host, target) == app, what=f"the app {app}")
        rota_testing.wait_for(lambda: self.app("x", "/", self.back) == "back", what="the app back")
        return daemon

    def app(self, host, target, address=None, method="GET"):
        with Client(address or self.front) as client:
            return app_of(client.request(method, target, host=host))

    def test_the_host_decides(self):
        for host in ("shop.example", "SHOP.example", "shop.example:8080", "shop.example.", "www.shop.example", "a.b.shop.example"):
            with self.subTest(host):
                self.assertEqual(self.app(host, "/"), "site")
        self.assertEqual(self.app("other.example", "/"), "api")

    def test_the_path_decides_by_whole_segments(self):
        for target in ("/api", "/api/", "/api/x?y", "/api?x"):
            with self.subTest(target):
                self.assertEqual(self.app("shop.example", target), "api")
        for target in ("/", "/apix", "/x/api", "/?/api"):
            with self.subTest(target):
                self.assertEqual(self.app("shop.example", target), "site")
        self.assertEqual(self.app("www.shop.example", "/api"), "site")

    def test_the_listener_comes_first(self):
        self.assertEqual(self.app("shop.example", "/api", self.back), "back")
        self.assertEqual(self.app("nobody.example", "/", self.back), "back")

    def test_one_connection_reaches_every_app(self):
        with Client(self.front) as client:
            for host, target, app in (("shop.example", "/", "site"), ("shop.example", "/api", "api"),
                                      ("nobody.example", "/", 404), ("shop.example", "/", "site")):
                self.assertEqual(app_of(client.request("GET", target, host=host)), app)

    def test_no_spelling_of_a_path_gets_around_a_route(self):
        for target in ("/%61pi", "/x/../api", "/./api", "/x/%2e%2e/api", "/../api/x"):
            with self.subTest(target):
                self.assertEqual(self.app("shop.example", target), "api")
        for target in ("//api", "/x/..%2fapi", "/x/..;/api", "/api/..%2f", "/%2fapi"):
            with self.subTest(target):
                self.assertEqual(self.app("shop.example", target), 400)
        self.assertEqual(self.app("shop.example", "/api/../x"), "site")

    def test_the_target_arrives_as_it_was_sent(self):
        for target in ("/api/%61/../x%2Fy?q=%41", "/api/./z//z", "http://shop.example/api/a%2db"):
            with self.subTest(target), Client(self.front) as client:
                client.request("GET", target, host="shop.example")
                sent = target.removeprefix("http://shop.example")
                self.daemon_saw(sent)

    def daemon_saw(self, target):
        path = target.partition("?")[0]
        rota_testing.wait_for(lambda: self.first.journal("request", path=path), what=f"{path} at the worker")

    def test_an_absolute_targets_authority_decides(self):
        self.assertEqual(self.app("nobody.example", "http://shop.example/api"), "api")
        self.assertEqual(self.app("shop.example", "http://nobody.example/api"), 404)

    def test_options_of_the_whole_server_goes_to_the_root_of_the_host(self):
        self.assertEqual(self.app("shop.example", "*", method="OPTIONS"), "site")
        self.assertEqual(self.app("other.example", "*", method="OPTIONS"), "api")

    def test_no_route_is_a_404_and_a_line_in_the_log(self):
        with Client(self.front) as client:
            response = client.request("GET", "/lost?mark", host="nobody.example")
        self.assertEqual(response.status, 404)
        self.assertIsNotNone(response.get("date"))
        line = rota_testing.wait_for(
            lambda: [l for l in self.daemon.access_log() if l.get("target") == "/lost?mark"], what="the access log line")[0]
        self.assertEqual((line["outcome"], line["status"], line["host"]), ("no_route", 404, "nobody.example"))
        self.assertNotIn("app", line)
        self.assertIn("reason", line)


class EverythingElse(RotaCase):
    def test_an_app_without_routes_gets_what_no_route_matches(self):
        daemon = self.serve({"rest": self.scripted(1), "api": self.scripted(1, routes=["/api"])})
        def app(target):
            with daemon.client() as client:
                return app_of(client.request("GET", target, host="any.example"))
        rota_testing.wait_for(lambda: app("/") == "rest" and app("/api/x") == "api", what="both apps")
        self.assertEqual(app("/apix"), "rest")


if __name__ == "__main__":
    rota_testing.main()
