"""Runs the rota that was built, on a free port in a short temporary folder, and leaves nothing behind.

A test class derives from RotaCase. Each daemon it starts is stopped at the end of the test and examined: no process, no
zombie, no socket file, no sanitizer report. When a test fails, its daemons' logs are printed.

Environment, set by ctest: ROTA_BINARY, ROTA_HELLO, ROTA_SANITIZE (empty for a release build). ROTA_TEST_THREADS: the
proxy's loops where a test does not say. ROTA_TEST_FAULTS: settings of the fault injector (faults.py) for every daemon.
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from signal import SIGKILL, SIGTERM

import faults
import processes
from wire import Client

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
ROTA = os.environ.get("ROTA_BINARY", str(TREE / "build/release/rota"))
HELLO = os.environ.get("ROTA_HELLO", str(pathlib.Path(ROTA).parent / "hello"))
SANITIZE = os.environ.get("ROTA_SANITIZE", "")
RELEASE = not SANITIZE


def only_in_release(test):
    """For what a sanitizer cannot stand: in other builds there is no such test, and nothing is left out."""
    return test if RELEASE else None

# Sanitized code is slower; what is measured against a promise is measured against the promise in a release build only.
PATIENCE = 1.0 if RELEASE else 3.0
# An interpreter that other users may execute too, when there is one.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
# -S: the library of the language is enough, and hundreds of them start.
SCRIPTED = [PYTHON, "-S", "-u", str(TREE / "tests/support/scripted_worker.py")]
# Marking every global takes half of the time in which a process starts, and thousands do; the bounds of globals, and the
# order in which they begin, are watched in the unit tests.
ASAN_OPTIONS = "detect_stack_use_after_return=1:report_globals=0"
SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer|CHECK failed|CHECK\("
)


def wait_for(condition, timeout=15.0, what="a condition"):
    """Polls until the condition is truthy and returns its value; an AssertionError names `what` otherwise."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        begun = time.monotonic()
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout * PATIENCE:g} s in vain for {what() if callable(what) else what}")
        # At most a quarter of a processor: what is waited for needs it more.
        time.sleep(max(0.01, 3 * (time.monotonic() - begun)))


def json_lines(text):
    """Those that have their end: who reads what another writes may see a part of a line."""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line]


class Load:
    """Clients that ask again and again while something else happens; every answer that is not a 200 is in `failed`."""

    PAUSE = 0 if RELEASE else 0.01  # a sanitized build is slow enough without being loaded

    def __init__(self, address, target="/", clients=4):
        self.address, self.target = address, target
        self.failed, self.answered = [], [0] * clients
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_for(lambda: all(self.answered), 15, "every client to be answered once")
        return self

    def _run(self, number):
        try:
            with Client(self.address) as client:
                while not self._stop.is_set():
                    response = client.get(self.target)
                    if response.status != 200:
                        self.failed.append(response)
                    self.answered[number] += 1
                    time.sleep(self.PAUSE)
        except Exception as error:  # whatever it is, a client has seen it
            self.failed.append(error)

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self):
        """Waits until each client has been answered several times from now on."""
        before = list(self.answered)
        wait_for(lambda: self.failed or all(now > then + 5 for now, then in zip(self.answered, before)), 15, "answers")


def _die_with_the_test():
    ctypes.CDLL(None).prctl(1, SIGKILL)  # PR_SET_PDEATHSIG: a killed test leaves no daemon


class Daemon:
    """One run of the binary. Its output is in files, so that it can never block on us."""

    def __init__(self, folder, arguments, environment=None, prefix=(), number=0):
        self.folder = folder
        self.mark = f"rota-test-{os.getpid()}-{folder.name}-{number}"
        self.log_path, self.out_path = folder / f"log{number}", folder / f"out{number}"
        self.seen = {}
        self.checked = False
        path = os.environ.get("PATH", "/usr/bin:/bin")
        env = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "ROTA_TEST_MARK": self.mark, **(environment or {})}
        env.setdefault("ASAN_OPTIONS", ASAN_OPTIONS)
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        if "ROTA_TEST_FAULTS" in os.environ:
            env.update(faults.environment(os.environ["ROTA_TEST_FAULTS"]))
        with open(self.log_path, "wb") as log, open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(
                [*prefix, ROTA, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=env, cwd=folder,
                start_new_session=True, preexec_fn=_die_with_the_test,
            )
        self.pid = self.process.pid

    @property
    def log(self):
        return self.log_path.read_text("utf-8", "replace")

    @property
    def out(self):
        return self.out_path.read_text("utf-8", "replace")

    def access_log(self):
        """The access log's lines (sent to stdout) as dictionaries."""
        return json_lines(self.out)

    def wait_log(self, pattern, timeout=15.0, count=1):
        """Waits for the count-th match of a pattern in the log and returns it."""
        def enough():
            if self.process.poll() is not None and len(list(re.finditer(pattern, self.log))) < count:
                raise AssertionError(f"rota ended with {self.process.returncode} before it logged {pattern!r}:\n{self.log}")
            return list(re.finditer(pattern, self.log))[count - 1 : count]
        return wait_for(enough, timeout, f"{pattern!r} in the log")[0]

    @property
    def address(self):
        match = self.wait_log(r"listening on 127\.0\.0\.1:(\d+)")
        return "127.0.0.1", int(match[1])

    def client(self, timeout=20.0):
        return Client(self.address, timeout)

    def get(self, target="/", *fields):
        with self.client() as client:
            return client.get(target, *fields)

    def tree(self):
        found = processes.tree(self.pid)
        self.seen.update((p.key, p) for p in found)
        return found

    def role(self, name):
        """The process of a role ("supervisor", "proxy"), or None while there is none."""
        return next((p for p in self.tree() if p.command.startswith(f"rota: {name}") and p.state != "Z"), None)

    def workers(self, pattern=""):
        """The live processes below the keeper that are not rota's own roles."""
        return [p for p in self.tree() if p.state != "Z" and p.pid != self.pid and not p.command.startswith("rota")
                and p.parent == self.pid and pattern in p.command]

    def wait_workers(self, count, target="/", answers=None):
        """Waits until requests are answered by `count` different workers; returns {slot: pid}. The app must answer
        the target with "... slot N (pid M)" or "N M"."""
        found = {}
        def all_seen():
            response = self.get(target)
            if response.status == 200:
                slot, pid = re.search(r"(\d+) (?:\(pid )?(\d+)", response.text).groups()
                found[int(slot)] = int(pid)
            return len(found) >= count
        wait_for(all_seen, 30, f"{count} workers that answer")
        return found

    def signal(self, number):
        self.tree()
        self.process.send_signal(number)

    def wait(self, timeout=30.0):
        """Waits for the end and returns the exit code."""
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"rota did not end within {timeout * PATIENCE:g} s:\n{self.log[-4000:]}") from None

    def stop(self, expected=0, number=SIGTERM):
        self.signal(number)
        code = self.wait()
        assert code == expected, f"exit code {code}, not {expected}:\n{self.log[-4000:]}"
        self.assert_nothing_left()

    def left_processes(self):
        found = {p.key: p for p in processes.marked(self.mark)}
        for key in self.seen:
            process = processes.read(key[0])
            if process is not None and process.key == key and process.pid != self.pid:
                found[key] = process
        return list(found.values())

    def assert_nothing_left(self, runtime=None):
        """After the end: no process, no zombie, no socket, nothing in the runtime folder but the lock."""
        self.checked = True
        try:
            wait_for(lambda: not self.left_processes(), 3, "the end of every process")
        except AssertionError:
            raise AssertionError(f"processes left: {self.left_processes()}") from None
        runtime = runtime or self.folder / "run"
        left = [p for p in sorted(runtime.rglob("*")) if not (p.is_dir() or p.name == "lock")] if runtime.exists() else []
        assert not left, f"files left: {left}"
        self.assert_clean_log()

    def assert_clean_log(self):
        report = SANITIZER_REPORT.search(self.log)
        assert report is None, f"a sanitizer or CHECK report in the log:\n{self.log[max(0, report.start() - 200):][:6000]}"

    def end(self):
        """At the end of a test, whatever happened in it: nothing stays alive."""
        if self.process.poll() is None:
            self.tree()
            self.process.send_signal(SIGTERM)
            try:
                self.process.wait(15 * PATIENCE)
            except subprocess.TimeoutExpired:
                pass
        hung = self.process.poll() is None
        for process in self.left_processes() + ([processes.read(self.pid)] if hung else []):
            if hung and process is not None:
                try:
                    os.kill(process.pid, SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait(10)
        assert not hung, f"rota ignored TERM:\n{self.log[-4000:]}"


class RotaCase(unittest.TestCase):
    """A folder of its own in self.folder; daemons by self.start(); the journal of scripted workers by self.journal()."""

    maxDiff = None

    def _open(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rt-", dir="/tmp"))
        os.chmod(self.folder, 0o755)
        self.daemons = []

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        self._open()
        try:
            self._run_and_tell(result)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        return result

    def _run_and_tell(self, result):
        """Runs the test; when it fails, prints the logs of its daemons."""
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for daemon in self.daemons:
                print(f"--- {self.id()}: log of {daemon.mark}\n{daemon.log[-12000:]}\n--- end of log", file=sys.stderr)

    def tearDown(self):
        for daemon in self.daemons:
            daemon.end()
        for daemon in self.daemons:
            if daemon.checked:
                daemon.assert_clean_log()
            else:
                daemon.assert_nothing_left()

    # Configuration ---------------------------------------------------------------------------------------------------

    def write_config(self, apps, name="rota.yaml", **top):
        """A file with these apps; what is not said: any free port, a runtime folder in self.folder. (JSON is YAML.)"""
        config = {"listen": "127.0.0.1:0", "runtime_dir": str(self.folder / "run"), "apps": apps, **top}
        if "ROTA_TEST_THREADS" in os.environ:
            config.setdefault("threads", int(os.environ["ROTA_TEST_THREADS"]))
        path = self.folder / name
        path.write_text(json.dumps(config, indent=1))
        return path

    def scripted(self, workers=1, env=None, **more):
        """An app of scripted workers."""
        gates = self.folder / "gates"
        gates.mkdir(exist_ok=True)
        gates.chmod(0o777)
        variables = {"JOURNAL": str(self.folder / "journal"), "GATES": str(gates), **(env or {})}
        return {"command": SCRIPTED, "workers": workers, "env": variables, "health": "/healthz", **more}

    def hello(self, workers=4, **more):
        return {"command": [HELLO], "workers": workers, "health": "/healthz", **more}

    def start(self, *arguments, environment=None, prefix=()):
        """`rota run -c FILE` for one path, else rota with these arguments."""
        if len(arguments) == 1 and isinstance(arguments[0], pathlib.Path):
            arguments = ("run", "-c", arguments[0])
        daemon = Daemon(self.folder, arguments, environment, prefix, len(self.daemons))
        self.daemons.append(daemon)
        return daemon

    def serve(self, apps, **top):
        """A started daemon that listens."""
        daemon = self.start(self.write_config(apps, **top))
        daemon.address
        return daemon

    def ends(self, *arguments, environment=None, prefix=(), timeout=20):
        """Runs rota to its own end and returns the daemon with its exit code in .code."""
        daemon = self.start(*arguments, environment=environment, prefix=prefix)
        daemon.code = daemon.wait(timeout)
        return daemon

    def needs(self, apps, **top):
        """Skips a test whose configuration this version does not have yet."""
        path = self.write_config(apps, name="needed.yaml", **top)
        checked = subprocess.run([ROTA, "check", path], capture_output=True, text=True, check=False)
        if "not available in this version" in checked.stdout + checked.stderr:
            self.skipTest("not available in this version")

    # Scripted workers ------------------------------------------------------------------------------------------------

    def open_gate(self, name):
        (self.folder / "gates" / name).touch()

    def close_gate(self, name):
        (self.folder / "gates" / name).unlink()

    def journal(self, event=None, **match):
        path = self.folder / "journal"
        lines = json_lines(path.read_text()) if path.exists() else []
        return [l for l in lines if (event is None or l["event"] == event) and all(l.get(k) == v for k, v in match.items())]

    def wait_journal(self, event, count=1, timeout=15.0, **match):
        return wait_for(lambda: self.journal(event, **match)[count - 1 :][:1], timeout, f"{event} {match} in the journal")[0]


class SharedCase(RotaCase):
    """Tests that leave a daemon as they found it share one: begin() starts it, once for the class, as self.daemon."""

    def begin(self):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.first = cls("begin")
        cls.first._open()
        try:
            cls.daemon = cls.first.begin()
        except BaseException:
            for daemon in cls.first.daemons:
                print(daemon.log, file=sys.stderr)
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            RotaCase.tearDown(cls.first)
        finally:
            shutil.rmtree(cls.first.folder, ignore_errors=True)

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        if hasattr(type(self), "first"):
            self.folder, self.daemons = self.first.folder, self.first.daemons
        self._run_and_tell(result)
        return result

    def tearDown(self):
        self.assertIsNone(self.daemon.process.poll(), "the daemon ended")
        self.daemon.assert_clean_log()


def main():
    # A test that hangs must say where, before ctest ends it.
    import faulthandler
    faulthandler.dump_traceback_later(float(os.environ.get("ROTA_TEST_SECONDS", "240")), exit=True)
    unittest.main(module="__main__", verbosity=2)
