"""The process that stands for the Lease: one evaluator of many monitors, and one DriftReport for each change."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from driftloop.adapters.kubeapi import AlreadyExistsError, ApiUnavailableError
from driftloop.adapters.lease import Lease
from driftloop.sidecar.leader import Announcer, Leadership, LoopFile, lead
from driftloop.sidecar.reportoutbox import ReportOutbox
from driftloop.sidecar.supervisor import Child
from driftloop.spec import DriftReport, ReportKind, Verdict, VerdictKind, Window
from driftloop.spec.driftreport import report_name
from driftloop.workload.names import loop_labels
from tests.cluster.apiserver import fake_api_server, install_definitions
from tests.monitor import traffic
from tests.sidecar.conftest import wait_until

__all__ = ["fake_api_server"]

NAMESPACE = "default"
REPLICAS = 20
LOOP = "flight-delays"


def make_report(number=0):
    start = traffic.START + number * traffic.DAY
    window = Window(start=start, end=start + traffic.DAY, rows=60)
    verdict = Verdict(
        kind=ReportKind.INPUTS,
        model_version="0123456789ab",
        window=window,
        verdict=VerdictKind.COVARIATE_DRIFT,
        summary="temp moved",
    )
    name = report_name("uid-1", verdict.model_version, verdict.kind, start)
    return DriftReport(name=name, loop=LOOP, loop_uid="uid-1", created_at=window.end, verdict=verdict)


def put(state_dir, report):
    ReportOutbox(state_dir).put(report.name, report.model_dump_json(by_alias=True).encode())


@pytest.fixture
def api(fake_api_server):
    install_definitions(fake_api_server)
    return fake_api_server.connect()


def announcer(api, state_dir, limit=100, **more):
    return Announcer(
        api,
        namespace=NAMESPACE,
        loop=LOOP,
        loop_object_uid="uid-of-object",
        history_limit=limit,
        state_dir=state_dir,
        **more,
    )


def test_twenty_replicas_that_see_the_same_drift_create_one_report(api, fake_api_server, tmp_path):
    report = make_report()
    folders = [tmp_path / f"pod-{number}" for number in range(REPLICAS)]
    for folder in folders:
        put(folder, report)
    start = threading.Barrier(REPLICAS)

    def announce(folder):
        start.wait()
        announcer(fake_api_server.connect(), folder).step()
        return ReportOutbox(folder).announced()

    with ThreadPoolExecutor(REPLICAS) as threads:
        told = list(threads.map(announce, folders))
    assert told == [[report.name]] * REPLICAS
    (found,) = api.list("DriftReport", NAMESPACE, loop_labels(LOOP))
    assert found["metadata"]["name"] == report.name
    assert Verdict.model_validate(found["spec"]["verdict"]) == report.verdict
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ModelLoop", LOOP, "uid-of-object")
    assert not owner.get("blockOwnerDeletion")


def test_reports_beyond_the_history_limit_are_removed_the_oldest_first(api, tmp_path):
    speaker = announcer(api, tmp_path, limit=2)
    for number in range(4):
        put(tmp_path, make_report(number))
        speaker.step()
    found = api.list("DriftReport", NAMESPACE, loop_labels(LOOP))
    assert {item["metadata"]["name"] for item in found} == {make_report(number).name for number in (2, 3)}


class AwayApi:
    """An API server that is away for some calls; the last one it does, and loses the answer."""

    def __init__(self, failures):
        self.failures = failures
        self.created = []

    def create(self, obj):
        self.failures -= 1
        if self.failures > 0:
            raise ApiUnavailableError("api", "connection refused")
        if obj["metadata"]["name"] in self.created:
            raise AlreadyExistsError("DriftReport")
        self.created.append(obj["metadata"]["name"])
        if self.failures == 0:
            raise ApiUnavailableError("api", "the answer was lost")
        return obj

    def list(self, kind, namespace=None, labels=None):
        return []


def test_a_report_waits_for_an_api_server_that_is_away_with_growing_pauses(tmp_path):
    now, attempts = 0.0, []
    api = AwayApi(failures=5)
    speaker = announcer(api, tmp_path, monotonic=lambda: now)
    put(tmp_path, make_report())
    while not ReportOutbox(tmp_path).announced():
        before = api.failures
        speaker.step()
        if api.failures < before:
            attempts.append(now)
        now += 0.5
        assert now < 200
    assert attempts == [0, 1, 3, 7, 15, 31]
    assert api.created == [make_report().name]


def sleeper(name):
    return Child(name, [sys.executable, "-c", "import time; time.sleep(60)"])


def test_only_the_holder_of_the_lease_runs_an_evaluator_and_another_goes_on_when_it_is_gone(api, tmp_path):
    loop_file = tmp_path / "loop.json"
    loop_file.write_text("{}")
    stops, children, threads = [], [], []
    for number in range(3):
        lease = Lease(api, NAMESPACE, f"{LOOP}-evaluator", f"pod-{number}", 3)
        stops.append(threading.Event())
        children.append([sleeper(f"evaluator {number}")])
        arguments = (
            Leadership(lease, 0.2),
            announcer(api, tmp_path),
            children[-1],
            LoopFile(loop_file),
            stops[-1],
        )
        threads.append(threading.Thread(target=lead, args=arguments))

    def running():
        return [number for number, (child,) in enumerate(children) if child.process is not None]

    try:
        threads[0].start()
        wait_until(lambda: running() == [0])
        threads[1].start()
        threads[2].start()
        time.sleep(0.6)
        assert running() == [0]
        pid = children[0][0].process.pid
        loop_file.write_text('{"changed": true}')
        wait_until(lambda: children[0][0].process is not None and children[0][0].process.pid != pid)
        stops[0].set()
        threads[0].join(20)
        wait_until(lambda: len(running()) == 1)
        assert running()[0] in (1, 2)
    finally:
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join(20)
    assert running() == []
