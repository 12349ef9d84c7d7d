"""The source tree as the gates see it: text files below a root, without what is built or installed."""
import os
import pathlib

SKIPPED_DIRECTORIES = {".git", "build", "node_modules", "__pycache__"}


def files(root, suffixes=None, under=()):
    """Paths below `root` (or below its folders `under`), sorted; `suffixes`: only those endings."""
    root = pathlib.Path(root)
    found = []
    for start in [root / u for u in under] or [root]:
        for directory, names, filenames in os.walk(start):
            names[:] = sorted(n for n in names if n not in SKIPPED_DIRECTORIES and not n.startswith("build-"))
            found += [pathlib.Path(directory) / f for f in filenames]
    return sorted(f for f in found if not f.is_symlink() and (suffixes is None or f.suffix in suffixes))


def text(path):
    """The text of a file, or None for one that is not text (a fuzz seed, a certificate)."""
    raw = path.read_bytes()
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


CPP = {".cpp", ".h"}
CPP_FOLDERS = ("include", "src", "tests", "examples")
