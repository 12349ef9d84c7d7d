"""Node packages by a lock file, installed once per build folder and lock file, beside the binary."""
import pathlib
import shutil
import subprocess
import unittest

import rota_testing


def installed(source, name):
    """The folder with a copy of `source` and its node_modules. Skips the test when npm is not there or not online."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise unittest.SkipTest("Node and npm are not installed (scripts/setup --test)")
    folder = pathlib.Path(rota_testing.ROTA).parent / name
    stamp, lock = folder / ".installed", (source / "package-lock.json").read_text()
    if not (stamp.exists() and stamp.read_text() == lock):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
        run = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True)
        if run.returncode != 0:
            raise unittest.SkipTest("npm ci failed (offline?):\n" + run.stderr[-2000:])
        stamp.write_text(lock)
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, folder / file.name)
    return folder
