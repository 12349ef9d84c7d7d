#!/usr/bin/env python3
"""The manual page rota(1), rota.yaml(5) and the shells' completion say what the program says of itself."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from rota_testing import ROTA, TREE

PAGE = (TREE / "man/rota.1.in").read_text().replace("\\-", "-")
OPTION = re.compile(r"^  (?:-\w, )?(--[a-z-]+)", re.M)


def said(*words):
    return subprocess.run([ROTA, *words], capture_output=True, text=True, timeout=30, check=True).stdout


def commands():
    listed = said("--help").split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.M)


def options(command):
    return set(OPTION.findall(said(command, "--help"))) if command not in ("version", "help") else set()


class ManualPage(unittest.TestCase):
    def test_names_every_command_and_no_other(self):
        self.assertEqual(sorted(re.findall(r"^\.SS rota (\S+)$", PAGE, re.M)), sorted(commands()))

    def test_names_every_option_of_every_command(self):
        for command in commands():
            section = PAGE.split(f".SS rota {command}\n")[1].split("\n.S")[0]
            for option in options(command):
                with self.subTest(command=command, option=option):
                    self.assertTrue(option == "--help" or re.search(rf"{option}\b", section))

    def test_has_the_exit_codes_of_the_operations_manual(self):
        documented = re.findall(r"^\| (\d+) \|", (TREE / "docs/OPERATIONS.md").read_text(), re.M)
        section = PAGE.split(".SH EXIT STATUS")[1].split(".SH")[0]
        self.assertEqual(re.findall(r"^\.B (\d+)$", section, re.M), documented)


class FilePage(unittest.TestCase):
    def test_names_every_documented_key(self):
        path = pathlib.Path(ROTA).parent / "man/rota.yaml.5"
        if not path.exists():
            self.skipTest("the pages were not built (target man_pages)")
        page = path.read_text().replace("\\-", "-")
        tables = re.findall(r"^\| Key \|.*\n((?:\|.*\n)+)", (TREE / "docs/CONFIG.md").read_text(), re.M)
        keys = re.findall(r"^\| `([a-z_.A-Z\[\]]+)` \|", "".join(tables), re.M)
        self.assertGreater(len(keys), 20)
        missing = [key for key in keys if not re.search(rf"^\.B .*{re.escape(key)}$", page, re.M)]
        self.assertEqual(missing, [])

    def test_formats_without_a_warning(self):
        if shutil.which("groff") is None:
            self.skipTest("groff is not installed")
        for path in (TREE / "man/rota.1.in", pathlib.Path(ROTA).parent / "man/rota.yaml.5"):
            if path.exists():
                run = subprocess.run(["groff", "-k", "-man", "-ww", "-Tutf8", path], capture_output=True, text=True)
                self.assertEqual(run.stderr, "")


class BashCompletion(unittest.TestCase):
    def complete(self, *words):
        """What bash would offer for the last of the words."""
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "rota").symlink_to(pathlib.Path(ROTA).resolve())
            (pathlib.Path(folder) / "some.yaml").touch()
            script = f"""
                PATH={folder}:$PATH
                cd {folder}
                source {TREE}/completion/rota.bash
                COMP_WORDS=(rota "$@"); COMP_CWORD=$#
                _rota
                printf '%s\\n' "${{COMPREPLY[@]}}"
            """
            run = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.stderr, "")
        return set(run.stdout.split())

    def test_offers_the_commands(self):
        self.assertEqual(self.complete(""), {*commands(), "--help", "--version"})

    def test_offers_the_options_of_a_command(self):
        for command in ("run", "check"):
            with self.subTest(command=command):
                self.assertLessEqual(options(command), self.complete(command, "--"))

    def test_offers_files_where_a_file_is_wanted(self):
        self.assertEqual(self.complete("check", "so"), {"some.yaml"})
        self.assertEqual(self.complete("run", "-c", "so"), {"some.yaml"})

    def test_offers_nothing_of_rota_behind_the_dashes(self):
        self.assertEqual(self.complete("run", "--", "node", "--"), set())


if __name__ == "__main__":
    sys.exit(unittest.main())
