"""deploy/kubernetes.yaml: it is YAML, its rota.yaml is one that rota takes, and its numbers fit together. The Dockerfile's too."""
import fnmatch
import json
import re
import subprocess
import unittest

from rota_testing import ROTA, TREE, RotaCase

try:
    import yaml
except ImportError:
    yaml = None

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h)", str(text)).groups()
    return float(number) * SECONDS[unit]


class DockerContext(unittest.TestCase):
    def test_what_is_installed_is_not_ignored(self):
        """The image's build installs from the context that .dockerignore leaves."""
        patterns = [line.strip() for line in (TREE / ".dockerignore").read_text().splitlines() if line.strip()]
        def ignored(name):
            parents = ["/".join(name.split("/")[: n + 1]) for n in range(name.count("/") + 1)]
            verdict = False
            for pattern in patterns:  # the last that matches decides
                if any(fnmatch.fnmatch(one, pattern.lstrip("!")) for one in parents):
                    verdict = not pattern.startswith("!")
            return verdict
        text = (TREE / "cmake/install.cmake").read_text()
        words = {w for line in re.findall(r"install\((?:FILES|DIRECTORY) ([^)]*)", text) for w in line.split()}
        installed = sorted(w for w in words if (TREE / w).exists())
        self.assertIn("bench/README.md", installed)
        self.assertEqual([w for w in installed if ignored(w)], [])
        self.assertTrue(ignored("tests/unit"))


@unittest.skipUnless(yaml, "python3-yaml is not installed (scripts/setup --test)")
class Kubernetes(RotaCase):
    def setUp(self):
        documents = list(yaml.safe_load_all((TREE / "deploy/kubernetes.yaml").read_text()))
        self.by_kind = {document["kind"]: document for document in documents}
        self.pod = self.by_kind["Deployment"]["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        self.text = self.by_kind["ConfigMap"]["data"]["rota.yaml"]
        self.config = yaml.safe_load(self.text)

    def test_rota_takes_its_configuration(self):
        # What the image has and this machine has not: the app's directory and its interpreter.
        text = self.text.replace("node server.js", "sleep 1").replace("directory: /app", f"directory: {self.folder}")
        self.assertNotEqual(text, self.text)
        path = self.folder / "rota.yaml"
        path.write_text(text)
        run = subprocess.run([ROTA, "check", str(path)], capture_output=True, text=True, timeout=30)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_the_cluster_waits_longer_than_rota_needs(self):
        shutdown = self.config["shutdown"]
        wait = self.container["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], wait + seconds(shutdown["timeout"]))
        stop = self.config["apps"]["web"]["stop"]
        self.assertGreaterEqual(seconds(shutdown["timeout"]), seconds(stop["drain"]) + seconds(stop["grace"]))

    def test_probes_ask_what_listens_and_what_the_app_answers(self):
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.assertEqual(ports, {"http": self.config["listen"]})
        for probe in ("startupProbe", "readinessProbe"):
            asked = self.container[probe]["httpGet"]
            self.assertEqual((asked["path"], asked["port"]), (self.config["apps"]["web"]["health"], "http"))
        # Nothing about the app may restart the pod.
        self.assertEqual(self.container["livenessProbe"]["tcpSocket"], {"port": "http"})
        self.assertEqual(self.by_kind["Service"]["spec"]["ports"][0]["targetPort"], "http")

    def test_selectors_select(self):
        labels = self.by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
        deployment = self.by_kind["Deployment"]["spec"]["selector"]["matchLabels"]
        budget = self.by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
        for selector in (deployment, budget, self.by_kind["Service"]["spec"]["selector"]):
            self.assertTrue(selector.items() <= labels.items(), selector)

    def test_it_asks_for_no_privilege(self):
        security = self.container["securityContext"]
        self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
        self.assertTrue(security["readOnlyRootFilesystem"])
        self.assertFalse(security["allowPrivilegeEscalation"])
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(self.pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})

    def test_what_is_mounted_is_there(self):
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.assertEqual(mounts.keys(), volumes.keys())
        self.assertEqual(volumes["tmp"]["emptyDir"]["medium"], "Memory")
        name = next(volume for volume in volumes.values() if "configMap" in volume)["configMap"]["name"]
        self.assertEqual(name, self.by_kind["ConfigMap"]["metadata"]["name"])
        self.assertEqual(self.container["command"][-1], mounts["rota"] + "/rota.yaml")


class Image(unittest.TestCase):
    def setUp(self):
        self.text = (TREE / "Dockerfile").read_text()

    def said(self, word):
        return re.findall(rf"^{word} +(.*)$", self.text, re.M)[-1]

    def test_the_last_stage_is_rota_as_nobody_special(self):
        self.assertEqual(json.loads(self.said("ENTRYPOINT")), ["rota"])
        self.assertEqual(self.said("STOPSIGNAL"), "SIGTERM")
        self.assertRegex(self.said("USER"), r"^[1-9]\d*:[1-9]\d*$")
        health = re.search(r"CMD (\[.*\])$", self.said("HEALTHCHECK"))[1]
        self.assertEqual(json.loads(health), ["rota", "probe", self.said("EXPOSE")])

    def test_its_configuration_ends_within_an_engine_s_ten_seconds(self):
        text = (TREE / "conf/container.yaml").read_text()
        self.assertIn("install -D -m 644 conf/container.yaml /out/etc/rota/rota.yaml", self.text)
        self.assertEqual(json.loads(self.said("CMD"))[-1], "/etc/rota/rota.yaml")
        self.assertLess(seconds(re.search(r"^shutdown: \{timeout: (\S+)\}", text, re.M)[1]), 10)
        self.assertIn(f"listen: {self.said('EXPOSE')}\n", text)


if __name__ == "__main__":
    unittest.main()
