"""The Job runner: objects for every Kubernetes, one Job a run, and what it tells of it."""

import threading

import kubernetes_validate
import pytest

from driftloop.adapters.jobrunner import JobRunner
from driftloop.adapters.runclaim import LoopGoneError
from driftloop.loop.runner import RunnerUnavailableError, RunPhase
from driftloop.workload import names
from driftloop.workload.runjob import build_run_config, build_run_job, build_schedule
from tests.kubeflow.conftest import NAMESPACE, PLATFORM, make_loop, make_order
from tests.podsecurity import containers, violations

OWNER = names.owner_reference("wine", "uid-1")
NAME = "wine-0123456789ab"
PODS = {
    "runner": "Job",
    "resources": {"requests": {"memory": "2Gi"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
    "env": [{"name": "LAKE_TOKEN", "secretKeyRef": {"name": "lake", "key": "token"}}],
    "volumes": [{"claimName": "lake", "mountPath": "/lake"}],
}
SCHEDULE = {"retraining": {"schedule": "0 3 1 * *"}}


def build_all(loop):
    order = make_order(loop=loop)
    return [
        build_run_config(order, OWNER),
        build_run_job(order, PLATFORM, OWNER),
        build_schedule(loop, PLATFORM, OWNER, "s3://bucket/driftloop/loops/team-a/wine/requests"),
    ]


def pod_of(built):
    spec = built["spec"]["jobTemplate"]["spec"] if built["kind"] == "CronJob" else built["spec"]
    return spec["template"]


@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
def test_every_object_fits_the_oldest_and_the_newest_kubernetes(version):
    for built in build_all(make_loop(pipeline=PODS, **SCHEDULE)):
        assert kubernetes_validate.validate(built, version, strict=True) == version[:4]


def test_pods_are_restricted_with_a_read_only_root_and_no_mesh():
    for built in build_all(make_loop(pipeline=PODS, **SCHEDULE))[1:]:
        template = pod_of(built)
        assert violations(template["spec"]) == []
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert template["spec"]["automountServiceAccountToken"] is False
        for container in containers(template["spec"]):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            written = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/work", "/tmp"} <= written  # noqa: S108
            assert container["resources"].keys() == {"requests", "limits"}


def test_what_the_spec_says_of_pods_is_in_the_job():
    pod = pod_of(build_all(make_loop(pipeline=PODS, **SCHEDULE))[1])["spec"]
    (container,) = pod["containers"]
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"key": "batch", "operator": "Exists", "value": ""}]
    assert container["resources"]["requests"] == {"cpu": "500m", "memory": "2Gi"}
    assert container["resources"]["limits"] == {"cpu": "2"}  # what the spec names is the spec's alone
    env = {variable["name"]: variable for variable in container["env"]}
    assert env["LAKE_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "lake", "key": "token", "optional": False}
    assert env["AWS_ACCESS_KEY_ID"]["valueFrom"]["secretKeyRef"]["name"] == "store-keys"
    assert {"name": "volume-0", "mountPath": "/lake"} in container["volumeMounts"]
    assert pod["serviceAccountName"] == "wine"
    assert env["DRIFTLOOP_JOB_CLAIMANT"]["valueFrom"]["fieldRef"]["fieldPath"].endswith("controller-uid']")


def test_the_longest_names_fit():
    longest, other = ("a" * 49 + end for end in "bc")
    assert len(names.run_job_name(longest, "0123456789ab")) <= 63
    assert len(names.schedule_name(longest)) <= 52
    assert names.schedule_name(longest) != names.schedule_name(other)


def make_pod(objects, *, terminated=None, log="", fake=None, phase="Failed", state=None):
    objects.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{NAME}-x",
                "namespace": NAMESPACE,
                "labels": {"batch.kubernetes.io/job-name": NAME},
            },
            "spec": {"containers": [{"name": "run", "image": "x"}]},
        }
    )
    statuses = [{"name": "run", "state": state or {"terminated": terminated}}]
    objects.patch_status("Pod", NAMESPACE, f"{NAME}-x", {"phase": phase, "containerStatuses": statuses})
    if fake:
        fake.logs[NAMESPACE, f"{NAME}-x", "run"] = log


def end_job(objects, kind, message=""):
    condition = {"type": kind, "status": "True", "message": message}
    objects.patch_status("Job", NAMESPACE, NAME, {"conditions": [condition]})


@pytest.fixture
def runner(objects):
    return JobRunner(objects, PLATFORM)


def test_a_run_is_one_job_however_often_it_is_started(objects):
    gate = threading.Barrier(4)

    def start():
        gate.wait()
        JobRunner(objects, PLATFORM).start(make_order())

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (job,) = objects.list("Job", NAMESPACE)
    assert job["metadata"]["name"] == NAME
    assert job["metadata"]["annotations"]["driftloop.dev/drift-report"] == "wine-7f3a"
    loop = objects.get("ModelLoop", NAMESPACE, "wine")
    assert job["metadata"]["ownerReferences"][0]["uid"] == loop["metadata"]["uid"]


def test_phases_follow_the_job(runner, objects, fake_api_server):
    order = make_order()
    assert runner.look(order) is None
    runner.start(order)
    assert runner.look(order).phase is RunPhase.PENDING
    log = "stage collect started\nstage train started\n"
    make_pod(objects, phase="Running", state={"running": {}}, log=log, fake=fake_api_server.fake)
    view = runner.look(order)
    assert (view.phase, view.stage) == (RunPhase.RUNNING, "train")
    end_job(objects, "Complete")
    assert runner.look(order).phase is RunPhase.SUCCEEDED


def test_a_failed_job_tells_what_its_stage_said(runner, objects):
    order = make_order()
    runner.start(order)
    make_pod(objects, terminated={"exitCode": 3, "message": "The stage 'collect' failed: no rows.\nAdd some."})
    end_job(objects, "Failed", "Container run failed with exit code 3 matching FailJob rule")
    view = runner.look(order)
    assert (view.phase, view.error) == (RunPhase.FAILED, "The stage 'collect' failed: no rows. Add some.")


def test_without_its_pod_a_failed_job_is_quoted(runner, objects):
    order = make_order()
    runner.start(order)
    end_job(objects, "Failed", "Job has reached the specified backoff limit")
    assert runner.look(order).error == "Job has reached the specified backoff limit"


def test_an_image_that_can_t_be_had_is_told(runner, objects):
    order = make_order()
    runner.start(order)
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    make_pod(objects, phase="Pending", state={"waiting": waiting})
    view = runner.look(order)
    assert (view.phase, view.stage) == (RunPhase.PENDING, "ImagePullBackOff: Back-off pulling image")


def test_a_cancelled_run_is_stopped_and_not_started_again(runner, objects):
    order = make_order()
    runner.start(order)
    runner.cancel(order)
    runner.start(order)
    assert objects.get("Job", NAMESPACE, NAME)["spec"]["suspend"] is True
    assert (runner.look(order).phase, runner.look(order).error) == (RunPhase.FAILED, "it was stopped")


def test_no_job_for_a_loop_that_is_gone(runner, objects):
    objects.delete("ModelLoop", NAMESPACE, "wine")
    with pytest.raises(LoopGoneError):
        runner.start(make_order())


def test_an_api_server_that_does_not_answer_is_an_unavailable_runner(runner, fake_api_server):
    fake_api_server.fake.fault = lambda _: (503, "overloaded")
    for call in (runner.start, runner.look):
        with pytest.raises(RunnerUnavailableError, match="overloaded"):
            call(make_order())


def test_a_schedule_is_one_cron_job_that_follows_the_loop(runner, objects):
    runner.keep_schedule(make_loop(**SCHEDULE))
    runner.keep_schedule(make_loop(suspend=True, **SCHEDULE))
    (built,) = objects.list("CronJob", NAMESPACE)
    assert (built["spec"]["schedule"], built["spec"]["suspend"]) == ("0 3 1 * *", True)
    runner.keep_schedule(make_loop())
    assert objects.list("CronJob", NAMESPACE) == []
