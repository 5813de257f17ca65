"""What the runner tells of a run: how far it is, where to look at it, and why it failed, in plain words."""

import pytest

from driftloop.adapters.failedpods import explain_container
from tests.kubeflow.conftest import NAMESPACE, make_order

LOG = """\
I1125 19:00:00.1 1 launcher.go:61] executing
    Traceback (most recent call last):
      File "/opt/driftloop/lib/stages/collect.py", line 1, in collect
    driftloop.stages.targetcolumn.MissingTargetError: The data must have the column 'kind'. It has: alcohol, ash.
    Correct data.targetColumn.
F1125 19:00:01.1 1 main.go:54] failed to execute component: exit status 1
time="2026-03-01T00:00:00.000Z" level=info msg="sub-process exited" argo=true error="<nil>"
Error: exit status 1
"""


@pytest.fixture
def started(cluster):
    runner, order = cluster.runner(ui_url="https://kubeflow.example.org/pipeline/"), make_order()
    runner.start(order)
    return runner, order, cluster.kfp.runs[0]


def make_pod(objects, run, *, namespace="kubeflow", node="root.for-loop-1.train.executor", terminated=None, log=""):
    name = f"wf-{node.rsplit('.', 2)[-2]}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"pipeline/runid": run["run_id"]},
            "annotations": {"workflows.argoproj.io/node-name": f"wf.{node}"},
        },
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }
    objects.create(pod)
    ended = {"exitCode": 1, "reason": "Error"} if terminated is None else terminated
    statuses = [{"name": "wait", "state": {}}, {"name": "main", "state": {"terminated": ended}}]
    objects.patch_status("Pod", namespace, name, {"phase": "Failed", "containerStatuses": statuses})


def test_states_of_kubeflow_become_phases(started):
    runner, order, run = started
    phases = {
        "RUNTIME_STATE_UNSPECIFIED": "Pending", "PENDING": "Pending", "RUNNING": "Running", "PAUSED": "Running",
        "CANCELING": "Running", "SUCCEEDED": "Succeeded", "FAILED": "Failed", "CANCELED": "Failed",
    }  # fmt: skip
    for state, phase in phases.items():
        run["state"] = state
        assert runner.look(order).phase == phase


def test_a_view_names_the_stage_under_way_and_the_page(started):
    runner, order, run = started
    tasks = [("root", "RUNNING"), ("collect", "SUCCEEDED"), ("validate-driver", "SUCCEEDED"), ("validate", "RUNNING")]
    run |= {
        "state": "RUNNING",
        "run_details": {"task_details": [{"display_name": name, "state": state} for name, state in tasks]},
    }
    view = runner.look(order)
    assert view.stage == "validate"
    assert view.url == f"https://kubeflow.example.org/pipeline/#/runs/details/{run['run_id']}"


def test_a_failed_run_tells_what_its_step_said(started, cluster, fake_api_server):
    runner, order, run = started
    run |= {"state": "FAILED", "error": {"code": 13, "message": "child 'wf-123' failed"}}
    make_pod(cluster.objects, run, node="root.collect.executor")
    fake_api_server.fake.logs["kubeflow", "wf-collect", "main"] = LOG
    assert runner.look(order).error == (
        "The stage 'collect' failed: The data must have the column 'kind'. It has: alcohol, ash. "
        "Correct data.targetColumn."
    )


def test_a_step_that_ran_out_of_memory_is_told_so(started, cluster):
    runner, order, run = started
    run["state"] = "FAILED"
    make_pod(cluster.objects, run, terminated={"exitCode": 137, "reason": "OOMKilled"})
    assert "The stage 'train' failed: it ran out of memory" in runner.look(order).error


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"error": {"message": "<html><body><h1>Bad\n Gateway</h1></body></html>"}}, "Bad Gateway"),
        ({}, "Kubeflow gives no reason; see the run's page"),
        ({"state": "CANCELED"}, "it was stopped in Kubeflow"),
        (
            {
                "run_details": {
                    "task_details": [{"display_name": "train", "state": "FAILED", "error": {"message": "OOM"}}]
                }
            },
            "train: OOM",
        ),
    ],
)
def test_without_pods_the_api_is_quoted_without_markup(started, fields, error):
    runner, order, run = started
    run |= {"state": "FAILED"} | fields
    assert runner.look(order).error == error


def test_users_runs_fail_in_their_namespace(make_cluster):
    cluster = make_cluster(multi_user=True)
    runner, order = cluster.runner(), make_order()
    runner.start(order)
    (run,) = cluster.kfp.runs
    run["state"] = "FAILED"
    make_pod(cluster.objects, run, namespace=NAMESPACE, terminated={"exitCode": 1, "message": "No rows."})
    assert runner.look(order).error == "The stage 'train' failed: No rows."


def test_a_container_that_says_nothing_is_told_so():
    assert "without a word" in explain_container({"exitCode": 1, "reason": "Error"}, "I1125 x\n")


def test_a_driver_that_fails_is_told_in_its_own_words():
    log = """
I1125 20:45:36.786048      15 resolve.go:138] parent DAG input parameters: map[]
F1125 20:45:36.786778      15 main.go:127] KFP driver: driver.Container(taskName="train") failed: failed to resolve \
inputs: parent DAG does not have input parameter pipelinechannel--algorithms
time=2026-11-25T20:45:37.481Z level=INFO msg="sub-process exited" argo=true error="exit status 1"
Error: exit status 1
"""
    assert explain_container({"exitCode": 1, "reason": "Error"}, log) == (
        "Kubeflow could not start it: failed to resolve inputs: parent DAG does not have input parameter "
        "pipelinechannel--algorithms"
    )


def test_a_run_under_way_is_ended_and_another_left_alone(started, cluster):
    runner, order, run = started
    runner.cancel(order)
    assert run["state"] == "CANCELED"
    run["state"] = "SUCCEEDED"
    runner.cancel(order)
    runner.cancel(make_order("f" * 12))
    assert run["state"] == "SUCCEEDED"
