#!/usr/bin/env python3
"""`cmake --install` by hand: everything in its place, and nobody's configuration overwritten."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from rota_testing import ROTA

BUILD = pathlib.Path(ROTA).resolve().parent


@unittest.skipUnless((BUILD / "man/rota.yaml.5").exists(), "not everything was built")
@unittest.skipUnless(shutil.which("cmake"), "cmake is not installed")
class Install(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="rt-install-"))
        self.addCleanup(shutil.rmtree, self.root)

    def install(self, *options):
        subprocess.run(["cmake", "--install", BUILD, *options], check=True, capture_output=True, env={**os.environ, "DESTDIR": str(self.root)})
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}

    def one(self, ending):
        found = [path for path in self.root.rglob("*") if str(path).endswith(ending)]
        self.assertEqual(len(found), 1, ending)
        return found[0]

    def test_everything_is_in_its_place(self):
        files = self.install()
        for ending in ("bin/rota", "systemd/system/rota.service", "sysusers.d/rota.conf", "tmpfiles.d/rota.conf", "etc/rota/rota.yaml",
                       "man/man1/rota.1", "man/man5/rota.yaml.5", "bash-completion/completions/rota", "site-functions/_rota",
                       "vendor_completions.d/rota.fish", "doc/rota/LICENSE", "doc/rota/conf/systemd-hardened.conf"):
            with self.subTest(file=ending):
                self.assertEqual(len([file for file in files if file.endswith(ending)]), 1)
        self.assertEqual([file for file in files if "node_modules" in file or file.endswith(".in")], [])

    def test_the_documents_link_to_what_is_there(self):
        self.install()
        readme = self.one("doc/rota/README.md")
        pages = [readme, *readme.parent.glob("docs/**/*.md")]
        self.assertGreater(len(pages), 5)
        for page in pages:
            for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
                with self.subTest(page=page.name, link=link):
                    self.assertTrue("://" in link or (page.parent / link).exists())

    def test_the_unit_starts_what_was_installed(self):
        self.install()
        program, file = re.search(r"^ExecStart=(\S+) run -c (\S+)$", self.one("rota.service").read_text(), re.M).groups()
        self.assertTrue((self.root / program.lstrip("/")).is_file())
        self.assertTrue((self.root / file.lstrip("/")).is_file())
        self.assertNotIn("@", self.one("rota.service").read_text())

    def test_another_prefix_holds_everything(self):
        files = self.install("--prefix", "/opt/balancer")
        self.assertEqual([file for file in files if not file.startswith("opt/balancer/")], [])
        start = re.search(r"^ExecStart=(.*)$", self.one("rota.service").read_text(), re.M).group(1)
        self.assertTrue(start.startswith("/opt/balancer/bin/rota run -c "), start)
        self.assertTrue((self.root / start.split()[-1].lstrip("/")).is_file(), start)

    def test_an_edited_configuration_is_kept(self):
        self.install()
        mine = self.one("etc/rota/rota.yaml")
        default = mine.read_text()
        mine.write_text("# mine\n")
        self.install()
        self.assertEqual(mine.read_text(), "# mine\n")
        self.assertEqual(self.one("rota.yaml.new").read_text(), default)


if __name__ == "__main__":
    sys.exit(unittest.main())
