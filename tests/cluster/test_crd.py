"""A real API server and `driftloop validate` judge a ModelLoop alike, and tell it in the same words."""

import copy
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from driftloop.adapters.kubeapi import RejectedError
from driftloop.spec.documents import Document
from driftloop.spec.driftreport import DriftReportSpec
from driftloop.spec.loading import parse_modelloop
from driftloop.spec.loopstatus import DriftReportStatus, ModelLoopStatus
from driftloop.spec.reference import field_reference
from driftloop.workload.crdrules import RULES
from tests.cluster.apiserver import install_definitions, new_namespace

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml"))
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINIMAL = {
    "problem": {"task": "Classification"},
    "data": {"uri": "energy.csv", "targetColumn": "high"},
}
SEASON = {"name": "Christmas", "start": "2026-12-20T00:00:00Z", "end": "2027-01-06T00:00:00Z"}
GOOD = [
    ("spec.suspend", True),
    ("spec.data.timeColumn", None),
    ("spec.problem.metric", None),
    ("spec.problem.metric.name", ""),
    ("spec.problem.metric.name", "f1"),
    ("spec.problem", {"task": "Regression", "metric": {"name": "r2", "threshold": 1}}),
    ("spec.data.sensitiveColumns", ["sex", "age"]),
    ("spec.training.timeout", "1h30m"),
    ("spec.training.timeout", "1w2d3h4m5s6ms"),
    ("spec.acceptance.maxLatency", "50ms"),
    ("spec.acceptance.maxGeneralizationGap", 0.05),
    ("spec.model.uri", "models:/energy/1"),
    ("spec.serving", {"minReplicas": 2, "maxReplicas": 2}),
    ("spec.serving.maxReplicas", 7),
    ("spec.serving.resources.limits", {"cpu": 2, "memory": "1.5Gi", "nvidia.com/gpu": "1"}),
    ("spec.serving.rollout", {"type": "Canary", "stepWeights": [1, 2, 99]}),
    ("spec.pipeline.tolerations", [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]),
    ("spec.pipeline.env", [{"name": "TOKEN", "secretKeyRef": {"name": "lake.reader", "key": "token.txt"}}]),
    ("spec.pipeline.volumes", [{"claimName": "flights", "mountPath": "/data"}]),
    ("spec.monitoring.expectedChanges", [SEASON, SEASON | {"name": "b", "repeat": "Yearly"}]),
    ("spec.monitoring.expectedChanges", [SEASON | {"start": "2026-12-20T00:00:00.5+01:00", "repeat": "Monthly"}]),
    ("spec.retraining.schedule", "*/5 0 1,15 * 1-5"),
    ("spec.retraining.triggers", []),
    ("spec.monitoring.labels", {"uri": None, "query": None}),
    ("spec.governance", {"approvers": ["ana@example.org"], "intendedUse": "x" * 5000}),
    ("spec.deletionPolicy", "Purge"),
]
BAD = [
    ("metadata.name", "e" * 51),
    ("metadata.name", "en.ergy"),
    ("spec.suspend", "true"),
    ("spec.training.epochs", 3),
    ("spec.problem.task", "Guessing"),
    ("spec.problem.task", None),
    ("spec.problem.metric.threshold", "0.7"),
    ("spec.problem.metric.name", "r2"),
    ("spec.problem", {"task": "Regression", "metric": {"name": "f1"}}),
    ("spec.problem.successCriteria", [{"name": "", "goal": 1}]),
    ("spec.problem.successCriteria", [{"name": "x"}]),
    ("spec.data.uri", ""),
    ("spec.data.targetColumn", "x" * 257),
    ("spec.data.keyColumn", "high"),
    ("spec.data.timeColumn", "high"),
    ("spec.data.uri", "sqlite:///sales.db"),
    ("spec.data.uri", "postgresql://me:secret@host/sales"),
    ("spec.data.uri", "simulation:"),
    ("spec.data.query", "orders"),
    ("spec.data.simulation", {"rows": 100, "columns": [{"name": "x", "kind": "Normal"}]}),
    ("spec.data.joins", [{"uri": "prices.csv"}]),
    ("spec.data.joins", [{"uri": "prices.csv", "by": ["day"], "within": "1h"}]),
    ("spec.data.joins", [{"uri": "prices.csv", "by": ["day"], "timeColumn": "known"}]),
    ("spec.data.history", [{"column": "price", "lags": [1]}]),
    ("spec.data.sample", {"rows": 5}),
    ("spec.data.minRows", 5),
    ("spec.data.minRows", 99.5),
    ("spec.data.sensitiveColumns", "sex"),
    ("spec.data.sensitiveColumns", ["high"]),
    ("spec.data.sensitiveColumns", ["a", "a"]),
    ("spec.data.sensitiveColumns", [f"c{number}" for number in range(51)]),
    ("spec.data.secretRef", {}),
    ("spec.data.secretRef.name", "Lake"),
    ("spec.acceptance.fairness", {"max": 0.1}),
    ("spec.acceptance.fairness.max", 2),
    ("spec.acceptance.maxGeneralizationGap", 0),
    ("spec.training", [1]),
    ("spec.training.algorithms", []),
    ("spec.training.algorithms", ["Auto", "Guess"]),
    ("spec.training.maxTrialCount", 0),
    ("spec.training.timeout", 600),
    ("spec.training.timeout", "0s"),
    ("spec.training.timeout", ""),
    ("spec.training.timeout", "h"),
    ("spec.training.timeout", "1m1h"),
    ("spec.pipeline.runner", "Airflow"),
    ("spec.pipeline.tolerations", [{}]),
    ("spec.pipeline.tolerations", [{"key": "a", "operator": "Exists", "value": "b"}]),
    ("spec.pipeline.env", [{"name": "1A", "secretKeyRef": {"name": "a", "key": "b"}}]),
    ("spec.pipeline.env", [{"name": "A", "secretKeyRef": {"name": "a", "key": "b/c"}}]),
    ("spec.pipeline.volumes", [{"claimName": "flights", "mountPath": "data"}]),
    ("spec.pipeline.volumes", [{"claimName": "-a", "mountPath": "/data"}]),
    ("spec.serving.minReplicas", 3),
    ("spec.serving.targetUtilization", 101),
    ("spec.serving.resources.limits.cpu", "x"),
    ("spec.serving.rollout.stepWeights", [50, 10]),
    ("spec.serving.rollout.stepWeights", [10, 10]),
    ("spec.serving.rollout.stepWeights", []),
    ("spec.monitoring.minEffectSize", 1),
    ("spec.monitoring.labels.uri", "truth.csv"),
    ("spec.monitoring.labels.query", "arrivals"),
    ("spec.monitoring.labels", {"uri": "truth.csv", "query": "arrivals"}),
    ("spec.monitoring.expectedChanges", [SEASON | {"end": SEASON["start"]}]),
    ("spec.monitoring.expectedChanges", [SEASON | {"start": "2026-12-20T00:00:00"}]),
    ("spec.monitoring.expectedChanges", [SEASON | {"start": "2026-12-20"}]),
    ("spec.monitoring.expectedChanges", [SEASON | {"repeat": "Weekly"}]),
    ("spec.monitoring.expectedChanges", [SEASON | {"repeat": "Daily"}]),
    ("spec.monitoring.expectedChanges", [SEASON, SEASON]),
    ("spec.retraining.schedule", "daily"),
    ("spec.retraining.limit.per", "-1d"),
    ("spec.promotion.approval", "automatic"),
    ("spec.deletionPolicy", "Keep"),
    ("spec.preparation.noise", "Smooth"),
]
# Several fields make these wrong.
BAD_TOGETHER = [
    {"spec.problem": {"task": "Clustering", "metric": {"name": "adjusted_rand"}}, "spec.data.targetColumn": ""},
    {"spec.problem": {"task": "AnomalyDetection", "metric": {"name": "f1"}}, "spec.data.targetColumn": ""},
    {"spec.maturity": "ProofOfConcept", "spec.model.uri": "models:/energy/1"},
    {"spec.problem.task": "Regression", "spec.preparation.sampling": "ClassWeights"},
    {"spec.problem.task": "Regression", "spec.acceptance.fairness": {}},
    {"spec.problem.task": "Regression", "spec.preparation.noise": "LabelFilter"},
    {"spec.problem.task": "Clustering", "spec.preparation.encoding": "Target"},
    {"spec.problem.task": "Clustering", "spec.preparation.selection": "ANOVA"},
    {"spec.preparation.missing": "Mean", "spec.preparation.missingConstant": 1.5},
    {"spec.preparation.outliers": "None", "spec.preparation.outlierAction": "Drop"},
    {"spec.preparation.outliers": "IsolationForest", "spec.preparation.outlierAction": "Clip"},
    {"spec.preparation.extraction": "None", "spec.preparation.components": 5},
    {"spec.preparation.selection": "VarianceThreshold", "spec.preparation.selectedColumns": 5},
    {"spec.data.keyColumn": "id", "spec.data.timeColumn": "id"},
    {"spec.data.keyColumn": "id", "spec.data.sensitiveColumns": ["id"]},
    {"spec.data.timeColumn": "at", "spec.data.sensitiveColumns": ["at"]},
    {"spec.data.keyColumn": "id", "spec.monitoring.labels.uri": "postgresql+psycopg://h/db"},
    {"spec.data.keyColumn": "id", "spec.monitoring.labels.uri": "sqlite"},
]
# Lists of groups, and a good item of each.
ITEMS = {
    "spec.problem.successCriteria": {"name": "missed", "goal": 1},
    "spec.monitoring.expectedChanges": SEASON,
    "spec.pipeline.tolerations": {"key": "spot"},
    "spec.pipeline.env": {"name": "TOKEN", "secretKeyRef": {"name": "lake", "key": "token"}},
    "spec.pipeline.volumes": {"claimName": "flights", "mountPath": "/data"},
    "spec.serving.tolerations": {"key": "spot"},
}
RULES_IN_WORDS = {rule.constraint for rules in RULES.values() for rule in rules}
# What one of them can't know, or reads in another way: the change, whether driftloop takes it, and the API server.
DIFFERENT = [
    ({"spec.training.timeout": "99999999999999999999w"}, False, True),  # CEL doesn't reckon with calendars this long
    ({"spec.training.timeout": f"{'0' * 70}1h"}, True, False),  # longer texts cost the API server too much
    ({"spec.serving.resources.limits.cpu": 0.5}, True, False),  # IntOrString knows no fractions; "0.5" is fine
    ({"spec.training.randomState": 2**64}, True, False),  # whole numbers have 64 bits
    ({"spec.training.randomState": 5.0}, False, True),  # JSON knows one kind of number
    ({"spec.pipeline.nodeSelector": {"pool": None}}, False, True),  # dropped, as every null is
]


def put(document, path, value):
    first, _, rest = path.partition(".")
    inner = document.get(first)
    return {**document, first: put(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def a_loop(changes):
    loop = {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "ModelLoop",
        "metadata": {"name": "energy"},
        "spec": copy.deepcopy(MINIMAL),
    }
    for path, value in changes.items():
        loop = put(loop, path, value)
    return loop


def validate(loop):
    """Return what `driftloop validate` says, nothing for a good one."""
    outcome = parse_modelloop(Document(loop, {}, ()), "f")
    return outcome if isinstance(outcome, list) else []


@pytest.fixture(scope="module")
def server(real_api_server):
    install_definitions(real_api_server)
    return real_api_server


@pytest.fixture(scope="module")
def api(server):
    return server.connect()


@pytest.fixture(scope="module")
def place(server):
    with new_namespace(server) as name:
        yield name


@pytest.fixture
def judge(api, place):
    """Return a function that tells what the API server says to `kubectl apply`, nothing for a good object."""

    def judge(loop):
        path = f"/apis/driftloop.dev/v1alpha1/namespaces/{place}/modelloops"
        try:
            api._object("POST", path, "the loop", {"fieldValidation": "Strict", "dryRun": "All"}, body=loop)
        except RejectedError as error:
            return error.message
        return ""

    return judge


@pytest.mark.parametrize(("path", "value"), GOOD, ids=str)
def test_what_driftloop_takes_the_api_server_takes(judge, path, value):
    loop = a_loop({"spec.data.keyColumn": "id", path: value})
    assert validate(loop) == []
    assert judge(loop) == ""


@pytest.mark.parametrize("changes", [*({path: value} for path, value in BAD), *BAD_TOGETHER], ids=str)
def test_what_driftloop_refuses_the_api_server_refuses_and_names_the_field_and_the_remedy(judge, changes):
    loop = a_loop(changes)
    problems = validate(loop)
    told = judge(loop)
    assert problems
    assert told
    for problem in problems:
        assert problem.path in told
        if problem.constraint in RULES_IN_WORDS:
            assert problem.constraint in told
            assert problem.remedy.rstrip(".") in told


def test_they_agree_on_every_field_and_every_shape_of_value(judge):
    shapes = (None, "", "x", "1h", 0, 30, 0.5, True, [], {}, ["x"], [{}], {"a": "b"})
    different, tried = [], 0
    for path in (path for path in field_reference() if path.startswith("spec.")):
        holder = next((name for name in ITEMS if path.startswith(f"{name}.")), "")
        for shape in shapes:
            item = put(ITEMS[holder], path.removeprefix(f"{holder}."), shape) if holder else None
            loop = a_loop({holder: [item]} if holder else {path: shape})
            tried += 1
            if (validate(loop) == []) != (judge(loop) == ""):
                different.append((path, shape))
    assert tried > 1000
    assert different == []


@pytest.mark.parametrize(("changes", "driftloop_takes_it", "api_server_takes_it"), DIFFERENT, ids=str)
def test_where_they_differ_is_known(judge, changes, driftloop_takes_it, api_server_takes_it):
    loop = a_loop(changes)
    assert (validate(loop) == []) is driftloop_takes_it
    assert (judge(loop) == "") is api_server_takes_it


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_is_taken(judge, place, file):
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if document["kind"] == "ModelLoop":
            document["metadata"]["namespace"] = place
            assert judge(document) == ""


def test_what_is_left_out_is_filled_in_and_read_as_the_same_loop(api, place):
    written = a_loop({"metadata.namespace": place, "metadata.name": "defaults"})
    stored = api.create(written)
    assert stored["spec"]["serving"]["rollout"]["stepWeights"] == [10, 50]
    read = parse_modelloop(Document({**written, "spec": stored["spec"]}, {}, ()), "f")
    assert read == parse_modelloop(Document(written, {}, ()), "f")


def condition(kind, *, status="True"):
    return {
        "type": kind,
        "status": status,
        "reason": "AsExpected",
        "message": "the champion serves and is watched",
        "lastTransitionTime": "2026-11-25T12:00:00Z",
        "observedGeneration": 1,
    }


def a_verdict():
    return {
        "kind": "inputs",
        "modelVersion": "0123456789ab",
        "window": {"start": "2026-11-25T10:00:00Z", "end": "2026-11-25T11:00:00Z", "rows": 300, "labelledRows": 0},
        "verdict": "CovariateDrift",
        "summary": "delay moved",
        "checks": [
            {"check": "missing", "feature": "delay", "passed": True, "observed": 0, "limit": 0.1, "message": "Fine."}
        ],
        "features": [
            {
                "feature": "delay", "test": "KolmogorovSmirnov", "statistic": 0.4, "pValue": 1e-9, "threshold": 0.001,
                "effectSize": 0.4, "drifted": True,
            }
        ],
        "performance": {"metric": "roc_auc", "value": None, "standardError": 0.01, "reference": 0.7, "dropped": False},
        "engine": "SciPy",
        "silentWriters": ["a"],
    }  # fmt: skip


def a_status():
    model = {
        "label": "v2", "version": "0123456789ab", "digest": "0123456789ab" * 5, "bento": "wine:0123456789ab",
        "bentoUri": "s3://b/x", "algorithm": "Linear", "metric": "roc_auc", "score": 0.73129, "run": "ab",
        "promotedAt": NOW.isoformat(),
    }  # fmt: skip
    decision = {"action": "Promote", "reason": "better", "runKey": "ab", "at": NOW.isoformat()}
    verdict = {key: a_verdict()[key] for key in ("kind", "modelVersion", "window", "verdict", "summary")}
    run = {
        "runKey": "cd", "reason": "drift", "pipeline": "training", "stage": "train", "startedAt": NOW.isoformat(),
        "report": "inputs-1", "id": "r-1", "url": "http://kfp/r-1",
    }  # fmt: skip
    return ModelLoopStatus.model_validate(
        {
            "observedGeneration": 1,
            "conditions": [condition("Ready"), condition("Stalled", status="False")],
            "uid": "u",
            "champion": model,
            "challenger": model | {"label": "v3"},
            "run": run,
            "lastVerdict": verdict
            | {
                "performance": a_verdict()["performance"], "report": "inputs-1", "harm": "Harmless",
                "expected": "Christmas", "budget": {"asked": 1, "carried": 2.5, "reasons": ["short"], "spent": 0.1},
            },
            "lastDecision": decision,
            "waitingFor": ["nothing calls for a retraining"],
            "episode": {"runKey": "cd", "kind": "performance", "since": NOW.isoformat(), "quiet": "known to ana"},
            "mutes": [{"until": NOW.isoformat(), "kind": "PriorShift", "by": "ana", "reason": "new airport"}],
            "handledRequests": {
                "retrainRequestedAt": "1", "approve": "2", "rollback": "3", "mute": "4", "acknowledge": "5",
            },
            "evaluatedThrough": NOW.isoformat(),
            "labelledRows": 5,
            "promotions": 1,
            "retrainedAt": NOW.isoformat(),
            "log": {"rows": 1, "labels": 2, "dropped": 3, "late": 4},
            "labels": {
                "windowStart": NOW.isoformat(), "windowEnd": NOW.isoformat(), "predictions": 4, "labelled": 1,
                "waiting": 1, "overdue": 2,
            },
            "addresses": {"predictions": "http://wine.team", "labels": "http://wine-labels.team"},
            "successCriteria": [
                {"name": "x", "value": 1.5, "measuredAt": NOW.isoformat(), "by": "ana", "reached": True}
            ],
            "feasibility": {"verdict": "Feasible", "reasons": ["enough rows"], "report": "r.html"},
            "lastFailure": "the run failed",
            "history": [
                {"at": NOW.isoformat(), "entry": "Promoted", "message": "v2 promoted", "by": "ana", "runKey": "ab"}
            ],
        }
    )  # fmt: skip


def test_the_api_server_keeps_all_of_a_status_and_none_of_it_reaches_the_spec(api, place):
    status = a_status().to_dict()
    assert set(status) == {field.alias for field in ModelLoopStatus.model_fields.values()}, "a field is not tested"
    api.create(a_loop({"metadata.namespace": place, "metadata.name": "told"}))
    stored = api.patch_status("ModelLoop", place, "told", status)
    assert stored["status"] == status
    assert stored["metadata"]["generation"] == 1


def test_an_eleventh_line_of_history_is_refused(api, place):
    api.create(a_loop({"metadata.namespace": place, "metadata.name": "long"}))
    line = a_status().to_dict()["history"]
    with pytest.raises(RejectedError, match=r"status\.history"):
        api.patch_status("ModelLoop", place, "long", {"history": line * 11})


def a_report(place, name):
    spec = DriftReportSpec.model_validate(
        {"loopName": "energy", "loopUid": "u", "createdAt": NOW.isoformat(), "verdict": a_verdict()}
    )
    return {
        "apiVersion": "driftloop.dev/v1alpha1",
        "kind": "DriftReport",
        "metadata": {"namespace": place, "name": name},
        "spec": spec.to_dict(),
    }


def test_a_drift_report_keeps_its_whole_verdict_and_gets_a_decision(api, place):
    report = a_report(place, "inputs-1")
    api.create(report)
    decision = {"action": "StartRun", "reason": "drift", "runKey": "cd", "at": NOW.isoformat()}
    status = DriftReportStatus.model_validate({"decision": decision}).to_dict()
    stored = api.patch_status("DriftReport", place, "inputs-1", status)
    assert stored["spec"] == report["spec"]
    assert stored["status"] == status


def test_what_a_drift_report_says_never_changes(api, place):
    api.create(a_report(place, "inputs-2"))
    with pytest.raises(RejectedError, match=r"says what was seen, and never changes\. Delete it instead"):
        api.patch("DriftReport", place, "inputs-2", {"spec": {"verdict": {"summary": "nothing moved"}}})
    api.patch("DriftReport", place, "inputs-2", {"metadata": {"labels": {"driftloop.dev/loop": "energy"}}})


@pytest.fixture
def kubectl(server):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not on PATH. See https://kubernetes.io/docs/tasks/tools/")

    def kubectl(*arguments):
        command = ["kubectl", f"--kubeconfig={server.kubeconfig}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return kubectl


def test_kubectl_waits_for_ready_and_shows_what_matters(api, place, kubectl):
    api.create(a_loop({"metadata.namespace": place, "metadata.name": "shown"}))
    wait = ("-n", place, "wait", "--for=condition=Ready", "modelloop/shown")
    assert "timed out" in kubectl(*wait, "--timeout=1s").stderr
    api.patch_status("ModelLoop", place, "shown", a_status().to_dict())
    assert kubectl(*wait, "--timeout=10s").returncode == 0
    head, row = kubectl("-n", place, "get", "loop", "shown").stdout.splitlines()
    assert head.split() == ["NAME", "READY", "CHAMPION", "SCORE", "DRIFT", "RETRAINED", "AGE"]
    assert row.split()[:5] == ["shown", "True", "v2", "0.7313", "CovariateDrift"]
    api.create(a_report(place, "inputs-3"))
    head, row = kubectl("-n", place, "get", "dr", "inputs-3").stdout.splitlines()
    assert head.split() == ["NAME", "LOOP", "MODEL", "KIND", "VERDICT", "DECISION", "AGE"]
    assert row.split()[:5] == ["inputs-3", "energy", "0123456789ab", "inputs", "CovariateDrift"]


def test_kubectl_explains_every_field(kubectl):
    told = kubectl("explain", "modelloop.spec.monitoring.window.minRows").stdout
    assert "Fewest predictions for a verdict" in told
