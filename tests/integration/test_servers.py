"""Servers that already run: balanced, left alone, found by name, changed by a reload."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import unittest

import rota_testing
from rota_testing import Load, RotaCase, wait_for

ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}"


class Backend:
    """A server of the test's own, on any port: it answers with its name until it is closed."""

    def __init__(self, name, address=("127.0.0.1", 0)):
        self.name = name
        self.listener = socket.create_server(address)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        held = b""
        with connection:
            while True:
                try:
                    piece = connection.recv(65536)
                except OSError:
                    return
                if not piece:
                    return
                held += piece
                while b"\r\n\r\n" in held:
                    held = held.split(b"\r\n\r\n", 1)[1]
                    connection.sendall(ANSWER.format(len(self.name), self.name).encode())

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was faster


class Servers(RotaCase):
    def backends(self, *names):
        made = {name: Backend(name) for name in names}
        for one in made.values():
            self.addCleanup(one.listener.close)
        return made

    def names_seen(self, daemon, count=12):
        with daemon.client() as client:
            return {client.get("/").text for _ in range(count)}

    def test_they_share_the_requests_and_are_never_started_or_stopped(self):
        made = self.backends("a", "b")
        daemon = self.serve({"legacy": {"servers": [f"127.0.0.1:{b.port}" for b in made.values()]}})
        daemon.wait_log("ready: 2 of 2 servers of legacy")
        self.assertEqual(self.names_seen(daemon), {"a", "b"})
        made["a"].close()
        wait_for(lambda: self.names_seen(daemon) == {"b"}, what="the one that is left")
        daemon.stop()

    def test_a_reload_changes_them_and_no_client_notices(self):
        made = self.backends("a", "b", "c")
        def config(*names):
            return {"legacy": {"servers": [f"127.0.0.1:{made[n].port}" for n in names]}}
        daemon = self.serve(config("a", "b"))
        with Load(daemon.address) as load:
            self.write_config(config("b", "c"))
            daemon.signal(signal.SIGHUP)
            daemon.wait_log("reloaded in .*settings of legacy")
            wait_for(lambda: self.names_seen(daemon) == {"b", "c"}, what="the new ones")
            load.goes_on()
        self.assertEqual(load.failed, [])
        daemon.stop()

    def test_a_name_that_is_not_known_does_not_keep_the_others_from_serving(self):
        made = self.backends("a")
        daemon = self.serve({"web": self.scripted(1),
                             "legacy": {"servers": ["no-such-host.invalid:80"], "routes": ["/old"],
                                        "queue": {"timeout": "100ms"}},
                             "other": {"servers": [f"localhost:{made['a'].port}"], "routes": ["/other"]}})
        daemon.wait_workers(1)
        daemon.wait_log("the server name no-such-host.invalid has no address")
        self.assertEqual(daemon.get("/old").status, 503)
        self.assertEqual(daemon.get("/other").text, "a")
        daemon.stop()

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs a mount namespace of its own")
    def test_a_name_is_all_its_addresses_and_follows_them(self):
        port = Backend("127.0.0.2", ("127.0.0.2", 0)).port
        for number in (3, 4):
            Backend(f"127.0.0.{number}", (f"127.0.0.{number}", port))
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.2 backend.test\n127.0.0.3 backend.test\n")
        if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
            self.skipTest("no mount namespaces here")
        # /etc/hosts is ours in there, and nowhere else.
        prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
        path = self.write_config({"legacy": {"servers": [f"backend.test:{port}"]}})
        daemon = self.start("run", "-c", path, prefix=prefix)
        daemon.wait_log("ready: 2 of 2 servers of legacy", 30)
        self.assertEqual(self.names_seen(daemon), {"127.0.0.2", "127.0.0.3"})
        self.assertTrue(re.search(r"stands for 127\.0\.0\.2, 127\.0\.0\.3", daemon.log))
        daemon.stop()


if __name__ == "__main__":
    rota_testing.main()
