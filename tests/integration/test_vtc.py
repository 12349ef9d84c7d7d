"""varnishtest plays both the client and the worker: each script of tests/vtc against a daemon of its own, whose one server is
the script's s1."""
import os
import shutil
import subprocess
import unittest

import rota_testing
from rota_testing import TREE, RotaCase

SCRIPTS = sorted((TREE / "tests/vtc").glob("*.vtc"))


@unittest.skipUnless(shutil.which("varnishtest"), "varnishtest is not installed (scripts/setup --test)")
class Scripts(RotaCase):
    def play(self, script):
        path = self.folder / "s1.sock"
        daemon = self.serve({"web": {"servers": [f"unix:{path}"]}})
        temporary = self.folder / "vtc"
        temporary.mkdir()
        host, port = daemon.address
        run = subprocess.run(
            ["varnishtest", "-t", "30", "-D", f"rota_addr={host}:{port}", "-D", f"s1_sock={path}", str(script)],
            capture_output=True, text=True, env={**os.environ, "TMPDIR": str(temporary)})
        self.assertEqual(run.returncode, 0, run.stdout[-8000:] + run.stderr)


def add(script):
    setattr(Scripts, f"test_{script.stem}", lambda self: self.play(script))


for one in SCRIPTS:
    add(one)

if __name__ == "__main__":
    rota_testing.main()
