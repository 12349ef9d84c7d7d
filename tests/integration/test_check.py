"""`rota check`: what is wrong with a file, where, and what was probably meant. And `rota version`."""
import re

import rota_testing
from rota_testing import HELLO, TREE, RotaCase


class Check(RotaCase):
    def check(self, text):
        path = self.folder / "rota.yaml"
        path.write_text(text)
        daemon = self.ends("check", path)
        daemon.checked = True
        daemon.told = daemon.out + daemon.log
        return daemon

    def good(self, more=""):
        return f"listen: 127.0.0.1:0\nruntime_dir: {self.folder}/run\napps:\n  web:\n    command: {HELLO}\n{more}"

    def test_a_good_file(self):
        daemon = self.check(self.good())
        self.assertEqual(daemon.code, 0, daemon.told)
        self.assertFalse((self.folder / "run").exists(), "check starts and makes nothing")

    def test_a_misspelt_key(self):
        daemon = self.check(self.good("    helth: /healthz\n"))
        self.assertEqual(daemon.code, 78)
        self.assertRegex(daemon.told, r'rota\.yaml:6:5: .*helth.*\n.*did you mean "?health|rota\.yaml:6:5: .*helth.*did you mean "?health')
        lines = daemon.told.splitlines()
        caret = next(i for i, line in enumerate(lines) if re.fullmatch(r"\s*\^~*", line))
        self.assertIn("helth: /healthz", lines[caret - 1])
        self.assertEqual(lines[caret].index("^"), lines[caret - 1].index("helth"), "the caret stands under the word")

    def test_every_semantic_error_at_once(self):
        daemon = self.check(self.good("    workers: many\n    start_timeout: 5 parsecs\n    retry: {attempt: 1}\n"))
        self.assertEqual(daemon.code, 78)
        for place in ("rota.yaml:6:", "rota.yaml:7:", "rota.yaml:8:"):
            self.assertIn(place, daemon.told)

    def test_a_duplicate_key(self):
        daemon = self.check(self.good(f"    command: {HELLO}\n"))
        self.assertEqual(daemon.code, 78)
        self.assertIn("rota.yaml:6:", daemon.told)

    def test_a_syntax_error_has_a_place(self):
        daemon = self.check("apps:\n  web: {command: [a, b\n")
        self.assertEqual(daemon.code, 78)
        self.assertRegex(daemon.told, r"rota\.yaml:\d+:\d+: ")

    def test_neither_command_nor_servers(self):
        daemon = self.check("apps:\n  web:\n    workers: 2\n")
        self.assertEqual(daemon.code, 78)
        self.assertIn("command", daemon.told)

    def test_a_file_that_is_not_there(self):
        daemon = self.ends("check", self.folder / "none.yaml")
        self.assertEqual(daemon.code, 78)
        self.assertIn("none.yaml", daemon.log + daemon.out)

    def test_no_file_given(self):
        self.assertEqual(self.ends("check", "--nonsense").code, 2)

    def test_the_examples_of_the_documents_are_right(self):
        """Every YAML block with apps in README and docs passes, with stand-ins for the programs it names."""
        programs = self.folder / "bin"
        programs.mkdir()
        for name in ("node", "gunicorn", "uvicorn", "puma", "bundle"):
            (programs / name).write_text("#!/bin/sh\n")
            (programs / name).chmod(0o755)
        found = 0
        for document in [TREE / "README.md", *sorted((TREE / "docs").glob("*.md"))]:
            for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.M | re.S):
                if not re.search(r"^apps:", block, re.M):
                    continue
                found += 1
                text = re.sub(r"^ *(user|group|env_file): .+\n", "", block, flags=re.M)
                text = re.sub(r"directory: \S+", f"directory: {self.folder}", text)
                text = re.sub(r"command: (\./\S+)", f"command: {HELLO}", text)
                path = self.folder / "rota.yaml"
                path.write_text(text)
                with self.subTest(document=document.name, block=block):
                    daemon = self.ends("check", path, environment={"PATH": f"{programs}:/usr/bin:/bin"})
                    self.assertEqual(daemon.code, 0, daemon.log + daemon.out)
        self.assertGreaterEqual(found, 5)


class Version(RotaCase):
    def test_version_and_help(self):
        self.assertRegex(self.ends("version").out, r"\d+\.\d+\.\d+")
        self.assertIn("run", self.ends("--help").out)


if __name__ == "__main__":
    rota_testing.main()
