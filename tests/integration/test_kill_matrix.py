"""The kill matrix: a worker dies at each moment of a request, in each way, under each method; what the client may see is
written down, cell by cell, with the reason. Every cell also wants: no POST executed twice, the other worker untouched,
the next request served, the dead one replaced."""
import itertools
import os
import queue
import re
import signal
import threading
import urllib.parse

import processes
import rota_testing
from rota_testing import PYTHON, TREE, RotaCase, wait_for
from wire import Client, WireError

WORKER = [PYTHON, str(TREE / "tests/support/matrix_worker.py")]
BODY = b"twenty bytes of body"
DEATHS = ("KILL", "SEGV", "TERM", "exit 0", "exit 1", "OOM")
WAYS = ("KILL", "STOP", "SEGV", "TERM", "exit 0", "exit 1", "OOM")
METHODS = ("GET", "POST")

# What a client may see: a status, or "cut": a 200 whose body visibly ends too early.
# A dead process is dead however it died: its sockets are closed by the kernel. Only a stopped one is another matter.
# moment: (GET, POST, of a worker that died), the reason; (GET and POST, of one that stands still), the reason
TABLE = {
    "before accept": (
        {200}, {200}, "the connection was never accepted, the kernel says so: another worker, whatever the method",
        {504}, "the kernel took the connection and the request; a timeout is never tried again"),
    "after connect": (
        {200}, {200}, "the kernel says that nothing was read (reset), and nobody listens there any more: another worker",
        {504}, "as before"),
    "after head": (
        {200}, {502}, "it may have acted on the head: only what is idempotent goes to another",
        {504}, "it may be working on it for all that anybody knows"),
    "in request body": (
        {200}, {502}, "half of a body was read: a GET's is still held and is sent again with what follows",
        {504}, "the client has sent everything, and no answer came"),
    "after body": (
        {200}, {502}, "it was read whole, and perhaps executed",
        {504}, "as above"),
    "after 1xx": (
        {502}, {502}, "a response had begun, if only an interim one: no retry after any byte of it",
        {504}, "an interim response is no answer"),
    "after response head": (
        {"cut"}, {"cut"}, "the client has the head: all that is left is to break off visibly",
        {"cut"}, "nothing came for timeouts.idle"),
    "in response body": (
        {"cut"}, {"cut"}, "as before",
        {"cut"}, "as before"),
    "idle": (
        {200}, {200}, "the answer was whole",
        {200}, "the answer was whole"),
}


def allowed(moment, how, method):
    get, post, _, stopped, _ = TABLE[moment]
    if "ROTA_TEST_FAULTS" in os.environ and method == "POST":
        post = post | {502}  # a request that left in two pieces was perhaps read
    return stopped if how == "STOP" else get if method == "GET" else post


class Lane:
    """A daemon with two workers, of which slot 0 is the victim, for one cell after the other."""

    def __init__(self, case, number, threads):
        self.case, self.number = case, number
        self.gates = case.folder / f"gates{number}"
        self.executed = case.folder / f"executed{number}"
        self.gates.mkdir()
        self.gates.chmod(0o777)
        self.run = case.folder / f"run{number}"
        app = {"command": WORKER, "workers": 2, "env": {"GATES": str(self.gates), "EXECUTED": str(self.executed)},
               "restart": {"delay": "10ms", "max_delay": "10ms"},
               "health": {"interval": "60s", "timeout": "30s"}, "timeouts": {"response": "1s", "idle": "1s"},
               "stop": {"grace": "200ms"}}
        path = case.write_config({"web": app}, name=f"rota{number}.yaml", runtime_dir=str(self.run), threads=threads)
        self.daemon = case.start(path)
        self.pids = self.daemon.wait_workers(2)

    def has(self, name):
        return (self.gates / name).exists()

    def arm(self, moment, how, cell):
        """Tells the victim itself, on its own socket."""
        paths = sorted((self.run / "web").glob("0-*.sock"), key=lambda p: int(p.stem.split("-")[1]))
        with Client(str(paths[-1])) as client:
            query = urllib.parse.urlencode({"moment": moment, "how": how, "cell": cell})
            self.case.assertEqual(client.get("/plan?" + query).status, 200)

    def request(self, moment, method, name):
        """The client's view: a status, or "cut"."""
        halfway = moment in ("after head", "in request body")
        body = BODY if method == "POST" or moment == "in request body" else b""
        query = urllib.parse.urlencode({"moment": moment, "id": name})
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} /moment?{query} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode()
        first = (BODY[:10] if moment == "in request body" else b"") if halfway else body
        with self.daemon.client() as client:
            client.send(head + first)
            if halfway:
                wait_for(lambda: self.has("saw-" + name) or self.has("fired-" + self.cell), 15, "the head to be read")
                if self.has("fired-" + self.cell):
                    self.wait_death()
                try:
                    client.send(body[len(first):])
                except OSError:
                    pass  # answered and closed already
            try:
                head = client.response_head()
            except OSError as error:
                return repr(error)
            try:
                b"".join(client.body_of(head, method))
            except (WireError, OSError):
                return "cut"
            return int(head.start.split(" ")[1])

    def wait_death(self):
        def over():
            process = processes.read(self.pids[0])
            return process is None or process.state == "Z" or process.state in "Tt"
        wait_for(over, 15, "the victim's end")

    def cell_problems(self, moment, how, method):
        self.cell = re.sub(r"\W", "-", f"{moment}-{how}-{method}")
        self.arm(moment, how, self.cell)
        for turn in itertools.count():
            name = f"{self.cell}-{turn}"
            seen = self.request(moment, method, name)
            if self.has("fired-" + self.cell):
                break
            if seen != 200 or turn > 6:
                return [f"{seen} from a worker that did not die, turn {turn}"]
        if moment == "idle":
            self.wait_death()
        problems = []
        if seen not in allowed(moment, how, method):
            problems.append(f"saw {seen}, allowed {sorted(map(str, allowed(moment, how, method)))}")
        following = self.daemon.get("/").status
        if following not in ({200, 504} if how == "STOP" else {200}):
            problems.append(f"the next request got {following}")
        names = self.executed.read_text().split() if self.executed.exists() else []
        if method == "POST" and names.count(name) > 1:
            problems.append("executed twice")
        return problems + self.replaced()

    def replaced(self):
        before = dict(self.pids)
        try:
            os.kill(before[0], signal.SIGKILL)  # a stopped one is not missed so soon
        except ProcessLookupError:
            pass
        wait_for(lambda: not (process := processes.read(before[0])) or process.state == "Z", 15, "the victim's end")
        self.pids = self.daemon.wait_workers(2)
        problems = [] if self.pids[0] != before[0] else ["the victim was not replaced"]
        return problems + ([] if self.pids[1] == before[1] else ["the other worker was restarted"])


class KillMatrix(RotaCase):
    LANES = 4

    def test_every_cell(self):
        cells = list(itertools.product(TABLE, WAYS, METHODS))
        self.assertEqual(len(cells), 126)
        todo, failures, done = queue.Queue(), [], []
        for cell in cells:
            todo.put(cell)
        lanes = [Lane(self, number, threads=1 + number % 2) for number in range(self.LANES)]

        def work(lane):
            while True:
                try:
                    cell = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    problems = lane.cell_problems(*cell)
                except Exception as error:  # of any kind: it belongs to this cell
                    problems = [repr(error)]
                    lane.pids = lane.daemon.wait_workers(2)
                failures.extend(f"{cell}: {problem}" for problem in problems)
                done.append(cell)

        threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(sorted(done), sorted(cells))
        for lane in lanes:
            lane.daemon.signal(signal.SIGTERM)
            self.assertEqual(lane.daemon.wait(), 0)
            lane.daemon.assert_nothing_left(lane.run)
        print(f"\nmeasured: kill matrix {len(done)} of {len(cells)} cells", flush=True)


if __name__ == "__main__":
    rota_testing.main()
