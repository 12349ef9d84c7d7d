"""Every shell script parses, stops at the first error, and is executable; every Python file compiles."""
import os
import subprocess

from tree import files, text


def problems(root):
    found = []
    for path in files(root):
        relative = path.relative_to(root)
        content = text(path) or ""
        first = content.split("\n", 1)[0]
        if path.suffix == ".py":
            try:
                compile(content, str(relative), "exec")
            except SyntaxError as error:
                found.append(f"{relative}:{error.lineno}: {error.msg}")
        elif first.startswith("#!") and first.rsplit("/", 1)[-1].replace("env ", "") in ("sh", "bash"):
            run = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
            if run.returncode != 0:
                found.append(f"{relative}: {run.stderr.strip()}")
            if not any(line.startswith("set -e") for line in content.splitlines()):
                found.append(f"{relative}: goes on after an error (no set -e)")
            if not os.access(path, os.X_OK):
                found.append(f"{relative}: not executable")
    return found
