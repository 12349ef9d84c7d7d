"""A load that knows what became of each request (tests/support/load.cpp), against workers that write down what they
executed (post_log_worker.cpp)."""
import json
import pathlib
import signal
import subprocess
import time

import rota_testing

TOOLS = pathlib.Path(rota_testing.HELLO).parent / "tools"


def post_log_app(case, workers=2, answer_after_us=0, **more):
    """An app that appends the id of each POST to a file and answers so many microseconds after that. Its restarts are quick: here it is killed
    more often than any worker deserves."""
    ids = case.folder / "ids"
    ids.touch()
    ids.chmod(0o666)
    settings = {"restart": {"delay": "50ms", "max_delay": "200ms"}, **more}
    return {"command": [str(TOOLS / "post_log_worker")], "workers": workers,
            "env": {"IDS": str(ids), "ANSWER_AFTER_US": str(answer_after_us)}, **settings}


class Load:
    """GETs and POSTs on many connections until it is stopped; then `result` is what tests/support/load.cpp says."""

    def __init__(self, case, daemon, connections=32, posts=50, bad=0):
        self.case, self.result = case, None
        self.acknowledged = case.folder / f"acknowledged{len(list(case.folder.glob('acknowledged*')))}"
        command = [TOOLS / "load", daemon.address[1], connections, posts, bad, self.acknowledged]
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
        case.addCleanup(self._end)

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def under_way(self):
        """Waits until it has had answers, so that what follows happens in the midst of it."""
        rota_testing.wait_for(lambda: self.acknowledged.exists() and self.acknowledged.stat().st_size > 200, 30, "the load")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.result = json.loads(self.process.communicate(timeout=60)[0])
        return self.result

    def failures(self, **match):
        return [f for f in self.result["failures"] if all(f[k] == v for k, v in match.items())]

    def __enter__(self):
        return self.under_way()

    def __exit__(self, *_):
        if self.result is None:
            self.stop()


def executed(case):
    return (case.folder / "ids").read_text().split()


def assert_each_once(case, load=None):
    """No POST was executed twice, and each that was answered was executed."""
    ids = executed(case)
    case.assertEqual(len(ids), len(set(ids)), "a POST was executed twice")
    if load is not None:
        case.assertEqual(set(load.acknowledged.read_text().split()) - set(ids), set(), "answered, but not executed")
    return len(ids)


def apart(seconds, since):
    """Kills are to be so far apart, whatever else was waited for."""
    time.sleep(max(0.0, since + seconds - time.monotonic()))
