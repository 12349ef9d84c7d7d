"""Settings of the fault injector (faults.h), and its command line: a test file, run with faults in every daemon.

    faults.py KINDS PER_MILLE SEED FILE [TESTS...]     KINDS: harmless, or names joined by commas
"""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

KINDS = {"short": 1, "interrupted": 2, "again": 4, "descriptors": 8, "memory": 16, "reset": 32}
HARMLESS = ("short", "interrupted", "again")
HARMFUL = ("descriptors", "memory", "reset")
ROLES = {"keeper": 1, "supervisor": 2, "proxy": 4}


def write(path, kinds=(), per_mille=0, seed=1, roles=("keeper", "supervisor", "proxy")):
    """Daemons that run have it from now on."""
    settings = struct.pack("=6I", 0x726F7461, sum(KINDS[k] for k in kinds), sum(ROLES[r] for r in roles), per_mille, seed, 0)
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.write(settings)
    os.chmod(path, 0o644)


def environment(path):
    """For a daemon. The proxy, which is given little, has it by the second."""
    return {"ROTA_FAULTS": str(path), "TSAN_OPTIONS": str(path)}


def binary(rota):
    return pathlib.Path(rota).parent / "tools" / "rota_with_faults"


def main(kinds, per_mille, seed, *command):
    with tempfile.TemporaryDirectory(prefix="rf-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "faults")
        write(path, HARMLESS if kinds == "harmless" else kinds.split(","), int(per_mille), int(seed))
        env = {**os.environ, "ROTA_BINARY": str(binary(os.environ["ROTA_BINARY"])), "ROTA_TEST_FAULTS": path}
        return subprocess.run([sys.executable, *command], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
