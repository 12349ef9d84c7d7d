"""`rota check --schema` against the files that rota knows to be right or wrong: documents, conf/rota.yaml, tests/broken."""
import json
import re
import subprocess
import unittest

import rota_testing
from rota_testing import HELLO, TREE, RotaCase

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = yaml = None

CORPUS = TREE / "tests/broken"
# What a schema cannot see, and why. All other broken files must fail.
UNSEEN = {
    "the bytes": r"lone-carriage-return",
    "the machine": r"program-|directory-|.*-(user|group)-missing|access-log-(directory|is)|log-file-directory|runtime-dir-too-long|"
                   r"env-file-(?!empty)",
    "two keys or values against each other": r".*(-crossed|-below-delay|delay-too-long|larger-than-head|-twice|not-listened)|ready-http-without|"
                                             r"proxy-protocol-|route-twice|two-apps|workers-too-many-in-all|log-file-is|listen-twice",
    "times, sizes and octal digits as numbers": r"time-too|time-in-parts|.*interval-too-short|.*timeout-too-long|size-(too-large|enormous)|"
                                                r"stack-too-small|cpu-fraction|umask-decimal",
    "the grammar of a text": r"command-(pipe|and-redirect|and$|redirect|dollar|substitution|assignment|quote|empty-word)|placeholder-|"
                             r"listen-(?!empty|mapping|nested|missing|port-too)|trust-(?!mapping)|servers-(star|port|url)|"
                             r"route-(?!empty-list|query|fragment|blank|number|mapping|empty$)|runtime-dir-relative|.*-home|env-nul",
    "variables": r"variable-",
}


class Core(yaml.SafeLoader if yaml else object):
    """YAML 1.2 as editors read it: off and yes are texts, 0007 is seven."""


if yaml:
    Core.yaml_implicit_resolvers = {}
    for tag, pattern, first in (("null", r"^(~|null|)$", "~n\0"), ("bool", r"^(true|false)$", "tf"),
                                ("int", r"^[-+]?[0-9]+$", "-+0123456789"), ("float", r"^[-+]?[0-9]+\.[0-9]+$", "-+0123456789")):
        Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first) + ([""] if tag == "null" else []))
    Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node), 10))


def read(text):
    """The document, or None where it is no YAML, or has what no JSON has (a key twice, a key that is a list, a tag)."""
    if re.search(r": !", text if isinstance(text, str) else text.decode("latin-1")):
        return None
    try:
        node = yaml.compose(text, Loader=Core)
    except (yaml.YAMLError, ValueError, UnicodeError):
        return None
    seen = [node]
    while seen:
        one = seen.pop()
        if isinstance(one, yaml.MappingNode):
            names = [key.value for key, _ in one.value if isinstance(key, yaml.ScalarNode)]
            if len(names) != len(set(names)) or len(names) != len(one.value) or "<<" in names:
                return None
            seen += [value for _, value in one.value]
        elif isinstance(one, yaml.SequenceNode):
            seen += [value for value in one.value if value is not one]
    return yaml.load(text, Loader=Core)


def uncommented(text):
    """conf/rota.yaml with every setting switched on: "#key" and "#  key", but not "# A sentence"."""
    return re.sub(r"^#(?=[^ #\n]|  )", "", text, flags=re.M)


@unittest.skipUnless(jsonschema and yaml, "python3-jsonschema and python3-yaml are not installed (scripts/setup --test)")
class Schema(RotaCase):
    def setUp(self):
        super().setUp()
        self.schema = json.loads(subprocess.run([rota_testing.ROTA, "check", "--schema"], capture_output=True, check=True).stdout)
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def wrong(self, document):
        return [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in self.validator.iter_errors(document)]

    def test_every_example_of_the_documents_validates(self):
        found = 0
        for document in [TREE / "README.md", *sorted((TREE / "docs").glob("*.md"))]:
            for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.M | re.S):
                if not re.search(r"^apps:", block, re.M):
                    continue
                found += 1
                with self.subTest(document=document.name, block=block):
                    self.assertEqual(self.wrong(read(block)), [])
        self.assertGreaterEqual(found, 12)

    def test_a_broken_file_does_not_validate_unless_no_schema_could_see_it(self):
        seen = 0
        for path in sorted(CORPUS.glob("*.yaml")):
            document = read(path.read_bytes())
            if document is None:
                continue
            reasons = [reason for reason, pattern in UNSEEN.items() if re.match(pattern, path.stem[4:])]
            with self.subTest(path.name):
                self.assertEqual(bool(self.wrong(document)), not reasons, reasons)
            seen += not reasons
        self.assertGreater(seen, 100)

    def test_the_schema_knows_its_own_limits(self):
        for good in ("apps: {web: {command: [sleep, 10]}}", "apps: {web: {command: sh, workers: \"${WORKERS:-auto}\"}}",
                     "apps: {web: {servers: [\"a:80\"]}}", "trusted_proxies: []\napps: {web: {command: sh}}",
                     "listen: [80, {address: \"unix:/a\", proxy_protocol: true}]\napps: {web: {command: sh, umask: 0027, user: 1000}}"):
            self.assertEqual(self.wrong(read(good)), [], good)
        for bad in ("apps: {}", "apps: {web: {}}", "apps: {web: {command: sh, servers: [\"a:80\"]}}", "apps: {Web: {command: sh}}",
                    "apps: {web: {servers: [\"a:80\"], workers: 2}}", "threads: 65\napps: {web: {command: sh}}", "a: 1\napps: {web: {command: sh}}"):
            self.assertTrue(self.wrong(read(bad)), bad)

    def paths(self, schema, prefix=""):
        """Every key that the schema knows, and whether it is only a heading."""
        found = {}
        if schema.get("$ref") == "#/$defs/app":
            return self.paths(self.schema["$defs"]["app"], prefix)
        for name, inner in schema.get("properties", {}).items():
            found[prefix + name] = inner
            found.update(self.paths(inner, f"{prefix}{name}."))
        for inner in schema.get("patternProperties", {}).values():
            found.update(self.paths(inner, f"{prefix}NAME."))
        for inner in schema.get("anyOf", []):
            found.update(self.paths(inner, prefix))
        return found

    def test_the_installed_file_says_what_to_do_and_has_every_key(self):
        text = (TREE / "conf/rota.yaml").read_text()
        path = self.folder / "rota.yaml"
        path.write_text(text)
        daemon = self.ends("check", path)
        daemon.checked = True
        self.assertEqual(daemon.code, 78)
        self.assertEqual(len(re.findall(r"^\S*rota\.yaml:", daemon.log, re.M)), 2, daemon.log)
        self.assertIn("there are no apps", daemon.log)
        self.assertIn("command: node server.js", daemon.log)

        whole = uncommented(text)
        document = read(whole)
        self.assertEqual(self.wrong(document), [])
        known = self.paths(self.schema)
        given = set()

        def collect(value, prefix):
            for name, inner in value.items():
                name = "NAME" if prefix == "apps." else name
                given.add(prefix + name)
                for one in inner if isinstance(inner, list) else [inner]:
                    if isinstance(one, dict):
                        collect(one, f"{prefix}{name}.")

        collect(document, "")
        self.assertEqual(set(known) - given, set(), "keys that conf/rota.yaml lacks")
        for name, expected in (("threads", 1), ("shutdown", {"delay": "0s", "timeout": "25s"}), ("access_log", "off")):
            self.assertEqual(document[name], expected)
        self.the_defaults_are_the_schemas(document, known)

        (self.folder / "web.env").write_text("A=1\n")
        whole = re.sub(r"^( *)(user|group|directory): .*\n", "", whole, flags=re.M)
        whole = whole.replace("/etc/rota/web.env", "web.env").replace("/var/log/web.log", "web.log").replace("node server.js", HELLO)
        path.write_text(whole)
        daemon = self.ends("check", path)
        self.assertEqual(daemon.code, 0, daemon.log + daemon.out)

    def the_defaults_are_the_schemas(self, document, known):
        for path, schema in known.items():
            value = document
            for name in path.replace("NAME", "web").split("."):
                value = value[0] if isinstance(value, list) else value
                value = value.get(name) if isinstance(value, dict) else None
            if "default" in schema and value is not None and path != "listen":
                default = 7 if path.endswith("umask") else schema["default"]
                self.assertEqual(value, default, path)


if __name__ == "__main__":
    rota_testing.main()
