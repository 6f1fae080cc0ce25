"""The manifest of daemon_server: it is parsed, its parts fit each other and the program."""

import os
import shutil
import signal
import subprocess
import tempfile

import _support
from _daemon import Daemon, until

try:
    import yaml
except ImportError:
    _support.skip("python3-yaml is not installed")

with open(os.path.join(_support.SOURCES, "examples/deploy/kubernetes.yaml"), encoding="ascii") as file:
    parts = {part["kind"]: part for part in yaml.safe_load_all(file)}
pod = parts["Deployment"]["spec"]["template"]
container, = pod["spec"]["containers"]
labels = pod["metadata"]["labels"].items()
limits = dict(line.split() for line in parts["ConfigMap"]["data"]["limits"].splitlines())

assert parts["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
assert parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
assert parts["Service"]["spec"]["selector"].items() <= labels
assert parts["Service"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
assert volumes["limits"]["configMap"]["name"] == parts["ConfigMap"]["metadata"]["name"]

# What the drain takes at most is over before the pod is killed.
program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
assert program == "sleep"
longest = int(seconds) + (int(limits.get("grace", 0)) + int(limits["deadline"])) / 1000
assert longest < pod["spec"]["terminationGracePeriodSeconds"], longest

# The program takes the options and limits, and the probes say what they are to say.
if not shutil.which("curl"):
    _support.skip("curl is not installed")
with tempfile.TemporaryDirectory() as folder:
    options = list(container["args"])
    port = options[options.index("--listen") + 1].rsplit(":", 1)[1]
    assert port == str(container["ports"][0]["containerPort"])
    given = os.path.join(folder, "limits")
    with open(given, "w", encoding="ascii") as file:
        file.write(parts["ConfigMap"]["data"]["limits"] + "grace 60000\n")
    options[options.index("--listen") + 1] = "web=0.0.0.0:0"
    options[options.index("--limits") + 1] = given
    place = options.index("--admin")
    admin = options[place + 1]
    del options[place:place + 2]

    def probe(kind):
        command = [word.replace(admin, os.path.join(folder, "admin.sock"))
                   for word in container[kind]["exec"]["command"]]
        return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_support.PATIENCE).returncode

    assert probe("startupProbe") != 0
    with Daemon(folder, *options) as daemon:
        assert [probe(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe")] == [0, 0, 0]
        daemon.signal(signal.SIGTERM)
        until(lambda: daemon.ask("/ready")[0] == 503, "readiness to end")
        assert (probe("readinessProbe"), probe("livenessProbe")) == (22, 0) # 22: an HTTP error
        daemon.signal(signal.SIGTERM) # it has been seen
        assert daemon.process.wait(_support.PATIENCE) == 1
