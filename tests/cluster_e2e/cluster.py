"""The cluster that `KUBECONFIG` names, as its users reach it: kubectl, helm, port-forwards and client pods."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster_e2e import traffic
from tools.helm import find_program

LOOP_LABEL = "driftloop.dev/loop"


@dataclass(frozen=True)
class E2ESettings:
    """What the tests are told by the environment (`make test-cluster` documents the same)."""

    image_prefix: str = field(default_factory=lambda: os.environ.get("DRIFTLOOP_E2E_IMAGE_PREFIX", "driftloop-"))
    """Images are `<prefix>controller:<tag>` and so on; the nodes must have them or be able to pull them."""
    image_tag: str = field(default_factory=lambda: os.environ.get("DRIFTLOOP_E2E_IMAGE_TAG", "latest"))
    store_image: str = field(
        default_factory=lambda: os.environ.get("DRIFTLOOP_E2E_STORE_IMAGE", "chrislusf/seaweedfs:latest")
    )
    """SeaweedFS, which the tests run as their own object store."""
    kubeflow_url: str = field(default_factory=lambda: os.environ.get("DRIFTLOOP_E2E_KUBEFLOW_URL", ""))
    """API of a Kubeflow Pipelines without users in the cluster, such as `http://ml-pipeline.kubeflow:8888`."""

    def image(self, role: str) -> str:
        return f"{self.image_prefix}{role}:{self.image_tag}"


class Cluster:
    """kubectl and helm on one kubeconfig."""

    def __init__(self, settings: E2ESettings) -> None:
        self.settings = settings

    def kubectl(self, *words: str, given: str | None = None, check: bool = True, seconds: float = 120) -> str:
        """Run kubectl and return what it prints; a failure shows its message."""
        command = [find_program("kubectl"), *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=seconds)
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout if done.returncode == 0 else done.stderr

    def helm(self, *words: str, seconds: float = 300) -> str:
        command = [find_program("helm"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
        assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}"
        return done.stdout

    def apply(self, *objects: dict[str, Any], namespace: str | None = None) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        scope = ["-n", namespace] if namespace else []
        self.kubectl("apply", *scope, "-f", "-", given=json.dumps(items))

    def get(self, kind: str, namespace: str | None = None, name: str = "", labels: str = "") -> Any:
        """Return one object, None where there is none; or the list of a kind."""
        words = ["get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found"]
        words += ["-n", namespace] if namespace else []
        words += ["-l", labels] if labels else []
        told = self.kubectl(*words)
        found = json.loads(told) if told.strip() else None
        return found if name else (found or {}).get("items", [])

    def until(self, what: str, condition: Callable[[], Any], seconds: float) -> Any:
        """Return the first truthy answer; after `seconds` the test fails, saying what it waited for."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"within {seconds:g} s: {what}"
            time.sleep(1)
        return found

    @contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """Yield the address on loopback of a Service's or pod's port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            local = probe.getsockname()[1]
        command = [find_program("kubectl"), "-n", namespace, "port-forward", target, f"{local}:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.until(f"{target} can be reached", lambda: _accepts(local), 30)
            yield f"http://127.0.0.1:{local}"
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def traffic(self, namespace: str, loop: str, **plan: Any) -> Iterator["ClientPod"]:
        """Run `traffic.py` in a pod of the namespace; `ClientPod.wait` returns its summary."""
        name = f"traffic-{int(time.time() * 1000) % 10**8}"
        plan = {"host": loop, **plan}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": {"traffic.py": Path(traffic.__file__).read_text(), "plan.json": json.dumps(plan)},
            },
            build_client_pod(name, self.settings.image("controller")),
            namespace=namespace,
        )
        try:
            yield ClientPod(self, namespace, name)
        finally:
            self.kubectl("-n", namespace, "delete", "pod,configmap", name, "--now", "--ignore-not-found")


def build_client_pod(name: str, image: str) -> dict[str, Any]:
    """Return a pod that runs `traffic.py` on the restricted Pod Security level."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "traffic",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "/traffic/traffic.py", "/traffic/plan.json"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "traffic", "mountPath": "/traffic"}],
                }
            ],
            "volumes": [{"name": "traffic", "configMap": {"name": name}}],
        },
    }


@dataclass(frozen=True)
class ClientPod:
    """A pod that sends traffic until its plan is done."""

    cluster: Cluster
    namespace: str
    name: str

    def wait(self, seconds: float) -> dict[str, Any]:
        """Return the summary."""

        def is_over() -> bool:
            pod = self.cluster.get("pod", self.namespace, self.name)
            return pod["status"].get("phase") in {"Succeeded", "Failed"}

        self.cluster.until("the client pod has sent its traffic", is_over, seconds)
        told = self.cluster.kubectl("-n", self.namespace, "logs", self.name)
        assert told.strip().startswith("{"), told
        return json.loads(told.strip().splitlines()[-1])


def condition(thing: dict[str, Any] | None, kind: str) -> dict[str, Any]:
    """Return a condition of an object's status; empty where there is none."""
    conditions = ((thing or {}).get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
