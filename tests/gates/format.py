"""clang-format has nothing to change. Its releases differ in details, so only the one of Debian 12 decides."""
import re
import shutil
import subprocess

from tree import CPP, CPP_FOLDERS, files

RELEASE = "14"


class Skipped(Exception):
    pass


def problems(root):
    tool = shutil.which(f"clang-format-{RELEASE}") or shutil.which("clang-format")
    if tool is None:
        raise Skipped("clang-format is not installed (scripts/setup --full)")
    version = re.search(r"version (\d+)", subprocess.run([tool, "--version"], capture_output=True, text=True).stdout)
    if version is None or version[1] != RELEASE:
        raise Skipped(f"clang-format {version[1] if version else '?'} formats differently from {RELEASE}")
    sources = [str(f) for f in files(root, CPP, CPP_FOLDERS)]
    if not sources:
        return []
    run = subprocess.run([tool, "--dry-run", "-Werror", "--ferror-limit=1", *sources], capture_output=True, text=True)
    return sorted({line.split(": error:")[0] + ": not formatted" for line in run.stderr.splitlines() if ": error:" in line})
