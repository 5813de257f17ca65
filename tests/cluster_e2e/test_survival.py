"""What is killed, scaled, moved or wiped under load on a real cluster, and what it costs. Figures are printed (`-s`).

Some need a hand on the node: `DRIFTLOOP_E2E_KILL` is a command that kills a container without warning, with `{id}` for
its id, such as `ctr -n k8s.io task kill -s KILL {id}`. Without it those tests are skipped.
"""

import io
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.cluster_e2e.cluster import ClientPod, Cluster, condition
from tests.cluster_e2e.conftest import (
    FLUSH_SECONDS,
    LOOP,
    LOOPS,
    SYSTEM,
    Store,
    build_loop,
    loop_object,
    wait_until_ready,
)
from tests.cluster_e2e.test_loop import TRAFFIC, champion, deployments, kinds

KILL = os.environ.get("DRIFTLOOP_E2E_KILL", "")
LOAD = TRAFFIC | {"labels_host": "", "requests_per_second": 50, "threads": 8}
CRASH_MONITOR = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline").read().split("\\0")
    if pid != "1" and "driftloop.sidecar" in words:
        os.kill(int(pid), signal.SIGKILL)
"""
QUIET = {"engine": "SciPy", "window": {"duration": "10m", "minRows": 100}, "labels": {"expectedDelay": "1d"}}
"""Monitoring that has no opinion within these tests: the traffic is about survival."""

needs_kill = pytest.mark.skipif(
    not KILL, reason="kills containers from the node: set DRIFTLOOP_E2E_KILL, see tests/cluster_e2e/test_survival.py"
)


@pytest.fixture(scope="module", autouse=True)
def loop(cluster: Cluster, deploy: Any, store: Store) -> Iterator[None]:
    """Two models, so that there is another version to go to; two replicas."""
    spec = {
        "monitoring": QUIET,
        "serving": {"minReplicas": 2, "maxReplicas": 2},
        "acceptance": {"championComparison": "NotWorse"},
    }
    deploy(build_loop(**spec))
    first = wait_until_ready(cluster, 400)["status"]["champion"]["version"]
    deploy(build_loop(**spec, training={"algorithms": ["Linear"], "maxTrialCount": 1, "randomState": 1}))
    cluster.until("a second model serves", lambda: champion(cluster)["version"] != first, 400)
    wait_until_ready(cluster, 120)
    yield
    cluster.kubectl("-n", LOOPS, "delete", "modelloop", LOOP, "--timeout=120s", check=False, seconds=150)


def annotate(cluster: Cluster, verb: str, value: str) -> None:
    cluster.kubectl("-n", LOOPS, "annotate", "--overwrite", "modelloop", LOOP, f"driftloop.dev/{verb}={value}")


def runs(store: Store) -> list[dict[str, Any]]:
    return [entry for entry in store.ledger() if entry["entry"] == "RunStarted"]


def is_running(cluster: Cluster) -> bool:
    return bool(loop_object(cluster)["status"].get("run"))


def pods(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the champion's pods that are not ending."""
    found = cluster.get("pods", LOOPS, labels=f"driftloop.dev/loop={LOOP},app.kubernetes.io/component=server")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def container_id(pod: dict[str, Any], name: str) -> str:
    status = pod["status"]
    every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return next(c["containerID"] for c in every if c["name"] == name).partition("://")[2]


def restarts(cluster: Cluster, name: str) -> int:
    total = 0
    for pod in pods(cluster):
        status = pod["status"]
        every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        total += sum(c["restartCount"] for c in every if c["name"] == name)
    return total


def kill(*ids: str) -> None:
    """Kill containers as the node's kernel would, all at once."""
    commands = [[word.replace("{id}", id_) for word in shlex.split(KILL)] for id_ in ids]
    for process in [subprocess.Popen(command) for command in commands]:
        assert process.wait(60) == 0


@contextmanager
def load(cluster: Cluster, seconds: float, **more: Any) -> Iterator[ClientPod]:
    """Send 50 requests a second, half of them on fresh connections."""
    with cluster.traffic(LOOPS, LOOP, **LOAD | {"seconds": seconds} | more) as client:
        running: Callable[[], bool] = lambda: (  # noqa: E731
            cluster.get("pod", LOOPS, client.name)["status"].get("phase") == "Running"
        )
        cluster.until("the client pod runs", running, 60)
        yield client


def logged_ids(store: Store) -> set[str]:
    """Return the ids of all predictions in the store's log."""
    files = store.files()
    found: set[str] = set()
    for name in files.find(f"{store.root}/log/predictions"):
        if name.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(files.cat_file(name)), columns=["prediction_id"])
            found.update(table.column("prediction_id").to_pylist())
    return found


def missing_ids(cluster: Cluster, store: Store, ids: list[str], seconds: float = 60) -> set[str]:
    """Return which answered predictions are not in the log once the monitors have had time to flush."""
    missing: set[str] = set(ids)

    def all_there() -> bool:
        missing.difference_update(logged_ids(store))
        return not missing

    deadline = time.monotonic() + seconds
    while not all_there() and time.monotonic() < deadline:
        time.sleep(2)
    return missing


def tell(what: str, told: dict[str, Any], **more: Any) -> None:
    figures = {
        key: told[key] for key in ("sent", "answered", "unresolved", "failed", "p50", "p99", "longest", "versions")
    }
    print(f"\n{what}: {json.dumps(figures | more)}")


def test_a_monitor_that_crashes_every_20_seconds_fails_no_prediction(cluster):
    crashes = 0
    with load(cluster, 125) as client:
        for _ in range(5):
            time.sleep(20)
            for pod in pods(cluster):
                name = pod["metadata"]["name"]
                cluster.kubectl("-n", LOOPS, "exec", name, "-c", "monitor", "--", "python", "-c", CRASH_MONITOR)
                crashes += 1
        told = client.wait(120)
    tell("monitor crashes every 20 s in every replica", told, crashes=crashes)
    assert restarts(cluster, "monitor") == 0, "the container itself goes on"
    assert told["failed"] == 0, told["failures"]


@needs_kill
def test_killing_the_monitor_container_five_times_costs_what_is_printed(cluster):
    with load(cluster, 110) as client:
        for turn in range(5):
            time.sleep(15)
            before = restarts(cluster, "monitor")
            kill(container_id(pods(cluster)[turn % 2], "monitor"))
            cluster.until("the container is back", lambda before=before: restarts(cluster, "monitor") > before, 120)
        told = client.wait(300)
    tell("monitor container killed 5 times", told)
    assert told["answered"] > 0


def test_scaling_from_1_to_3_to_1_and_a_version_change_fail_nothing_and_lose_no_record(cluster, store):
    def scale(replicas: int) -> None:
        serving = {"minReplicas": replicas, "maxReplicas": replicas}
        cluster.kubectl(
            "-n", LOOPS, "patch", "modelloop", LOOP, "--type=merge", "-p", json.dumps({"spec": {"serving": serving}})
        )
        cluster.until(f"{replicas} pods are ready", lambda: count_ready(cluster) == replicas, 240)

    scale(1)
    with load(cluster, 240, keep_ids=True) as client:
        for replicas in (3, 1):
            scale(replicas)
            time.sleep(5)
        old = champion(cluster)
        cluster.until("one version is left", lambda: deployments(cluster) == [old["version"]], 120)
        annotate(cluster, "rollback", "previous")
        cluster.until("another version serves", lambda: champion(cluster)["version"] != old["version"], 240)
        cluster.until("the old version is gone", lambda: deployments(cluster) != [old["version"]], 120)
        told = client.wait(500)
    missing = missing_ids(cluster, store, told["ids"])
    tell("scale 1 to 3 to 1, then another version", told, lost=len(missing))
    assert len(told["versions"]) == 2
    assert told["failed"] == 0, told["failures"]
    assert missing == set()


def count_ready(cluster: Cluster) -> int:
    ready = [pod for pod in pods(cluster) if condition(pod, "Ready").get("status") == "True"]
    return len(ready) if len(ready) == len(pods(cluster)) else -1


@needs_kill
def test_a_pod_killed_without_warning_loses_at_most_a_flush_interval(cluster, store):
    with load(cluster, 40, keep_ids=True) as client:
        time.sleep(20)
        pod = pods(cluster)[0]
        kill(container_id(pod, "monitor"), container_id(pod, "server"))
        killed = time.time()
        cluster.kubectl("-n", LOOPS, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        told = client.wait(240)
    missing = missing_ids(cluster, store, told["ids"])
    tell("a pod killed without warning", told, lost=len(missing), killed=killed)
    assert len(missing) <= LOAD["requests_per_second"] * (FLUSH_SECONDS + 2)


def test_a_wiped_status_and_a_restarted_operator_change_nothing(cluster, store):
    cluster.until("the loop has a server", lambda: count_ready(cluster) >= 1, 240)
    before, serving = store.ledger(), champion(cluster)
    wipe = [{"op": "remove", "path": "/status"}]
    cluster.kubectl(
        "-n", LOOPS, "patch", "modelloop", LOOP, "--subresource=status", "--type=json", "-p", json.dumps(wipe)
    )
    cluster.kubectl("-n", SYSTEM, "delete", "pod", "-l", OPERATOR, "--wait=true")
    wait_until_ready(cluster, 120)
    assert champion(cluster)["digest"] == serving["digest"]
    assert store.ledger() == before


OPERATOR = "app.kubernetes.io/name=driftloop,app.kubernetes.io/component=operator"


def test_two_operators_by_mistake_start_one_run(cluster, store):
    before = len(runs(store))
    (deployment,) = cluster.get("deployments", SYSTEM, labels=OPERATOR)
    name = deployment["metadata"]["name"]
    cluster.kubectl("-n", SYSTEM, "scale", "deployment", name, "--replicas=2")
    try:
        cluster.kubectl("-n", SYSTEM, "rollout", "status", "deployment", name, "--timeout=120s", check=False)
        annotate(cluster, "retrain-requested-at", "twice")
        restarting = threading.Timer(
            3, lambda: cluster.kubectl("-n", SYSTEM, "delete", "pod", "-l", OPERATOR, "--wait=false")
        )
        restarting.start()
        cluster.until("a run was started", lambda: len(runs(store)) > before, 120)
        restarting.join()
        cluster.until("the run has ended", lambda: not is_running(cluster), 400)
    finally:
        cluster.kubectl("-n", SYSTEM, "scale", "deployment", name, "--replicas=1")
    assert len(runs(store)) == before + 1
    jobs = {job["metadata"]["name"] for job in cluster.get("jobs", LOOPS)}
    assert len(jobs) <= len(kinds(store)), jobs
