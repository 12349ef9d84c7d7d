"""Under a real load generator: no error of any kind, and a stop in the midst of it cuts no response."""
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import rota_testing
from rota_testing import RELEASE, RotaCase
from wire import Client, Closed

SECONDS = 30 if RELEASE else 2
CONNECTIONS = 64


@unittest.skipUnless(shutil.which("wrk"), "wrk is not installed (scripts/setup --test)")
class Wrk(RotaCase):
    def wrk(self, daemon, seconds, target="/"):
        host, port = daemon.address
        return subprocess.Popen(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://{host}:{port}{target}"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_sixty_four_connections_see_no_error(self):
        daemon = self.serve({"web": self.hello(4)})
        daemon.wait_workers(4)
        output = self.wrk(daemon, SECONDS).communicate()[0]
        requests = int(re.search(r"(\d+) requests in", output)[1])
        self.assertGreater(requests, 100 * SECONDS, output)
        self.assertNotIn("Socket errors", output)
        self.assertNotIn("Non-2xx", output)
        daemon.stop()
        log = "\n".join(line for line in daemon.log.splitlines() if "run as root" not in line)
        self.assertNotRegex(log, r"(?i)\b(error|warning)\b")

    def test_connections_that_close_after_each_request_see_no_error(self):
        daemon = self.serve({"web": self.hello(4)})
        daemon.wait_workers(4)
        script = self.folder / "close.lua"
        script.write_text('wrk.headers["Connection"] = "close"\n')
        host, port = daemon.address
        output = subprocess.run(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{min(SECONDS, 3)}s", "-s", str(script), f"http://{host}:{port}/"],
                                capture_output=True, text=True, check=True).stdout
        self.assertNotIn("Socket errors", output)
        self.assertNotIn("Non-2xx", output)

    def test_a_stop_in_the_midst_of_it_cuts_no_response(self):
        """wrk cannot tell a cut response from a connection that was closed between two, so these clients look closely."""
        daemon = self.serve({"web": self.hello(4)})
        daemon.wait_workers(4)
        wrk = self.wrk(daemon, 30)
        answered, cut, refused = [0] * 16, [], []
        def client_loop(number):
            try:
                with Client(daemon.address) as client:
                    while True:
                        client.send(b"GET /bytes?n=20000 HTTP/1.1\r\nHost: x\r\n\r\n")
                        response = client.response()
                        if response.status != 200 or len(response.body) != 20000:
                            refused.append(response)
                        answered[number] += 1
                        if "close" in response.head.tokens("connection"):
                            return
            except Closed as end:
                if end.partial:
                    cut.append(end)
            except (ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
                pass  # between two requests: this one was never begun
            except Exception as error:
                cut.append(error)
        threads = [threading.Thread(target=client_loop, args=(n,)) for n in range(len(answered))]
        for thread in threads:
            thread.start()
        rota_testing.wait_for(lambda: all(n > 20 for n in answered), 30, "every client to be served")
        daemon.signal(signal.SIGTERM)
        code = daemon.wait(30)
        for thread in threads:
            thread.join()
        wrk.terminate()
        wrk.communicate()
        self.assertEqual((cut, refused, code), ([], [], 0))
        daemon.assert_nothing_left()

    def test_idle_keep_alive_clients_do_not_delay_a_stop(self):
        daemon = self.serve({"web": self.hello(1)})
        clients = [daemon.client() for _ in range(20)]
        for client in clients:
            self.assertEqual(client.get("/").status, 200)
        began = time.monotonic()
        daemon.stop()
        self.assertLess(time.monotonic() - began, 5 * rota_testing.PATIENCE)
        for client in clients:
            self.assertTrue(client.at_end())
            client.close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(daemon.address, 2)


if __name__ == "__main__":
    rota_testing.main()
