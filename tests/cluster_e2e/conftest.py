"""The chart on the cluster that `KUBECONFIG` names, an object store beside it, one loop; all of it is removed."""

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster_e2e.cluster import LOOP_LABEL, Cluster, E2ESettings, condition

ROOT = Path(__file__).parents[2]
SYSTEM, STORAGE, LOOPS = "driftloop-e2e-system", "driftloop-e2e-store", "driftloop-e2e"
STORE_SECRET = "object-store"  # noqa: S105  its name
ACCESS_KEY, SECRET_KEY, BUCKET = "driftloop", "driftloop-secret", "driftloop"
FLUSH_SECONDS = 5
LOOP = "wine"
ROWS = 1500
"""Of the table, and fewest labelled ones for a retraining: most of them must be of the changed world."""
LABELS = {"class_0": "class_1", "class_1": "class_2", "class_2": "class_0"}
"""What the cultivators are called after the world has changed: the model is wrong from then on."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; without an explicit word nothing is installed anywhere."""
    here = [item for item in items if Path(item.fspath).parent == Path(__file__).parent]
    for item in here:
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.timeout(1200))
        if os.environ.get("DRIFTLOOP_TEST_CLUSTER") != "1":
            item.add_marker(pytest.mark.skip("installs the chart on a cluster: KUBECONFIG=... make test-cluster"))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    assert os.environ.get("KUBECONFIG"), "KUBECONFIG must name the cluster that the tests may use"
    return Cluster(E2ESettings())


@pytest.fixture(scope="session")
def store(cluster: Cluster) -> Iterator["Store"]:
    """A SeaweedFS in the cluster with one bucket."""
    cluster.apply(*_build_store(cluster.settings.store_image))
    with ExitStack() as stack:
        stack.callback(cluster.kubectl, "delete", "namespace", STORAGE, "--ignore-not-found", "--wait=true")
        cluster.kubectl("-n", STORAGE, "rollout", "status", "deployment/store", "--timeout=180s", seconds=200)
        address = stack.enter_context(cluster.port_forward(STORAGE, "service/store", 8333))
        store = Store(address)
        cluster.until("the bucket can be made", store.make_bucket, 60)
        yield store


@dataclass(frozen=True)
class Store:
    """The object store, reached from outside the cluster by port-forward."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.address,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @property
    def root(self) -> str:
        return f"{BUCKET}/loops/{LOOPS}/{LOOP}"

    def files(self) -> Any:
        """A file system; a new one each time, because a listing must not be remembered."""
        import s3fs

        client = {"endpoint_url": self.address, "region_name": "us-east-1"}
        return s3fs.S3FileSystem(
            key=ACCESS_KEY, secret=SECRET_KEY, client_kwargs=client, skip_instance_cache=True, use_listings_cache=False
        )

    def make_bucket(self) -> bool:
        try:
            files = self.files()
            if not files.exists(BUCKET):
                files.mkdir(BUCKET)
        except OSError:
            return False
        return True

    def ledger(self, loop: str = LOOP) -> list[dict[str, Any]]:
        """Return a loop's ledger, oldest entry first."""
        files = self.files()
        names = sorted(files.find(f"{BUCKET}/loops/{LOOPS}/{loop}/ledger"))
        return [json.loads(files.cat_file(name)) for name in names]


@pytest.fixture(scope="session")
def installed(cluster: Cluster, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The chart, as `helm install` makes it, and an empty namespace for loops."""
    own_crds = not cluster.get("crd", name="modelloops.driftloop.dev")
    for name in (SYSTEM, LOOPS):
        cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}},
        )
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": STORE_SECRET},
                "stringData": {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
            },
            namespace=name,
        )
    values = tmp_path_factory.mktemp("values") / "values.yaml"
    values.write_text(yaml.safe_dump(build_values(cluster.settings) | {"crds": {"install": own_crds}}))
    with ExitStack() as stack:
        for name in (SYSTEM, LOOPS):
            stack.callback(
                cluster.kubectl, "delete", "namespace", name, "--ignore-not-found", "--wait=true", seconds=200
            )
        if own_crds:  # helm keeps them, because custom resources go with them
            crds = ("modelloops.driftloop.dev", "driftreports.driftloop.dev")
            stack.callback(cluster.kubectl, "delete", "crd", *crds, "--ignore-not-found", "--timeout=60s")
        chart = str(ROOT / "helm" / "driftloop")
        cluster.helm(
            "upgrade", "--install", "driftloop", chart, "-n", SYSTEM, "-f", str(values), "--wait", "--timeout", "4m"
        )
        stack.callback(cluster.helm, "uninstall", "driftloop", "-n", SYSTEM, "--ignore-not-found", "--wait")
        stack.callback(delete_loops, cluster)
        yield


def build_values(settings: E2ESettings) -> dict[str, Any]:
    """Return values for the chart: short times everywhere, so that a loop goes round in minutes."""
    roles = ("controller", "monitor", "serving", "pipeline")
    return {
        "images": {role: {"repository": f"{settings.image_prefix}{role}", "tag": settings.image_tag} for role in roles},
        "store": {
            "uri": f"s3://{BUCKET}",
            "endpointUrl": f"http://store.{STORAGE}:8333",
            "secretName": STORE_SECRET,
        },
        "kubeflow": {"url": settings.kubeflow_url},
        "flushIntervalSeconds": FLUSH_SECONDS,
        "operator": {"pollSeconds": 3, "busyPollSeconds": 1, "drainSeconds": 10, "availableSeconds": 240},
    }


def delete_loops(cluster: Cluster) -> None:
    """Remove every loop while the operator is there to clean up."""
    cluster.kubectl("-n", LOOPS, "delete", "modelloops", "--all", "--timeout=120s", check=False, seconds=150)


def wine_rows() -> list[dict[str, str]]:
    """Return the wines of the example, each several times with a little noise: enough rows for short windows."""
    random_ = random.Random(0)
    with (ROOT / "examples" / "wine" / "wine.csv").open() as file:
        wines = list(csv.DictReader(file))
    rows = []
    for wine in random_.choices(wines, k=ROWS):
        row = {
            name: f"{float(value) * random_.gauss(1, 0.03):.4f}" for name, value in wine.items() if name != "cultivar"
        }
        rows.append(row | {"cultivar": wine["cultivar"]})
    return rows


def to_csv(rows: list[dict[str, str]]) -> str:
    """Return rows as the text of a CSV file."""
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


def build_loop(**spec: Any) -> dict[str, Any]:
    """Return the wine example with short windows; `spec` replaces groups."""
    example = yaml.safe_load((ROOT / "examples" / "wine" / "modelloop.yaml").read_text())
    example["metadata"] = {"name": LOOP, "namespace": LOOPS}
    example["spec"] |= {
        "data": {"uri": "wine.csv", "targetColumn": "cultivar", "minRows": ROWS},
        "training": {"algorithms": ["Linear"], "maxTrialCount": 1},
        "pipeline": {"runner": "Job"},
        "serving": {"minReplicas": 1},
        "monitoring": {
            "engine": "SciPy",
            "window": {"duration": "20s", "minRows": 100},
            "labels": {"expectedDelay": "5s"},
        },
        "retraining": {"triggers": ["ConceptDrift", "PerformanceDrop"], "cooldown": "1h"},
    } | spec
    return example


@pytest.fixture(scope="session")
def deploy(cluster: Cluster, installed: None, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return `driftloop deploy` of a loop document whose data lie beside it."""
    folder = tmp_path_factory.mktemp("wine")
    (folder / "wine.csv").write_text(to_csv(wine_rows()))

    def run(document: dict[str, Any]) -> str:
        (folder / "modelloop.yaml").write_text(yaml.safe_dump(document))
        command = [sys.executable, "-m", "driftloop", "deploy", str(folder / "modelloop.yaml")]
        command += ["--store", f"s3://{BUCKET}"]
        done = subprocess.run(
            command, env=os.environ | store.environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def loop_object(cluster: Cluster, name: str = LOOP) -> dict[str, Any]:
    """Return the ModelLoop as the API server has it."""
    return cluster.get("modelloop", LOOPS, name)


def wait_until_ready(cluster: Cluster, seconds: float, name: str = LOOP) -> dict[str, Any]:
    """Return the ModelLoop once it is Ready; a stalled one fails with its message."""

    def is_ready() -> Any:
        loop = loop_object(cluster, name)
        stalled = condition(loop, "Stalled")
        assert stalled.get("status") != "True", stalled.get("message")
        return loop if condition(loop, "Ready").get("status") == "True" else None

    return cluster.until("the loop is Ready", is_ready, seconds)


def owned_objects(cluster: Cluster) -> list[str]:
    """Return kind and name of everything in the API server that carries the loop's label."""
    kinds = cluster.kubectl("api-resources", "--verbs=list,delete", "--namespaced", "-o", "name").split()
    found = cluster.kubectl(
        "get", ",".join(kinds), "-n", LOOPS, "-l", f"{LOOP_LABEL}={LOOP}", "-o", "name", "--ignore-not-found"
    )
    return found.split()


def _build_store(image: str) -> list[dict[str, Any]]:
    identity = {
        "name": "driftloop",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    command = [
        "weed", "server", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=0.0.0.0", "-master.volumeSizeLimitMB=64",
        "-volume.max=40", "-filer", "-s3", "-s3.port=8333", "-s3.config=/etc/s3/s3.json",
    ]  # fmt: skip
    labels = {"app": "store"}
    pod = {
        "enableServiceLinks": False,
        "containers": [
            {
                "name": "store",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "readinessProbe": {"tcpSocket": {"port": 8333}},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "data", "mountPath": "/tmp"},  # noqa: S108
                    {"name": "identities", "mountPath": "/etc/s3"},
                ],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "identities", "configMap": {"name": "identities"}}],
    }
    where = {"namespace": STORAGE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STORAGE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": where | {"name": "identities"},
            "data": {"s3.json": json.dumps({"identities": [identity]})},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": where | {"name": "store"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": where | {"name": "store"},
            "spec": {"selector": labels, "ports": [{"port": 8333}]},
        },
    ]
