#!/usr/bin/env python3
"""Runs one gate, or all: run.py [GATE...] [--root DIR]. Exit status 0: nothing found, 1: found, 77: could not be run."""
import argparse
import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
GATES = ["include_order", "headers", "file_sizes", "words", "http_rows", "scripts_parse", "doc_links", "format"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("gates", nargs="*", choices=[[], *GATES], default=[])
    arguments.add_argument("--root", type=pathlib.Path, default=HERE.parent.parent)
    given = arguments.parse_args()
    failed = skipped = False
    for name in given.gates or GATES:
        gate = importlib.import_module(name)
        try:
            found = gate.problems(given.root.resolve())
        except Exception as error:
            if type(error).__name__ != "Skipped":
                raise
            print(f"{name}: skipped: {error}")
            skipped = True
            continue
        for line in found:
            print(f"{name}: {line}")
        failed = failed or bool(found)
    return 1 if failed else 77 if skipped and len(given.gates) == 1 else 0


if __name__ == "__main__":
    sys.exit(main())
