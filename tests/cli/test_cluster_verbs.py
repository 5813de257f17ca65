"""The commands that look at, and ask, a loop of a cluster: against the fake API server."""

import json
import threading
import time

import pytest
from typer.testing import CliRunner

from driftloop.cli import clusterasking
from driftloop.cli.app import build_app
from tests.cluster.apiserver import fake_api_server as fake_api_server  # noqa: PLC0414 - a fixture
from tests.cluster.apiserver import install_definitions

CHAMPION = {"label": "v2", "version": "0123456789ab", "digest": "01" * 32, "metric": "roc_auc", "score": 0.7312}
HISTORY = [{"at": "2026-11-25T10:00:00Z", "entry": "Promoted", "message": "v2 was promoted: better by 0.01"}]
STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "NotAvailable", "message": "no pod of v2 answers yet"},
        {"type": "Stalled", "status": "False", "reason": "Working", "message": ""},
    ],
    "champion": CHAMPION,
    "lastVerdict": {"verdict": "CovariateDrift", "summary": "departure moved"},
    "promotions": 2,
    "labelledRows": 12345,
    "waitingFor": ["labels: 3 of 500 are there"],
    "log": {"rows": 20000, "labels": 12345, "dropped": 0, "late": 7},
    "labels": {
        "windowStart": "2026-11-25T08:00:00Z",
        "windowEnd": "2026-11-25T09:00:00Z",
        "predictions": 500,
        "labelled": 3,
        "waiting": 497,
        "overdue": 0,
    },
    "successCriteria": [{"name": "missed connections", "value": 3.7, "reached": False}],
    "lastFailure": "the challenger was worse",
    "history": HISTORY,
}
PENDING = {"label": "v3", "version": "abcdefabcdef", "digest": "abcdef" * 10 + "abcd", "run": "feedfeedfeed"}


@pytest.fixture
def cluster(fake_api_server, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    monkeypatch.chdir(tmp_path)
    install_definitions(fake_api_server)
    return fake_api_server


@pytest.fixture
def api(cluster):
    return cluster.connect()


def a_loop(api, name="flights", status=None, **spec):
    criterion = {"name": "missed connections", "goal": 3.5}
    api.create(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"namespace": "default", "name": name},
            "spec": {"problem": {"successCriteria": [criterion]}, "data": {"minRows": 500}} | spec,
        }
    )
    if status:
        api.patch_status("ModelLoop", "default", name, status)


def annotations_of(api, name="flights"):
    return api.get("ModelLoop", "default", name)["metadata"].get("annotations") or {}


def run(*arguments):
    outcome = CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "200"})
    return outcome.exit_code, outcome.stdout + outcome.stderr


def run_json(*arguments):
    outcome = CliRunner().invoke(build_app(), [*arguments, "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


def test_status_shows_the_same_table_as_on_the_laptop(api):
    a_loop(api, status=STATUS)
    code, text = run("status", "--context", "test", "flights")
    head, row, *story = text.splitlines()
    assert code == 0
    assert head.split() == ["LOOP", "READY", "CHAMPION", "SCORE", "DRIFT", "PROMOTIONS", "LABELLED"]
    assert row.split() == ["flights", "False", "v2", "roc_auc", "0.731", "CovariateDrift", "2", "12,345"]
    assert story == [
        "  missed connections: 3.7 (goal 3.5, not reached)",
        "  2026-11-25 10:00  v2 was promoted: better by 0.01",
    ]


def test_status_without_a_name_shows_all_loops_of_the_namespace(api):
    a_loop(api, "one", STATUS)
    a_loop(api, "two")
    _, text = run("status", "-n", "default")
    assert [line.split()[0] for line in text.splitlines()] == ["LOOP", "one", "two"]
    assert "not looked at yet" in text
    _, told = run_json("status", "--context", "test")
    assert [loop["loop"] for loop in told["loops"]] == ["one", "two"]


def test_status_as_json_is_the_status_of_the_object(api):
    a_loop(api, status=STATUS)
    _, told = run_json("status", "--context", "test", "flights")
    assert (told["loop"], told["namespace"], told["champion"]) == ("flights", "default", CHAMPION)


def test_an_empty_namespace_is_told(api):
    code, text = run("status", "-n", "kube-system")
    assert (code, text) == (
        0,
        "There are no loops in the namespace 'kube-system'. Bring one: driftloop deploy FILE\n",
    )


def test_why_tells_what_is_wrong_and_what_is_waited_for(api):
    a_loop(api, status=STATUS)
    _, text = run("why", "--context", "test")
    assert text.splitlines() == [
        "• not ready: no pod of v2 answers yet",
        "• labels: 3 of 500 are there",
        "so far: 20,000 predictions logged, 12,345 labels, 0 dropped",
        "too late for a verdict: 7 predictions; they are used for training",
        "labelled rows to train on: 12,345 (at least 500 are needed)",
        "window of 2026-11-25 08:00 to 2026-11-25 09:00: 3 of 500 labelled; 497 still expected",
        "last failure: the challenger was worse",
    ]


def test_why_tells_that_nobody_looks(api):
    a_loop(api)
    _, text = run("why", "--context", "test")
    assert "no operator has looked at this loop; see: driftloop doctor" in text


def test_why_tells_of_a_newer_spec_a_run_and_an_open_request(api):
    a_loop(api, status=STATUS | {"run": {"runKey": "feed", "stage": "train", "url": "http://ui/feed"}})
    api.patch(
        "ModelLoop",
        "default",
        "flights",
        {"spec": {"suspend": True}, "metadata": {"annotations": {"driftloop.dev/rollback": "v1"}}},
    )
    _, text = run("why", "--context", "test")
    assert "the operator has not looked at the newest spec yet" in text
    assert "the run feed is at: train; see http://ui/feed" in text
    assert "asked, not answered yet: driftloop.dev/rollback: v1" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "flights"], "Name the cluster with --context or -n."),
        (["status", "-n", "default", "--workspace", "x"], "Leave one out."),
        (["why", "-n", "default"], "There must be exactly one loop in the namespace 'default'"),
        (["why", "-n", "default", "trains"], "The loop 'trains' must be in the namespace 'default' of the cluster"),
        (["status", "--context", "elsewhere"], "The context 'elsewhere' must be one of the kubeconfig"),
    ],
)
def test_an_unclear_place_is_told(api, arguments, message):
    a_loop(api, "one")
    a_loop(api, "two")
    code, text = run(*arguments)
    assert code == 2
    assert message in text


def test_a_cluster_without_driftloop_is_told(fake_api_server, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    code, text = run("status", "--context", "test")
    assert code == 1
    assert "must know ModelLoops. It does not. Install driftloop there with helm" in text


def test_a_cluster_that_does_not_answer_is_told(cluster):
    cluster.fake.fault = lambda _: (503, "etcd is gone")
    code, text = run("status", "--context", "test")
    assert code == 1
    assert "must answer. It did not: HTTP 503, etcd is gone" in text


def test_retrain_asks_by_an_annotation_that_differs_each_time(api):
    a_loop(api)
    code, text = run("retrain", "--context", "test", "--reason", "new sensors")
    first = annotations_of(api)["driftloop.dev/retrain-requested-at"]
    run("retrain", "--context", "test")
    assert code == 0
    assert "Asked the loop 'default/flights' as admin" in text
    assert first.endswith("Z new sensors")
    assert annotations_of(api)["driftloop.dev/retrain-requested-at"] != first


def test_rollback_names_the_model_and_the_moment(api):
    a_loop(api)
    run("rollback", "v1", "-n", "default", "--loop", "flights")
    assert annotations_of(api)["driftloop.dev/rollback"].startswith("v1@20")
    _, told = run_json("rollback", "-n", "default")
    assert told["request"]["value"].startswith("previous@20")


@pytest.mark.parametrize("named", ["feedfeedfeed", "abcdefabcdef", "sha256:abcdefabcdef"])
def test_approve_is_signed_with_the_name_that_the_api_server_knows(api, named):
    a_loop(api, status=STATUS | {"challenger": PENDING})
    code, _ = run("approve", named, "--context", "test")
    assert code == 0
    assert annotations_of(api)["driftloop.dev/approve"] == f"{named}@admin"


def test_an_approval_of_nothing_or_of_another_is_refused_at_the_door(api):
    a_loop(api, status=STATUS)
    code, text = run("approve", "feedfeedfeed", "--context", "test")
    assert (code, "there is no challenger that waits for an approval" in text) == (2, True)
    api.patch_status("ModelLoop", "default", "flights", {"challenger": PENDING})
    code, text = run("approve", "0000feedfeed", "--context", "test")
    assert (code, "the challenger that waits is of the run feedfeedfeed" in text) == (2, True)
    assert annotations_of(api) == {}


def test_what_the_api_server_forbids_is_told_in_its_words(cluster, api):
    a_loop(api, status=STATUS | {"challenger": PENDING})
    cluster.fake.fault = lambda call: (403, "approve in your own name") if call.verb == "patch" else None
    code, text = run("approve", "feedfeedfeed", "--context", "test")
    assert code == 1
    assert "was refused by the Kubernetes API (403): approve in your own name" in text


def answer(api, annotation, field, *statuses):
    """Play an operator that answers the request, one status after another."""

    def operate():
        while not annotations_of(api).get(annotation):
            time.sleep(0.02)
        handled = {"handledRequests": {field: annotations_of(api)[annotation]}}
        for status in statuses:
            api.patch_status("ModelLoop", "default", "flights", handled | status)
            time.sleep(0.15)

    thread = threading.Thread(target=operate, daemon=True)
    thread.start()
    return thread


def line(entry, message):
    return {"at": "2026-11-25T11:00:00Z", "entry": entry, "message": message}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(clusterasking, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(clusterasking, "ANSWER_SECONDS", 5.0)


def wait_for_retrain(api, *statuses):
    operator = answer(api, "driftloop.dev/retrain-requested-at", "retrainRequestedAt", *statuses)
    outcome = run("retrain", "--context", "test", "--wait")
    operator.join()
    return outcome


STARTED, FINISHED = line("RunStarted", "run feed was started"), line("RunFinished", "run feed made v3")


def test_wait_follows_the_run_to_its_promotion(api):
    a_loop(api, status=STATUS)
    promoted = line("Promoted", "v3 was promoted")
    code, text = wait_for_retrain(
        api,
        {"history": [*HISTORY, STARTED], "run": {"runKey": "feed"}},
        {"history": [*HISTORY, STARTED, FINISHED], "run": None, "challenger": PENDING},
        {"history": [*HISTORY, STARTED, FINISHED, promoted], "challenger": None},
    )
    assert code == 0
    assert text.splitlines()[1:] == ["run feed was started", "run feed made v3", "v3 was promoted"]


def test_wait_ends_where_a_person_must_approve(api):
    a_loop(api, status=STATUS, promotion={"approval": "Manual"})
    waiting = ["v3 waits for an approval: driftloop approve feedfeedfeed"]
    code, text = wait_for_retrain(
        api, {"history": [*HISTORY, STARTED, FINISHED], "challenger": PENDING, "waitingFor": waiting}
    )
    assert (code, text.splitlines()[-1]) == (0, waiting[0])


def test_wait_fails_with_the_run(api):
    a_loop(api, status=STATUS)
    failed = line("RunFinished", "run feed failed: no target column")
    code, text = wait_for_retrain(api, {"history": [*HISTORY, STARTED, failed]})
    assert (code, "run feed failed: no target column" in text) == (1, True)


def test_wait_fails_with_a_refusal(api):
    a_loop(api, status=STATUS)
    refused = line("RequestRefused", "Retrain was refused: the loop is suspended")
    code, text = wait_for_retrain(api, {"history": [*HISTORY, refused]})
    assert (code, "the loop is suspended" in text) == (2, True)


def test_wait_without_an_operator_ends_with_what_to_look_at(api, monkeypatch):
    monkeypatch.setattr(clusterasking, "ANSWER_SECONDS", 0.1)
    a_loop(api, status=STATUS)
    code, text = run("rollback", "--context", "test", "--wait")
    assert code == 1
    assert "The request stays; see: driftloop doctor --context CONTEXT" in text


def test_a_mute_an_acknowledgement_and_their_end_are_annotations(api):
    a_loop(api)
    code, _ = run(
        "mute", "--until", "2099-12-01", "--kind", "CovariateDrift", "--reason", "new airport", "--context", "test"
    )
    asked = annotations_of(api)["driftloop.dev/mute"]
    assert (code, asked.startswith("2099-12-01T00:00:00Z/CovariateDrift@20")) == (0, True)
    assert asked.endswith("Z new airport")
    run("unmute", "--context", "test")
    assert annotations_of(api)["driftloop.dev/mute"].startswith("off@20")
    run("acknowledge", "newest", "--reason", "the new terminal", "--context", "test")
    assert annotations_of(api)["driftloop.dev/acknowledge"].startswith("newest@20")
    assert annotations_of(api)["driftloop.dev/acknowledge"].endswith("Z the new terminal")


def test_why_tells_what_bears_on_the_alarms(api):
    words = "The reference can't carry the budget."
    watched = {"type": "Monitored", "status": "True", "reason": "BudgetNotCarried", "message": words}
    mute = {"until": "2099-12-01T00:00:00Z", "kind": "CovariateDrift", "by": "ana", "reason": "new airport"}
    episode = {"runKey": "feed", "kind": "inputs", "since": "2026-11-25T08:00:00Z", "quiet": ""}
    a_loop(api, status=STATUS | {"conditions": [watched], "mutes": [mute], "episode": episode})
    known = "driftloop acknowledge newest --reason TEXT"
    lines = [
        words,
        "CovariateDrift is muted by ana until 2099-12-01 00:00: new airport",
        f"drift episode since 2026-11-25 08:00 (inputs); if you know of it: {known}",
    ]
    for command in ("why", "status"):
        _, text = run(command, "--context", "test", "flights")
        assert [line for line in lines if line not in text] == []
