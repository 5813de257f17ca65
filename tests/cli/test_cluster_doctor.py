"""`driftloop doctor --context` and `driftloop uninstall`, on the fake API server; the CRD check on a real one too."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from driftloop import __version__
from driftloop.cli import uninstall
from driftloop.cli.app import build_app
from driftloop.workload.approvalpolicy import approval_policy, approval_policy_binding
from tests.cluster.apiserver import api_server, fake_api_server, install_definitions, real_api_server
from tests.cluster.apiserver import shared_fake_api_server as shared_fake_api_server  # noqa: PLC0414 - a fixture

__all__ = ["api_server", "fake_api_server", "real_api_server"]

LOOP = """\
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: flights, namespace: team}
spec:
  problem: {task: Classification}
  data: {uri: s3://lake/a.csv, targetColumn: late, secretRef: {name: lake-reader}}
"""
KUBEFLOW = "http://ml-pipeline.kubeflow:8888"


@pytest.fixture
def cluster(fake_api_server, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(fake_api_server.kubeconfig))
    monkeypatch.chdir(tmp_path)
    return fake_api_server


@pytest.fixture
def api(cluster):
    return cluster.connect()


def put(api, kind, namespace, name, *, api_version="v1", status=None, labels=None, annotations=None, **more):
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    metadata |= {"namespace": namespace} if namespace else {}
    api.create({"apiVersion": api_version, "kind": kind, "metadata": metadata} | more)
    if status:
        api.patch_status(kind, namespace, name, status)


def put_operator(api, namespace="driftloop", *, version=__version__, replicas=1, **settings):
    settings = {"KUBEFLOW_URL": KUBEFLOW, "PLATFORM__STORE__SECRET_NAME": "store", "WATCH_NAMESPACES": "[]"} | settings
    env = [{"name": f"DRIFTLOOP_OPERATOR_{name}", "value": value} for name, value in settings.items()]
    labels = {"app.kubernetes.io/name": "driftloop", "app.kubernetes.io/component": "operator"}
    put(
        api,
        "Deployment",
        namespace,
        "driftloop",
        api_version="apps/v1",
        labels=labels | {"app.kubernetes.io/version": version},
        annotations={"meta.helm.sh/release-name": "dl"},
        spec={"template": {"spec": {"containers": [{"name": "operator", "env": env}]}}},
        status={"availableReplicas": replicas},
    )


def put_lease(api, namespace="driftloop", age=timedelta()):
    renewed = f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": "driftloop-abc", "leaseDurationSeconds": 15, "renewTime": renewed}
    put(api, "Lease", namespace, "driftloop-operator", api_version="coordination.k8s.io/v1", spec=spec)


def put_namespaces(api):
    put(api, "Namespace", None, "driftloop")
    put(api, "Namespace", None, "kubeflow")
    put(api, "Namespace", None, "team", labels={"pod-security.kubernetes.io/enforce": "restricted"})


@pytest.fixture
def healthy(cluster, api):
    """A cluster in which nothing is missing."""
    put_namespaces(api)
    install_definitions(cluster)
    put_operator(api)
    put_lease(api)
    api.create(approval_policy())
    api.create(approval_policy_binding())
    put(api, "Service", "kubeflow", "ml-pipeline", spec={})
    put(
        api,
        "EndpointSlice",
        "kubeflow",
        "ml-pipeline-1",
        api_version="discovery.k8s.io/v1",
        labels={"kubernetes.io/service-name": "ml-pipeline"},
        endpoints=[{"conditions": {"ready": True}}],
    )
    put(api, "Secret", "team", "store", data={"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="})
    put(api, "Secret", "team", "lake-reader", data={})
    return api


def doctor(*arguments):
    outcome = CliRunner().invoke(build_app(), ["doctor", "--context", "test", "--json", *arguments])
    told = json.loads(outcome.stdout)
    return outcome.exit_code, {one["subject"]: one for one in told["findings"]}


def ill(found):
    return {subject: one["state"] for subject, one in found.items() if one["state"] != "ok"}


def test_a_healthy_cluster_has_nothing_to_complain_of(healthy, tmp_path):
    (tmp_path / "loop.yaml").write_text(LOOP)
    code, found = doctor("loop.yaml")
    assert (code, ill(found)) == (0, {})
    assert set(found) == {
        *("loop flights", "API server", "CRD modelloops.driftloop.dev", "CRD driftreports.driftloop.dev", "operator"),
        *("operator lease", "approvals", "your rights", "Kubeflow", "store secret", "namespace", "data secret"),
    }
    assert found["API server"]["message"].startswith("Kubernetes 1.36 at http://127.0.0.1:")
    assert found["your rights"]["message"] == "admin may drive the loops of 'team', and may approve models"
    assert found["operator"]["message"] == f"driftloop/driftloop is ready, version {__version__}"


def test_the_terminal_shows_the_same_in_lines(healthy):
    outcome = CliRunner().invoke(build_app(), ["doctor", "-n", "team"])
    assert outcome.exit_code == 0
    assert "held by driftloop-abc" in outcome.stdout
    assert "alibi-detect" not in outcome.stdout  # this machine is not looked at


def test_an_empty_cluster_lacks_everything_with_the_remedy(cluster):
    code, found = doctor("-n", "nowhere")
    assert code == 1
    assert ill(found) == {
        "CRD modelloops.driftloop.dev": "fault",
        "CRD driftreports.driftloop.dev": "fault",
        "operator": "fault",
        "approvals": "note",
        "namespace": "fault",
    }
    assert found["operator"]["remedy"].startswith("Install it with the chart: helm install")
    assert "driftloop crd | kubectl apply" in found["CRD modelloops.driftloop.dev"]["remedy"]


def test_an_api_server_that_does_not_answer_ends_the_examination(cluster, monkeypatch):
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    cluster.kubeconfig.write_text(json.dumps(config))
    code, found = doctor()
    assert (code, list(found)) == (1, ["API server"])
    assert "must answer" in found["API server"]["message"]


def test_an_old_cluster_has_no_native_sidecars(healthy, monkeypatch):
    monkeypatch.setattr("tests.cluster.fakeapi.VERSION", {"major": "1", "minor": "28+"})
    code, found = doctor("-n", "team")
    assert (code, ill(found)) == (1, {"API server": "fault", "approvals": "note"})
    assert "native sidecar" in found["API server"]["remedy"]


def test_definitions_of_another_version_are_told(healthy):
    definition = healthy.get("CustomResourceDefinition", None, "modelloops.driftloop.dev")
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].pop("spec")
    healthy.replace(definition)
    code, found = doctor("-n", "team")
    assert (code, ill(found)) == (0, {"CRD modelloops.driftloop.dev": "note"})


@pytest.mark.parametrize(
    ("version", "replicas", "state", "message"),
    [
        (__version__, 0, "fault", "driftloop/driftloop has no pod that is ready"),
        ("0.0.1", 1, "note", f"is ready, and of version 0.0.1; this command is of {__version__}"),
    ],
)
def test_an_operator_that_is_unwell_is_told(healthy, version, replicas, state, message):
    healthy.delete("Deployment", "driftloop", "driftloop")
    put_operator(healthy, version=version, replicas=replicas)
    _, found = doctor("-n", "team")
    assert ill(found) == {"operator": state}
    assert message in found["operator"]["message"]


def test_a_lease_that_nobody_renews_is_a_fault(healthy):
    healthy.delete("Lease", "driftloop", "driftloop-operator")
    put_lease(healthy, age=timedelta(minutes=10))
    code, found = doctor("-n", "team")
    assert (code, ill(found)) == (1, {"operator lease": "fault"})
    assert "driftloop-abc renewed it 60" in found["operator lease"]["message"]
    healthy.delete("Lease", "driftloop", "driftloop-operator")
    assert "nobody holds it" in doctor("-n", "team")[1]["operator lease"]["message"]


def test_two_operators_are_told(healthy):
    put_operator(healthy, "kube-system")
    outcome = CliRunner().invoke(build_app(), ["doctor", "-n", "team"])
    assert "there are 2: driftloop/driftloop, kube-system/driftloop" in " ".join(outcome.stdout.split())


def test_missing_rights_are_told_with_who_grants_them(cluster, healthy):
    cluster.fake.denied |= {("create", "modelloops"), ("approve", "modelloops")}
    _, found = doctor("-n", "team")
    assert ill(found) == {"your rights": "note"}
    assert found["your rights"]["message"] == "admin may not create modelloops in 'team'"
    assert "--clusterrole driftloop-loop-editor --user 'admin'" in found["your rights"]["remedy"]
    cluster.fake.denied.remove(("create", "modelloops"))
    assert doctor("-n", "team")[1]["your rights"]["message"].endswith("and may not approve models")


def test_what_may_not_be_seen_is_a_note(cluster, healthy):
    hidden = {"deployments", "customresourcedefinitions", "namespaces"}
    cluster.fake.fault = lambda call: (403, f"{call.resource} is forbidden") if call.resource in hidden else None
    code, found = doctor("-n", "team")
    assert (code, ill(found)) == (0, {"operator": "note", "custom resources": "note", "namespace": "note"})
    assert found["operator"]["message"] == "not looked at: deployments is forbidden"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "the operator knows of none: loops need the runner Job"),
        ("http://ml-pipeline.elsewhere:8888", "there is no Service 'ml-pipeline' in the namespace 'elsewhere'"),
        ("http://idle.kubeflow.svc.cluster.local:8888", "no pod behind http://idle.kubeflow"),
    ],
)
def test_a_kubeflow_that_is_not_there_is_a_fault_only_for_a_loop_that_runs_on_it(healthy, tmp_path, url, message):
    put(healthy, "Service", "kubeflow", "idle", spec={})
    healthy.delete("Deployment", "driftloop", "driftloop")
    put_operator(healthy, KUBEFLOW_URL=url)
    (tmp_path / "kubeflow.yaml").write_text(LOOP)
    (tmp_path / "job.yaml").write_text(LOOP + "  pipeline: {runner: Job}\n")
    code, found = doctor("kubeflow.yaml")
    assert (code, ill(found)) == (1, {"Kubeflow": "fault"})
    assert message in found["Kubeflow"]["message"]
    assert doctor("job.yaml")[0] == 0


def test_a_kubeflow_outside_the_cluster_is_not_looked_at(healthy):
    healthy.delete("Deployment", "driftloop", "driftloop")
    put_operator(healthy, KUBEFLOW_URL="https://kubeflow.example.com")
    assert "outside the cluster" in doctor("-n", "team")[1]["Kubeflow"]["message"]


def test_missing_secrets_are_faults_that_say_which_keys(healthy, tmp_path):
    (tmp_path / "loop.yaml").write_text(LOOP)
    healthy.delete("Secret", "team", "lake-reader")
    healthy.patch("Secret", "team", "store", {"data": {"AWS_SECRET_ACCESS_KEY": None}})
    code, found = doctor("loop.yaml")
    assert (code, ill(found)) == (1, {"store secret": "fault", "data secret": "fault"})
    assert found["store secret"]["message"] == "the Secret 'team/store' lacks AWS_SECRET_ACCESS_KEY"
    healthy.delete("Secret", "team", "store")
    assert doctor("loop.yaml")[1]["store secret"]["message"] == "the Secret 'team/store' is not there"


def test_a_namespace_without_a_standard_or_that_nobody_watches_is_told(healthy):
    healthy.delete("Deployment", "driftloop", "driftloop")
    put_operator(healthy, WATCH_NAMESPACES='["other"]', PLATFORM__STORE__SECRET_NAME="")
    outcome = CliRunner().invoke(build_app(), ["doctor", "-n", "default"], env={"COLUMNS": "250"})
    text = " ".join(outcome.stdout.split())
    assert outcome.exit_code == 1
    assert "the operator watches other only, not 'default'" in text
    assert "kubectl label namespace default pod-security.kubernetes.io/enforce=restricted" in text


def test_loops_that_are_stuck_are_told(healthy, tmp_path):
    (tmp_path / "loop.yaml").write_text(LOOP)
    spec = {"problem": {}}
    put(healthy, "ModelLoop", "team", "flights", api_version="driftloop.dev/v1alpha1", spec=spec)
    put(healthy, "ModelLoop", "team", "trains", api_version="driftloop.dev/v1alpha1", spec=spec)
    stalled = {"type": "Stalled", "status": "True", "reason": "BadSpec", "message": "no target column"}
    conditions = [{"type": "Ready", "status": "False", "reason": "Stalled"}, stalled]
    for name in ("flights", "trains"):
        healthy.patch_status("ModelLoop", "team", name, {"conditions": conditions})
    outcome = CliRunner().invoke(build_app(), ["doctor", "--context", "test", "--json", "loop.yaml"])
    found = [one for one in json.loads(outcome.stdout)["findings"] if "stalled:" in one["message"]]
    assert [(one["subject"], one["state"]) for one in found] == [("loop flights", "fault"), ("loop trains", "note")]
    assert outcome.exit_code == 1


def test_a_loop_file_that_is_wrong_is_a_fault(healthy, tmp_path):
    (tmp_path / "loop.yaml").write_text(LOOP.replace("late", "''"))
    code, found = doctor("loop.yaml", "-n", "team")
    assert (code, ill(found)) == (1, {"loop": "fault"})


def test_a_server_keeps_the_definitions_as_they_were_made(api_server, monkeypatch):
    install_definitions(api_server)
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    outcome = CliRunner().invoke(build_app(), ["doctor", "-n", "default", "--json"])
    found = {one["subject"]: one for one in json.loads(outcome.stdout)["findings"]}
    for name in ("modelloops", "driftreports"):
        assert found[f"CRD {name}.driftloop.dev"]["state"] == "ok"


# Uninstall


@pytest.fixture
def loops(healthy):
    for namespace, name in (("team", "flights"), ("default", "trains")):
        put(healthy, "ModelLoop", namespace, name, api_version="driftloop.dev/v1alpha1", spec={})
        healthy.patch("ModelLoop", namespace, name, {"metadata": {"finalizers": ["driftloop.dev/loop"]}})
    return healthy


def operate(api, seconds=2.0):
    """Play an operator that cleans up after deleted loops."""

    def work():
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and api.list("ModelLoop"):
            for loop in api.list("ModelLoop"):
                if "deletionTimestamp" in loop["metadata"]:
                    metadata = loop["metadata"]
                    patch = {"metadata": {"finalizers": None}}
                    api.patch("ModelLoop", metadata["namespace"], metadata["name"], patch)
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(uninstall, "POLL_SECONDS", 0.02)


def remove(*arguments, answer=None):
    outcome = CliRunner().invoke(build_app(), ["uninstall", "--context", "test", *arguments], input=answer)
    return outcome.exit_code, outcome.stdout + outcome.stderr


def test_loops_go_first_and_the_next_steps_are_told(loops):
    operator = operate(loops)
    code, text = remove(answer="y\n")
    operator.join()
    assert code == 0
    assert loops.list("ModelLoop") == []
    assert "Deleted 2 loops: default/trains, team/flights." in text
    assert text.splitlines()[-3:] == [
        "Now, in this order:",
        "  helm uninstall dl --namespace driftloop",
        "  kubectl delete crd modelloops.driftloop.dev driftreports.driftloop.dev --ignore-not-found",
    ]


def test_who_says_no_loses_nothing(loops):
    code, _ = remove(answer="n\n")
    assert code == 1
    assert not any("deletionTimestamp" in loop["metadata"] for loop in loops.list("ModelLoop"))


def test_one_namespace_goes_alone(loops):
    operator = operate(loops)
    code, text = remove("-n", "team", "--yes", "--json")
    operator.join()
    assert (code, json.loads(text)) == (0, {"deleted": ["team/flights"], "next": []})
    assert [loop["metadata"]["name"] for loop in loops.list("ModelLoop")] == ["trains"]


def test_without_an_operator_nothing_is_deleted(loops):
    loops.patch_status("Deployment", "driftloop", "driftloop", {"availableReplicas": 0})
    code, text = remove("--yes")
    assert code == 1
    assert "An operator must run to clean up after 2 loops" in text
    assert not any("deletionTimestamp" in loop["metadata"] for loop in loops.list("ModelLoop"))


def test_loops_may_be_abandoned_where_no_operator_is_left(loops):
    loops.delete("Deployment", "driftloop", "driftloop")
    code, _ = remove("--yes", "--abandon")
    assert (code, loops.list("ModelLoop")) == (0, [])


def test_a_loop_that_does_not_go_is_told(loops):
    code, text = remove("-n", "team", "--yes", "--timeout", "1")
    assert code == 1
    assert "The loops team/flights must go within 1 s. They are still in deletion" in text


def test_a_cluster_without_loops_is_told_the_rest_alone(healthy):
    code, text = remove()
    assert code == 0
    assert text.splitlines()[0] == "There are no loops."
    assert "  helm uninstall dl --namespace driftloop" in text
