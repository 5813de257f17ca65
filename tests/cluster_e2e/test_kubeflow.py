"""The compiled package in a real Kubeflow Pipelines: a success, a cached rerun, a failure whose reason is told.

Runs where `DRIFTLOOP_E2E_KUBEFLOW_URL` names the API of an installation without users.
"""

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster_e2e.cluster import Cluster, condition
from tests.cluster_e2e.conftest import (
    ACCESS_KEY,
    LOOPS,
    SECRET_KEY,
    STORE_SECRET,
    Store,
    build_loop,
    loop_object,
    wait_until_ready,
)

URL = os.environ.get("DRIFTLOOP_E2E_KUBEFLOW_URL", "")
LOOP, BROKEN = "wine-kubeflow", "wine-broken"
NEVER_CACHED = {"snapshot", "package", "register"}
RUN_SECONDS = 900

pytestmark = pytest.mark.skipif(
    not URL, reason="needs Kubeflow Pipelines: DRIFTLOOP_E2E_KUBEFLOW_URL=http://ml-pipeline.kubeflow:8888"
)


@pytest.fixture(scope="module")
def steps(cluster: Cluster, installed: None) -> Iterator[str]:
    """The namespace of the steps, with the object store's secret; both loops go in the end."""
    namespace = (urlsplit(URL).hostname or "").split(".")[1]
    secret = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": STORE_SECRET}, "stringData": secret},
        namespace=namespace,
    )
    yield namespace
    cluster.kubectl(
        "-n", LOOPS, "delete", "modelloop", LOOP, BROKEN, "--ignore-not-found", "--timeout=120s", check=False
    )
    cluster.kubectl("-n", namespace, "delete", "secret", STORE_SECRET, "--ignore-not-found")


def build_kubeflow_loop(name: str, **spec: Any) -> dict[str, Any]:
    loop = build_loop(pipeline={"runner": "Kubeflow"}, **spec)
    loop["metadata"]["name"] = name
    return loop


def stages_run(cluster: Cluster, namespace: str, run_key: str) -> set[str]:
    """Return the stages of a run that had a pod of their own, as Argo's workflow tells."""
    found = [
        workflow
        for workflow in cluster.get("workflows.argoproj.io", namespace)
        if run_key in workflow["metadata"].get("annotations", {}).get("pipelines.kubeflow.org/run_name", "")
    ]
    assert len(found) == 1, f"one workflow a run: {len(found)}"
    pods = cluster.get("pods", namespace, labels=f"workflows.argoproj.io/workflow={found[0]['metadata']['name']}")
    done = [pod for pod in pods if pod["status"]["phase"] == "Succeeded" and "-impl-" in pod["metadata"]["name"]]
    return {name_of_task(pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]) for pod in done}


def name_of_task(node: str) -> str:
    """Return the task that a pod executes: part of its node's path.

    >>> name_of_task("run-x(0).root(0).collect(0).executor(0)")
    'collect'
    """
    path = [part.partition("(")[0] for part in node.split(".")]
    return next((part for part in reversed(path) if part != "executor"), "")


def runs(store: Store, loop: str) -> list[dict[str, Any]]:
    return [entry for entry in store.ledger(loop) if entry["entry"] == "RunStarted"]


def test_the_package_succeeds_and_its_model_serves(cluster, deploy, store, steps):
    began = time.monotonic()
    deploy(build_kubeflow_loop(LOOP))
    loop = wait_until_ready(cluster, RUN_SECONDS, LOOP)
    print(f"\nready after {time.monotonic() - began:.0f} s; stages with pods: ", end="")
    (run,) = runs(store, LOOP)
    stages = stages_run(cluster, steps, run["runKey"])
    print(sorted(stages))
    assert loop["status"]["champion"]["run"] == run["runKey"]
    assert stages


def test_a_rerun_on_the_same_data_takes_its_stages_from_the_cache(cluster, store, steps):
    first = runs(store, LOOP)
    began = time.monotonic()
    cluster.kubectl("-n", LOOPS, "annotate", "modelloop", LOOP, "driftloop.dev/retrain-requested-at=again")
    cluster.until("a second run starts", lambda: len(runs(store, LOOP)) == len(first) + 1, 120)
    finished = [entry for entry in store.ledger(LOOP) if entry["entry"] == "RunFinished"]
    cluster.until(
        "the second run ends",
        lambda: len([e for e in store.ledger(LOOP) if e["entry"] == "RunFinished"]) > len(finished) or None,
        RUN_SECONDS,
    )
    stages = stages_run(cluster, steps, runs(store, LOOP)[-1]["runKey"])
    print(f"\nended after {time.monotonic() - began:.0f} s; stages with pods: {sorted(stages)}")
    assert stages == NEVER_CACHED


def test_why_a_run_failed_is_told_by_the_loop(cluster, deploy, store, steps):
    data = {"uri": "wine.csv", "targetColumn": "vineyard", "minRows": 150}
    deploy(build_kubeflow_loop(BROKEN, data=data))
    stalled = cluster.until(
        "the loop says why it has no model",
        lambda: (
            condition(loop_object(cluster, BROKEN), "Stalled").get("status") == "True"
            and condition(loop_object(cluster, BROKEN), "Stalled")
        ),
        RUN_SECONDS,
    )
    print(f"\n{stalled['message']}")
    assert "vineyard" in stalled["message"]
