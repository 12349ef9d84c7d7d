"""Which requests are tried again, and which never: a POST is not executed twice."""
import os
import signal
import threading

import processes
import rota_testing
from rota_testing import RotaCase, wait_for


class Retry(RotaCase):
    def serve_two(self, **more):
        self.daemon = self.serve({"web": self.scripted(2, **more)})
        self.pids = self.daemon.wait_workers(2)
        return self.daemon

    def requests(self, path):
        return len(self.journal("request", path=path))

    def test_a_get_that_was_perhaps_read_is_tried_once_more(self):
        self.serve_two()
        response = self.daemon.get("/eof-once?name=a")
        self.assertEqual(response.status, 200)
        self.assertEqual(self.requests("/eof-once"), 2)

    def test_and_no_more_than_once(self):
        self.serve_two()
        self.assertEqual(self.daemon.get("/eof").status, 502)
        self.assertEqual(self.requests("/eof"), 2)

    def test_on_another_worker(self):
        self.serve_two()
        for _ in range(4):
            self.daemon.get("/eof")
        slots = [e["slot"] for e in self.journal("request", path="/eof")]
        for first, second in zip(slots[::2], slots[1::2]):
            self.assertNotEqual(first, second, slots)

    def test_head_and_options_are_tried_again_too(self):
        self.serve_two()
        for method in ("HEAD", "OPTIONS"):
            with self.daemon.client() as client:
                self.assertEqual(client.request(method, f"/eof-once?name={method}").status, 200)

    def test_a_post_that_was_perhaps_read_is_not(self):
        self.serve_two()
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            with self.daemon.client() as client:
                self.assertEqual(client.request(method, "/eof-once?name=" + method, body=b"x").status, 502)
        self.assertEqual(self.requests("/eof-once"), 4)

    def test_attempts_can_be_set_to_none(self):
        self.serve_two(retry={"attempts": 0})
        self.assertEqual(self.daemon.get("/eof-once?name=a").status, 502)
        self.assertEqual(self.requests("/eof-once"), 1)

    def test_a_response_byte_ends_every_retry(self):
        self.serve_two()
        with self.daemon.client() as client, self.assertRaises(Exception):
            client.get("/short")
        self.assertEqual(self.requests("/short"), 1)

    def test_a_timeout_is_never_tried_again(self):
        self.serve_two(timeouts={"response": "300ms"})
        self.assertEqual(self.daemon.get("/gate/never").status, 504)
        self.assertEqual(self.requests("/gate/never"), 1)
        self.open_gate("never")

    def posts_to_a_stopped_worker(self, body):
        """The statuses of twelve POSTs, about half of them to a worker that stands still (SIGSTOP), reads nothing, and is
        killed. Each data loop takes turns of its own, and the kernel says which gets how many clients."""
        self.serve_two(health={"path": "/healthz", "interval": "60s", "timeout": "30s"})
        os.kill(self.pids[0], signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(self.pids[0]), what="the worker to stand still")
        sent, results = [], []
        def post():
            with self.daemon.client() as client:
                client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                sent.append(client)
                results.append(client.response("POST").status)
        threads = [threading.Thread(target=post) for _ in range(12)]
        for thread in threads:
            thread.start()
        loops = int(os.environ.get("ROTA_TEST_THREADS", "1"))
        wait_for(lambda: len(sent) == 12 and len(results) >= (12 - loops) // 2, what="the other worker's share")
        os.kill(self.pids[0], signal.SIGKILL)
        for thread in threads:
            thread.join()
        return results

    def test_a_post_never_delivered_goes_to_another_worker(self):
        """The kernel says that nothing was read, so that even a POST is safe to repeat."""
        results = self.posts_to_a_stopped_worker(b"")
        # One that went in pieces may have been read in part, as far as anybody can know (decision 0007).
        allowed = {200, 502} if "ROTA_TEST_FAULTS" in os.environ else {200}
        self.assertLessEqual(set(results), allowed)
        self.assertEqual(self.requests("/echo"), results.count(200))

    def test_a_post_with_a_body_is_repeated_only_when_that_is_certain(self):
        """A worker may have read the head and left the body, so that not every unread body proves the same."""
        results = self.posts_to_a_stopped_worker(b"once")
        self.assertLessEqual(set(results), {200, 502})
        self.assertEqual(self.requests("/echo"), results.count(200))

    def test_posts_under_repeated_kills_are_executed_at_most_once(self):
        self.serve_two()
        sent, failures = [], []
        def posts(client_number):
            client = None
            for number in range(60):
                name = f"{client_number}-{number}"
                sent.append(name)
                try:
                    client = client or self.daemon.client()
                    response = client.request("POST", f"/echo?name={name}", body=b"x")
                    if response.status not in (200, 502):
                        failures.append(response)
                except OSError as error:
                    failures.append(error)
                    client = None
            if client:
                client.close()
        threads = [threading.Thread(target=posts, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(3):
            known = {e["pid"] for e in self.journal("listening")}
            os.kill(self.journal("listening", slot=str(turn % 2))[-1]["pid"], signal.SIGKILL)
            wait_for(lambda: {e["pid"] for e in self.journal("listening")} - known, what="a new worker")
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        names = [e["query"]["name"] for e in self.journal("request", path="/echo")]
        self.assertEqual(len(names), len(set(names)), "a POST was executed twice")

    def test_a_socket_file_that_is_gone_sends_requests_to_the_others(self):
        self.serve_two(health={"path": "/healthz", "interval": "60s", "timeout": "2s"})
        for path in (self.folder / "run" / "web").glob("0-*.sock"):
            path.unlink()
        with self.daemon.client() as client:
            for number in range(20):
                self.assertEqual(client.request("POST", "/echo", body=b"x").status, 200, number)


if __name__ == "__main__":
    rota_testing.main()
