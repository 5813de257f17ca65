"""How a run gets to Kubeflow Pipelines: by reference, under names for people, and once."""

import threading
from pathlib import Path

import pytest
import yaml

from driftloop.adapters.kfp_local import compiled_package
from driftloop.adapters.kubeflowapi import KubeflowRefusedError, NotKubeflowError
from driftloop.adapters.pipelinepackage import read_package
from driftloop.adapters.runclaim import SETTLE, LoopGoneError
from driftloop.errors import DriftloopError
from driftloop.loop.runner import RunnerUnavailableError, RunPhase
from tests.kubeflow.conftest import NAMESPACE, make_loop, make_order
from tests.kubeflow.kfpserver import Fault

CREATE = ("POST", "/apis/v2beta1/runs")
KEY = "0123456789ab"


def start_until_done(runner, order, clock, *, limit=200):
    """What an operator does: ask again every ten seconds until it worked."""
    for _ in range(limit):
        try:
            if runner.look(order):
                return
            runner.start(order)
        except RunnerUnavailableError:
            clock.pass_by(seconds=10)
    raise AssertionError("never started")


def test_a_run_is_submitted_by_reference_under_names_for_people(cluster):
    cluster.runner().start(make_order())
    (run,) = cluster.kfp.runs
    assert run["display_name"] == f"wine v3 · ConceptDrift · {KEY}"
    assert "accuracy fell from 0.95 to 0.71. Drift report: team-a/wine-7f3a." in run["description"]
    (experiment,) = cluster.kfp.things["experiments"].values()
    assert (experiment["display_name"], run["experiment_id"]) == ("team-a/wine", experiment["experiment_id"])
    (pipeline,) = cluster.kfp.things["pipelines"].values()
    (version,) = cluster.kfp.things["versions"].values()
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    assert pipeline["name"] == "driftloop-training"
    assert version["name"] == read_package("training").version
    assert "pipeline_spec" not in run
    parameters = run["runtime_config"]["parameters"]
    assert parameters["image"] == "driftloop-pipeline:1"
    assert parameters["runtime_image"] == "driftloop-serving:1"
    assert parameters["store_secret"] == "store-keys"  # noqa: S105
    store = cluster.objects.get("ConfigMap", "kubeflow", parameters["store_config"])
    assert store["data"]["AWS_ENDPOINT_URL"] == "http://s3.storage:8333"
    assert "service_account" not in run


def test_the_package_of_a_version_is_the_compiled_one_byte_for_byte():
    package = read_package("training", make_loop().spec.pipeline)
    assert package.content == compiled_package("training").read_text()
    assert package.version.startswith("driftloop-training-")


def test_runs_of_a_loop_share_pipeline_version_and_experiment(cluster):
    for key in ("a" * 12, "b" * 12):
        cluster.runner().start(make_order(key))
    assert len(cluster.kfp.runs) == 2
    assert all(len(cluster.kfp.things[kind]) == 1 for kind in ("pipelines", "versions", "experiments"))


def test_what_the_spec_says_of_pods_reaches_the_steps(cluster):
    pods = {
        "serviceAccountName": "lake-reader",
        "resources": {"requests": {"cpu": 2}, "limits": {"memory": "8Gi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "env": [{"name": "LAKE_TOKEN", "secretKeyRef": {"name": "lake", "key": "token"}}],
        "volumes": [{"claimName": "lake", "mountPath": "/lake"}],
    }
    cluster.runner().start(make_order(loop=make_loop(pipeline=pods)))
    (run,) = cluster.kfp.runs
    parameters = run["runtime_config"]["parameters"]
    assert run["service_account"] == "lake-reader"
    assert (parameters["cpu_request"], parameters["cpu_limit"]) == ("2", "2")
    assert (parameters["memory_request"], parameters["memory_limit"]) == ("8Gi", "8Gi")
    assert parameters["node_selector"] == {"disk": "ssd"}
    assert parameters["tolerations"] == [{"key": "batch", "operator": "Exists", "value": ""}]
    (version,) = cluster.kfp.things["versions"].values()
    assert version["name"] != read_package("training").version
    platform = version["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for executor in platform.values():
        (lake,) = [one for one in executor["secretAsEnv"] if one["keyToEnv"][0]["envVar"] == "LAKE_TOKEN"]
        assert (lake["keyToEnv"][0]["secretKey"], lake["optional"]) == ("token", False)
        assert executor["pvcMount"][0]["mountPath"] == "/lake"


def test_credentials_of_the_data_reach_the_steps():
    loop = make_loop(data={"uri": "s3://lake/wine.csv", "targetColumn": "kind", "secretRef": {"name": "lake"}})
    package = read_package("training", loop.spec.run_pods)
    _, platform = yaml.safe_load_all(package.content)
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        given = {
            one["keyToEnv"][0]["envVar"]: one["secretNameParameter"]["runtimeValue"]["constant"]
            for one in executor["secretAsEnv"]
            if one["keyToEnv"][0]["envVar"].startswith("DRIFTLOOP_DATA_")
        }
        assert given["DRIFTLOOP_DATA_AWS_ACCESS_KEY_ID"] == "lake"


def test_an_operator_without_rights_in_kubeflow_s_namespace_submits_all_the_same(cluster):
    cluster.objects.delete("Namespace", None, "kubeflow")
    cluster.runner().start(make_order())
    assert len(cluster.kfp.runs) == 1


def test_every_step_satisfies_the_restricted_standard_and_tells_what_it_does():
    spec, platform = yaml.safe_load_all(Path(compiled_package("training")).read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors.keys() == spec["deploymentSpec"]["executors"].keys()
    assert all(one["securityContext"] == {"runAsNonRoot": True, "runAsUser": "10001"} for one in executors.values())
    title = spec["root"]["dag"]["tasks"]["snapshot"]["taskInfo"]["name"]
    assert title == "snapshot: claim the run and pin the data"


def test_users_of_their_own_get_pipelines_and_experiments_in_their_namespace(make_cluster, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    cluster = make_cluster(multi_user=True, token="first")  # noqa: S106
    runner = cluster.runner(token_path=str(token))
    runner.start(make_order("a" * 12))
    assert {
        thing["namespace"]
        for kind in ("pipelines", "experiments", "runs")
        for thing in cluster.kfp.things[kind].values()
    } == {NAMESPACE}
    assert cluster.objects.get("ConfigMap", NAMESPACE, "driftloop-store")
    cluster.kfp.token = "renewed"  # noqa: S105 (the kubelet does so)
    token.write_text("renewed\n")
    runner.start(make_order("b" * 12))
    assert len(cluster.kfp.runs) == 2


def test_starting_again_starts_nothing(cluster):
    runner = cluster.runner()
    for _ in range(3):
        runner.start(make_order())
    cluster.runner().start(make_order())
    assert len(cluster.kfp.runs) == 1


def test_a_reply_lost_after_the_commit_leaves_one_run(cluster):
    cluster.kfp.faults.append(Fault(*CREATE, kind="lose", times=1))
    runner, order = cluster.runner(), make_order()
    with pytest.raises(RunnerUnavailableError, match="did not"):
        runner.start(order)
    cluster.clock.pass_by(seconds=10)
    assert runner.look(order).phase is RunPhase.PENDING
    runner.start(order)
    assert len(cluster.kfp.runs) == 1


@pytest.mark.parametrize("same_operator", [True, False], ids=["same operator", "restarted operator"])
def test_a_create_that_commits_after_its_timeout_leaves_one_run(cluster, same_operator):
    cluster.kfp.faults.append(Fault(*CREATE, kind="late", times=1))
    runner, order = cluster.runner(), make_order()
    with pytest.raises(RunnerUnavailableError):
        runner.start(order)
    runner = runner if same_operator else cluster.runner()
    cluster.clock.pass_by(seconds=30)
    assert runner.look(order) is None
    with pytest.raises(RunnerUnavailableError, match="a second run would follow"):
        runner.start(order)
    cluster.kfp.commit_late()
    cluster.clock.pass_by(seconds=10)
    runner.start(order)
    assert len(cluster.kfp.runs) == 1


def test_a_create_that_never_commits_is_made_again_after_a_while(cluster):
    cluster.kfp.faults.append(Fault(*CREATE, kind="late", times=1))
    order, began = make_order(), cluster.clock.now
    start_until_done(cluster.runner(), order, cluster.clock)
    assert len(cluster.kfp.runs) == 1
    assert SETTLE <= cluster.clock.now - began < 2 * SETTLE


def test_an_operator_that_died_between_claim_and_create_is_succeeded(cluster):
    order = make_order()
    cluster.runner()._claim.take(order)
    start_until_done(cluster.runner(), order, cluster.clock)
    assert len(cluster.kfp.runs) == 1


def test_five_minutes_of_503_end_in_one_run_and_few_requests(cluster):
    outage = Fault("GET|POST", ".*", kind="refuse", status=503)
    cluster.kfp.faults += [Fault(method, ".*", kind="refuse") for method in ("GET", "POST")]
    runner, order, began = cluster.runner(), make_order(), cluster.clock.now
    while (cluster.clock.now - began).total_seconds() < 300:
        with pytest.raises(RunnerUnavailableError, match=r"HTTP 503, 503 Service Unavailable\.") as raised:
            runner.start(order)
        assert "<" not in str(raised.value)
        cluster.clock.pass_by(seconds=2)
    assert len(cluster.kfp.requests) <= 12, outage
    cluster.kfp.faults.clear()
    start_until_done(runner, order, cluster.clock)
    assert len(cluster.kfp.runs) == 1
    assert (cluster.clock.now - began).total_seconds() < 300 + 70


def test_503_to_the_create_alone_ends_in_one_run(cluster):
    cluster.kfp.faults.append(Fault(*CREATE, kind="refuse", times=2))
    start_until_done(cluster.runner(), make_order(), cluster.clock)
    assert len(cluster.kfp.runs) == 1


def test_two_operators_side_by_side_start_one_run(cluster):
    orders = [make_order(f"{number:012x}") for number in range(10)]
    runners = [cluster.runner() for _ in range(4)]
    gate = threading.Barrier(len(runners))

    def operate(runner):
        gate.wait()
        for order in orders:
            try:
                runner.start(order)
            except RunnerUnavailableError:
                continue  # another one is at it

    threads = [threading.Thread(target=operate, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run["display_name"][-12:] for run in cluster.kfp.runs) == [order.run_key for order in orders]
    assert all(len(cluster.kfp.things[kind]) == 1 for kind in ("pipelines", "versions", "experiments"))


def test_a_run_is_found_among_many_pages_and_namesakes(cluster):
    runner = cluster.runner()
    for number in range(7):
        runner.start(make_order(f"{number:012x}"))
    order = make_order(f"{5:012x}")
    (ours,) = [run for run in cluster.kfp.runs if run["display_name"].endswith(order.run_key)]
    cluster.kfp._add("runs", "run_id", ours | {"display_name": f"Clone of {ours['display_name']}", "state": "FAILED"})
    ours["state"] = "RUNNING"
    assert runner.look(order).phase is RunPhase.RUNNING
    assert runner.look(make_order("f" * 12)) is None


def test_of_two_runs_of_one_key_the_one_that_got_on_counts(cluster):
    runner, order = cluster.runner(), make_order()
    runner.start(order)
    (first,) = cluster.kfp.runs
    cluster.kfp._add("runs", "run_id", first | {"state": "SUCCEEDED"})  # the claim in the store was the second's
    first["state"] = "FAILED"
    assert runner.look(order).phase is RunPhase.SUCCEEDED


def test_a_refused_submission_may_be_made_again_at_once(cluster):
    body = '{"message": "Invalid input error: quota", "code": 3}'
    cluster.kfp.faults.append(Fault(*CREATE, kind="refuse", status=400, body=body, times=1))
    runner, order = cluster.runner(), make_order()
    with pytest.raises(KubeflowRefusedError, match=r"refused to create the run.*quota"):
        runner.start(order)
    runner.start(order)
    assert len(cluster.kfp.runs) == 1


def test_a_kubeflow_that_lost_its_database_gets_everything_anew(cluster):
    runner = cluster.runner()
    runner.start(make_order("a" * 12))
    for things in cluster.kfp.things.values():
        things.clear()
    with pytest.raises(KubeflowRefusedError):
        runner.start(make_order("b" * 12))
    runner.start(make_order("b" * 12))
    assert len(cluster.kfp.runs) == 1


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, '{"message": "Unauthenticated"}', KubeflowRefusedError, "audience pipelines.kubeflow.org"),
        (403, '{"message": "no create on runs"}', KubeflowRefusedError, "ClusterRole kubeflow-pipelines-edit"),
        (403, "RBAC: access denied", KubeflowRefusedError, "AuthorizationPolicy"),
        (302, "<a href='/dex'>Found</a>", NotKubeflowError, "as a login does"),
        (404, "<html>nginx</html>", NotKubeflowError, "http://ml-pipeline.kubeflow:8888"),
        (200, "<!doctype html><title>Kubeflow</title>", NotKubeflowError, "does not speak the API"),
        (400, '{"message": "proto: unknown field \\"securityContext\\""}', KubeflowRefusedError, "2.16 or newer"),
    ],
)
def test_a_refusal_says_what_to_do(cluster, status, body, error, words):
    cluster.kfp.faults.append(Fault("GET", ".*", kind="refuse", status=status, body=body))
    with pytest.raises(error, match=words) as raised:
        cluster.runner().start(make_order())
    assert "<" not in str(raised.value)


def test_a_server_that_is_not_there_is_unavailable(cluster):
    with pytest.raises(RunnerUnavailableError, match="must answer"):
        cluster.runner(url="http://127.0.0.1:9").start(make_order())


def test_a_missing_token_is_told_with_the_path(cluster, tmp_path):
    with pytest.raises(DriftloopError, match=r"must be readable at '.*token'"):
        cluster.runner(token_path=str(tmp_path / "token")).start(make_order())


def test_no_run_for_a_loop_that_is_gone(cluster):
    cluster.objects.delete("ModelLoop", NAMESPACE, "wine")
    with pytest.raises(LoopGoneError):
        cluster.runner().start(make_order())
    assert cluster.kfp.runs == []


def test_the_claim_goes_with_the_loop(cluster):
    cluster.runner().start(make_order())
    claim = cluster.objects.get("ConfigMap", NAMESPACE, f"wine-{KEY}")
    loop = cluster.objects.get("ModelLoop", NAMESPACE, "wine")
    assert claim["metadata"]["ownerReferences"][0]["uid"] == loop["metadata"]["uid"]
    assert claim["metadata"]["labels"]["driftloop.dev/loop"] == "wine"
