"""The whole loop on a real cluster: trained, served, watched, retrained, promoted; a broken Bento refused; removed.

The tests of this module go on from one another, in order.
"""

import json
import time
from collections import Counter
from typing import Any

import pytest

from tests.cluster_e2e.cluster import Cluster, condition
from tests.cluster_e2e.conftest import (
    LABELS,
    LOOP,
    LOOPS,
    Store,
    build_loop,
    loop_object,
    owned_objects,
    to_csv,
    wait_until_ready,
    wine_rows,
)

TRAFFIC = {
    "rows_csv": to_csv(wine_rows()),
    "target": "cultivar",
    "host": LOOP,
    "labels_host": f"{LOOP}-labels",
    "requests_per_second": 10,
}
TRAINED_SECONDS, RETRAINED_SECONDS, GONE_SECONDS = 400, 500, 60


def kinds(store: Store) -> Counter[str]:
    """Return how many entries of which kind the ledger has."""
    return Counter(entry["entry"] for entry in store.ledger())


def champion(cluster: Cluster) -> dict[str, Any]:
    return loop_object(cluster)["status"]["champion"]


def reports(cluster: Cluster) -> list[dict[str, Any]]:
    return cluster.get("driftreports", LOOPS)


@pytest.fixture(scope="module", autouse=True)
def told(cluster: Cluster, installed: None) -> Any:
    """Say what the cluster saw when a test fails: pods, events and the operator's last lines."""
    yield
    print(cluster.kubectl("-n", LOOPS, "get", "events", "--sort-by=.lastTimestamp", check=False)[-6000:])


def test_one_file_becomes_a_served_model(cluster, deploy, store):
    deploy(build_loop())
    loop = wait_until_ready(cluster, TRAINED_SECONDS)
    version = loop["status"]["champion"]["version"]
    with cluster.traffic(LOOPS, LOOP, **TRAFFIC | {"seconds": 5, "labels_host": ""}) as client:
        told = client.wait(60)
    assert told["failed"] == 0, told["failures"]
    assert told["versions"] == {version: told["answered"]}
    assert condition(loop, "Ready")["observedGeneration"] == loop["metadata"]["generation"]
    cluster.kubectl("-n", LOOPS, "wait", "--for=condition=Ready", f"modelloop/{LOOP}", "--timeout=5s")


def test_drift_is_reported_starts_exactly_one_run_and_the_better_model_takes_over(cluster, store):
    first = champion(cluster)
    before = kinds(store)
    with cluster.traffic(LOOPS, LOOP, **TRAFFIC | {"seconds": 25}) as client:
        healthy = client.wait(120)
    assert healthy["failed"] == 0, healthy["failures"]
    assert healthy["labels"] > 0, healthy["labelFailures"]
    assert kinds(store) == before, "healthy traffic calls for nothing"
    began = time.monotonic()
    drifted = {"seconds": RETRAINED_SECONDS, "relabel": LABELS, "rows_per_request": 3}
    with cluster.traffic(LOOPS, LOOP, **TRAFFIC | drifted):
        alarms = cluster.until(
            "a DriftReport tells of concept drift",
            lambda: [r for r in reports(cluster) if r["spec"]["verdict"]["verdict"] == "ConceptDrift"],
            240,
        )
        print(f"drift report after {time.monotonic() - began:.0f} s: {alarms[0]['spec']['verdict']['summary']}")
        cluster.until(
            "another model is champion",
            lambda: champion(cluster)["version"] != first["version"],
            RETRAINED_SECONDS,
        )
        print(f"promoted after {time.monotonic() - began:.0f} s")
        wait_until_ready(cluster, 120)
    after = kinds(store)
    runs = after["RunStarted"] - before["RunStarted"]
    assert runs == 1, "one episode starts one run"
    assert after["Promoted"] - before["Promoted"] == 1
    jobs = cluster.get("jobs", LOOPS)
    assert len(jobs) <= after["RunStarted"]
    started = [entry for entry in store.ledger() if entry["entry"] == "RunStarted"][-1]
    report = cluster.get("driftreport", LOOPS, started["report"]) if started.get("report") else None
    assert report is not None
    assert report["status"]["decision"], "the report says what was decided"


def test_the_promoted_model_knows_the_changed_world(cluster):
    version = champion(cluster)["version"]
    with cluster.traffic(LOOPS, LOOP, **TRAFFIC | {"seconds": 5, "labels_host": ""}) as client:
        told = client.wait(60)
    assert told["failed"] == 0, told["failures"]
    assert set(told["versions"]) == {version}


def deployments(cluster: Cluster) -> list[str]:
    return [d["metadata"]["labels"]["driftloop.dev/model-version"] for d in cluster.get("deployments", LOOPS)]


def test_a_tampered_bento_is_refused_and_the_old_model_goes_on_serving(cluster, store):
    serving = champion(cluster)
    cluster.until("the old server is gone", lambda: deployments(cluster) == [serving["version"]], 120)
    first = next(entry for entry in store.ledger() if entry["entry"] == "Promoted")["model"]["result"]
    tamper(store, first["bentoUri"])
    with cluster.traffic(LOOPS, LOOP, **TRAFFIC | {"seconds": 60, "labels_host": ""}) as client:
        cluster.kubectl("-n", LOOPS, "annotate", "modelloop", LOOP, "driftloop.dev/rollback=v1")
        refusal = cluster.until(
            "the rollback is refused", lambda: [e for e in store.ledger() if e["entry"] == "RequestRefused"], 240
        )
        told = client.wait(120)
    assert "v1 can't be served" in refusal[-1]["reason"], refusal
    assert told["failed"] == 0, told["failures"]
    assert set(told["versions"]) == {serving["version"]}
    events = json.loads(cluster.kubectl("-n", LOOPS, "get", "events", "-o", "json"))["items"]
    assert any("can't be served" in e["message"] for e in events if e["involvedObject"]["kind"] == "ModelLoop")
    assert champion(cluster)["version"] == serving["version"]
    cluster.until("the refused server is gone", lambda: deployments(cluster) == [serving["version"]], 120)


def tamper(store: Store, bento_uri: str) -> None:
    """Change one byte in the middle of every file of a Bento."""
    files = store.files()
    names = files.find(bento_uri.removeprefix("s3://"))
    assert names, bento_uri
    for name in names:
        content = bytearray(files.cat_file(name))
        content[len(content) // 2] ^= 0xFF
        files.pipe_file(name, bytes(content))


def test_deletion_leaves_nothing_in_the_cluster_and_everything_in_the_store(cluster, store):
    before = {name for name in store.files().find(store.root) if "/monitor/" not in name}
    began = time.monotonic()
    cluster.kubectl("-n", LOOPS, "delete", "modelloop", LOOP, "--wait=false")
    cluster.until("nothing carries the loop's label", lambda: not owned_objects(cluster), GONE_SECONDS)
    cluster.until("the loop is gone", lambda: loop_object(cluster) is None, GONE_SECONDS)
    print(f"gone after {time.monotonic() - began:.0f} s")
    after = set(store.files().find(store.root))
    for part in ("bentos", "ledger", "log"):
        assert {name for name in before if f"/{part}/" in name} <= after
        assert any(f"/{part}/" in name for name in after)


def test_a_loop_that_comes_back_has_its_champion_without_a_run_and_purge_removes_its_folder(cluster, deploy, store):
    before = store.ledger()
    promoted = [entry for entry in before if entry["entry"] == "Promoted"][-1]["model"]
    deploy(build_loop(deletionPolicy="Purge"))
    loop = wait_until_ready(cluster, 240)
    assert loop["status"]["champion"]["digest"] == promoted["result"]["bentoDigest"]
    assert [e for e in store.ledger() if e["entry"] == "RunStarted"] == [
        e for e in before if e["entry"] == "RunStarted"
    ]
    cluster.kubectl("-n", LOOPS, "delete", "modelloop", LOOP, "--timeout=150s", seconds=180)
    assert owned_objects(cluster) == []
    # SeaweedFS goes on answering for the emptied folder itself.
    assert [name for name in store.files().find(store.root) if name != store.root] == []
