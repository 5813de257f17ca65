"""What recurs by `retraining.schedule`: one recurring run for a loop, which files requests and trains nothing."""

import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import pytest

from driftloop.adapters import reminder
from driftloop.adapters.kfp_local import compiled_package
from driftloop.adapters.kubeflow import SCHEDULE_LOOK
from driftloop.adapters.objectstore import FsspecStore
from driftloop.loop.requests import Request
from driftloop.stages.remind import file_request
from tests.kubeflow.conftest import make_loop

MONTHLY = {"retraining": {"schedule": "0 3 1 * *"}}


def test_a_schedule_is_one_recurring_run_that_asks(cluster):
    for _ in range(2):
        cluster.runner().keep_schedule(make_loop(**MONTHLY))
    (recurring,) = cluster.kfp.recurring
    assert recurring["display_name"] == "team-a/wine · schedule"
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 0 3 1 * *"
    assert recurring["status"] == "ENABLED"
    assert (recurring["max_concurrency"], recurring["no_catchup"]) == ("1", True)
    (pipeline,) = cluster.kfp.things["pipelines"].values()
    assert pipeline["name"] == "driftloop-schedule"
    (experiment,) = cluster.kfp.things["experiments"].values()
    assert experiment["display_name"] == "team-a/wine"
    parameters = recurring["runtime_config"]["parameters"]
    assert parameters["requests_uri"] == "s3://bucket/driftloop/loops/team-a/wine/requests"
    assert parameters["moment"] == "[[CurrentTime.200601021504]]"


def test_a_changed_schedule_replaces_the_recurring_run(cluster):
    runner = cluster.runner()
    runner.keep_schedule(make_loop(**MONTHLY))
    runner.keep_schedule(make_loop(retraining={"schedule": "30 4 * * 1"}))
    (recurring,) = cluster.kfp.recurring
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 30 4 * * 1"


def test_it_is_off_while_the_loop_is_suspended(cluster):
    runner = cluster.runner()
    states = []
    for suspend in (False, True, True, False):
        runner.keep_schedule(make_loop(suspend=suspend, **MONTHLY))
        states.append(cluster.kfp.recurring[0]["status"])
    assert states == ["ENABLED", "DISABLED", "DISABLED", "ENABLED"]
    assert len(cluster.kfp.recurring) == 1


def test_a_loop_that_is_suspended_from_the_start_has_it_off(cluster):
    cluster.runner().keep_schedule(make_loop(suspend=True, **MONTHLY))
    assert cluster.kfp.recurring[0]["status"] == "DISABLED"


@pytest.mark.parametrize("how", ["schedule removed", "loop deleted"])
def test_it_goes(cluster, how):
    runner = cluster.runner()
    runner.keep_schedule(make_loop(**MONTHLY))
    if how == "loop deleted":
        runner.drop_schedule(make_loop(**MONTHLY))
    else:
        runner.keep_schedule(make_loop())
    assert cluster.kfp.recurring == []


def test_an_unchanged_schedule_costs_no_request_for_a_while(cluster):
    runner = cluster.runner()
    runner.keep_schedule(make_loop(**MONTHLY))
    requests = len(cluster.kfp.requests)
    runner.keep_schedule(make_loop(**MONTHLY))
    assert len(cluster.kfp.requests) == requests
    cluster.kfp.things["recurringruns"].clear()  # a person deletes it in the UI
    cluster.clock.pass_by(seconds=SCHEDULE_LOOK.total_seconds())
    runner.keep_schedule(make_loop(**MONTHLY))
    assert len(cluster.kfp.recurring) == 1


def test_of_doubled_recurring_runs_one_stays(cluster):
    cluster.runner().keep_schedule(make_loop(**MONTHLY))
    cluster.kfp._add("recurringruns", "recurring_run_id", cluster.kfp.recurring[0])
    cluster.runner().keep_schedule(make_loop(**MONTHLY))
    assert len(cluster.kfp.recurring) == 1


def test_a_moment_asks_once_in_the_form_of_requests(tmp_path):
    store, now = FsspecStore(), datetime(2013, 3, 1, 3, tzinfo=UTC)
    for _ in range(2):
        uri = file_request(store, str(tmp_path), moment="20130301030000", schedule="0 3 1 * *", now=now)
    assert store.names(str(tmp_path)) == ["schedule-20130301030000.json"]
    request = Request.model_validate_json(store.read(uri))
    assert (request.by, request.at, request.action.verb) == ("schedule", now, "Retrain")
    file_request(store, str(tmp_path), moment="20130401030000", schedule="0 3 1 * *", now=now)
    assert len(store.names(str(tmp_path))) == 2


@pytest.mark.local
def test_the_package_of_a_schedule_runs_and_files_the_moment(tmp_path):
    script = f"""
        from kfp import components, local
        local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="root")
        components.load_component_from_file({str(compiled_package("schedule"))!r})(
            loop="wine", requests_uri="requests", schedule="0 3 1 * *", image="x", moment="20130301030000"
        )
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True, capture_output=True)
    (filed,) = (tmp_path / "requests").iterdir()
    assert Request.model_validate_json(filed.read_bytes()).id == "schedule-20130301030000"


def test_a_cron_job_s_pod_files_its_job_s_moment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRIFTLOOP_JOB_MOMENT", "wine-schedule-29391480")
    for _ in range(2):
        assert reminder.main([str(tmp_path), "0 3 1 * *"]) == 0
    assert FsspecStore().names(str(tmp_path)) == ["schedule-wine-schedule-29391480.json"]
    assert "asked to retrain" in capsys.readouterr().out
