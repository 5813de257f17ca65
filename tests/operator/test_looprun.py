from datetime import timedelta

import pytest

from driftloop.loop.runner import RunnerUnavailableError, RunPhase, RunView
from driftloop.spec import RunVerdict, TrainingRows, VerdictKind
from driftloop.stages.package import ContentDiffersError
from driftloop.workload.names import BENTO_REFUSED_EXIT_CODE
from tests.operator.world import HOUR, NAME, A, B


def test_a_new_loop_orders_its_first_run(world):
    world.apply()

    world.step()

    assert world.kinds() == ["RunStarted"]
    assert world.runs.started == [world.entries()[0].run_key]
    order = world.runs.orders[world.runs.started[0]]
    assert order.parameters["data_uri"] == "s3://lake/wine.csv"
    assert order.parameters["result_uri"] == world.layout.result(order.run_key)
    assert order.parameters["store_uri"] == world.layout.root
    assert order.parameters["image"] == "registry/pipeline:1"
    assert order.parameters["runtime_image"] == "registry/serving:1"
    assert world.status()["run"]["runKey"] == order.run_key
    assert world.condition("Reconciling")["reason"] == "RunInProgress"
    assert world.condition("Ready")["status"] == "False"


def test_looking_again_starts_nothing_more(world):
    world.apply()

    world.steps(5)
    world.restart()
    world.steps(3)

    assert world.kinds() == ["RunStarted"]
    assert len(world.runs.started) == 1


def test_a_candidate_becomes_champion_once_its_pods_are_available(world):
    world.apply()
    world.step()
    world.finish_run(A)

    world.step()
    assert world.kinds() == ["RunStarted", "RunFinished"]
    assert world.deployments() == [A[:12]]
    assert world.served_version() == "none"
    assert world.condition("Reconciling")["reason"] == "RollingOut"

    world.make_available(A)
    world.write_state()
    world.step()
    assert world.kinds() == ["RunStarted", "RunFinished", "Promoted"]
    assert world.served_version() == A[:12]
    status = world.status()
    assert status["champion"]["label"] == "v1"
    assert status["addresses"]["predictions"] == "http://wine.default.svc/predict"
    assert world.condition("Ready") == world.condition("Ready") | {"status": "True", "reason": "Serving"}
    assert world.condition("Ready")["observedGeneration"] == world.loop_object()["metadata"]["generation"]


def test_the_baseline_of_a_model_is_there_before_its_pods_are(world):
    world.apply()
    world.step()
    world.finish_run(A)
    world.step()

    assert world.store.names(world.layout.baselines) == [f"{A[:12]}/baseline.json", f"{A[:12]}/schema.json"]


def test_every_object_belongs_to_the_loop(world):
    world.serve_first()

    uid = world.loop_object()["metadata"]["uid"]
    kinds = ("Deployment", "Service", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy", "Role")
    for kind in kinds:
        found = world.api.list(kind, world.namespace, {"driftloop.dev/loop": NAME})
        assert found, kind
        for one in found:
            assert one["metadata"]["ownerReferences"][0]["uid"] == uid


def test_a_changed_spec_trains_and_a_changed_watch_does_not(world):
    world.serve_first()

    world.apply(monitoring={"window": {"duration": "2h"}})
    world.steps(2)
    assert len(world.runs.started) == 1

    world.apply(training={"maxTrialCount": 3})
    world.steps(2)
    assert len(world.runs.started) == 2
    assert world.entries()[-1].reason == "spec.training changed"


def test_another_address_of_the_data_trains_once(world):
    world.serve_first()

    world.apply(data={"uri": "s3://lake/new.csv", "targetColumn": "late", "minRows": 100})
    world.steps(2)
    world.finish_run(B)
    world.step()
    world.make_available(B)
    world.steps(3)

    assert len(world.runs.started) == 2
    assert "s3://lake/new.csv changed" in world.entries()[3].reason
    assert world.served_version() == B[:12]


def test_a_drift_report_starts_one_run_on_the_log(world):
    world.serve_first()

    name = world.drift()
    world.steps(4)

    entry = world.entries()[-1]
    assert (entry.entry, entry.report) == ("RunStarted", name)
    assert world.runs.started[1:] == [entry.run_key]
    assert entry.data_uri == world.layout.training_rows(entry.run_key)
    rows = TrainingRows.model_validate_json(world.store.read(entry.data_uri))
    assert rows.through == entry.data_through
    assert rows.view == {"pod-0": 3}
    assert rows.log_uri == world.layout.log
    order = world.runs.orders[entry.run_key]
    assert order.parameters["data"]["timeColumn"] == "logged_at"
    assert order.parameters["champion_uri"] == f"s3://store/bentos/{A}"
    decision = world.api.get("DriftReport", world.namespace, name)["status"]["decision"]
    assert (decision["action"], decision["runKey"]) == ("StartRun", entry.run_key)
    assert world.status()["episode"]["runKey"] == entry.run_key
    assert world.condition("Drifted")["reason"] == "ConceptDrift"


def test_a_verdict_in_the_store_alone_starts_the_run_too(world):
    world.serve_first()
    world.offset += 2 * HOUR
    world.write_verdict(world.make_verdict())
    world.write_state()

    world.step()

    assert world.kinds()[-1] == "RunStarted"


def test_switching_moves_traffic_first_and_removes_the_old_pods_after_the_drain(world):
    world.serve_first()
    world.drift()
    world.step()
    world.finish_run(B)
    world.step()
    assert world.served_version() == A[:12]
    assert world.deployments() == [A[:12], B[:12]]

    world.make_available(B)
    pause = world.step()
    assert world.served_version() == B[:12]
    assert world.deployments() == [A[:12], B[:12]]
    assert pause == world.settings.busy_poll_seconds

    world.offset += timedelta(seconds=61)
    world.step()
    assert world.deployments() == [B[:12]]


def test_a_bento_that_differs_is_rejected_at_once_in_the_pods_own_words(world):
    world.serve_first()
    world.drift()
    world.step()
    run_key = world.finish_run(B)
    world.step()
    said = "The Bento content in '/models' must match its manifest. The file 'model.skops' differs."
    ended = {"exitCode": BENTO_REFUSED_EXIT_CODE, "message": said}
    world.add_pod(B, init=[{"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                            "lastState": {"terminated": ended}}])  # fmt: skip

    world.step()

    entry = world.entries()[-1]
    assert (entry.entry, entry.run_key) == ("Rejected", run_key)
    assert said in entry.reason
    assert world.deployments() == [A[:12]]
    assert world.served_version() == A[:12]
    assert said in world.status()["lastFailure"]


def test_a_store_that_is_away_when_pods_start_rejects_nothing_before_the_deadline(world):
    world.apply()
    world.step()
    world.finish_run(A)
    world.step()
    ended = {"exitCode": 1, "message": "The Bento 's3://..' must be readable from this pod."}
    world.add_pod(A, init=[{"name": "fetch", "state": {"terminated": ended}}])

    world.steps(3)
    assert world.kinds() == ["RunStarted", "RunFinished"]
    assert "must be readable from this pod" in world.condition("Reconciling")["message"]

    world.offset += timedelta(seconds=601)
    world.step()
    assert world.kinds()[-1] == "Rejected"
    assert "not available within 600 s" in world.entries()[-1].reason
    assert world.deployments() == []


def test_a_bento_whose_parts_are_damaged_in_the_store_is_rejected(world, tmp_path):
    world.serve_first()
    world.drift()
    world.step()
    world.finish_run(B)
    world.broken_bentos[B] = ContentDiffersError(tmp_path, "model/schema.json", "differs")

    world.steps(2)

    assert world.kinds()[-1] == "Rejected"
    assert world.deployments() == [A[:12]]


def test_a_rejected_run_changes_nothing(world):
    world.serve_first()
    world.drift()
    world.step()
    world.finish_run(B, verdict=RunVerdict.REJECTED)

    world.steps(2)

    assert world.kinds()[-1] == "Rejected"
    assert world.deployments() == [A[:12]]


def test_a_failed_run_is_told_in_the_stages_words(world):
    world.apply()
    world.step()
    world.fail_run("stage collect: no file at s3://lake/wine.csv")

    world.steps(3)

    assert world.kinds() == ["RunStarted", "RunFinished"]
    assert world.status()["lastFailure"] == "stage collect: no file at s3://lake/wine.csv"
    assert world.condition("Stalled")["status"] == "True"
    assert "no file at s3://lake/wine.csv" in world.condition("Stalled")["message"]
    assert any(reason == "RunFailed" for reason, _ in world.events())


def test_success_without_a_result_is_a_failure(world):
    world.apply()
    world.step()
    world.runs.views[world.runs.started[0]] = RunView(RunPhase.SUCCEEDED)

    world.steps(2)

    assert "succeeded without a result" in world.status()["lastFailure"]


def test_a_result_whose_run_the_runner_has_forgotten_counts(world):
    world.apply()
    world.step()
    world.finish_run(A)
    world.runs.views.clear()

    world.step()

    assert world.kinds() == ["RunStarted", "RunFinished"]
    assert len(world.runs.started) == 1


def test_an_unreachable_runner_is_asked_again_with_growing_pauses_and_shown(world):
    world.apply()
    world.runs.refusal = RunnerUnavailableError("Kubeflow Pipelines", "http://kfp", "connection refused")

    pauses = [world.step() for _ in range(8)]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert world.condition("Reconciling")["reason"] == "RunnerUnavailable"
    assert "connection refused" in world.condition("Ready")["message"]
    world.runs.refusal = None
    world.step()
    assert len(world.runs.started) == 1
    assert world.kinds() == ["RunStarted"]
    assert world.condition("Reconciling")["reason"] == "RunInProgress"


def test_a_run_on_faulty_rows_leaves_them_out(world):
    world.serve_first()
    world.offset += 2 * HOUR
    world.write_state()
    world.report(world.make_verdict(VerdictKind.DATA_FAULT))
    world.steps(2)
    assert world.kinds()[-1] == "Quarantined"

    world.annotate(retrain_requested_at="now")
    world.step()

    rows = TrainingRows.model_validate_json(world.store.read(world.entries()[-1].data_uri))
    assert rows.leave_out == ((world.entries()[-2].window_start, world.entries()[-2].window_end),)


def test_without_the_lease_nothing_happens(world):
    world.apply()
    world.holds_lease = False

    assert world.step() == world.settings.poll_seconds

    assert world.kinds() == []
    assert world.status() == {}


def test_a_status_that_says_the_same_is_not_written_again(world):
    world.serve_first()
    world.write_state()
    world.step()
    version = world.loop_object()["metadata"]["resourceVersion"]

    world.steps(3)

    assert world.loop_object()["metadata"]["resourceVersion"] == version


def test_an_invalid_spec_is_a_condition_and_no_retry(world):
    world.serve_first()
    world.write_state()
    world.step()
    world.apply(monitoring={"labels": {"uri": "s3://lake/labels.csv"}})  # needs data.keyColumn

    pause = world.step()

    assert pause >= 60
    assert world.condition("Stalled")["reason"] == "InvalidSpec"
    assert "keyColumn" in world.condition("Stalled")["message"]
    assert world.condition("Ready") == world.condition("Ready") | {"status": "False", "reason": "InvalidSpec"}
    assert world.condition("Available")["status"] == "True"
    assert world.status()["observedGeneration"] == world.loop_object()["metadata"]["generation"]
    assert world.status()["champion"]["label"] == "v1"
    world.apply()
    world.step()
    assert world.condition("Stalled")["status"] == "False"


def test_a_silent_monitor_shows(world):
    world.serve_first()
    assert world.condition("Monitored")["status"] == "Unknown"
    assert world.condition("Ready")["status"] == "True"

    world.offset += timedelta(seconds=200)
    world.step()
    assert world.condition("Monitored")["reason"] == "MonitorSilent"
    assert world.condition("Ready")["status"] == "False"

    world.write_state()
    world.step()
    assert world.condition("Monitored")["status"] == "True"


def test_conditions_keep_the_time_of_their_last_change(world):
    world.serve_first()
    first = world.condition("Trained")["lastTransitionTime"]

    world.offset += timedelta(hours=1)
    world.write_state()
    world.steps(2)

    assert world.condition("Trained")["lastTransitionTime"] == first
    assert world.condition("Monitored")["lastTransitionTime"] != first


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_what_somebody_removed_comes_back(world, kind):
    world.serve_first()
    name = world.deployment()["metadata"]["name"] if kind == "Deployment" else NAME
    world.api.delete(kind, world.namespace, name)

    world.restart()
    world.step()

    assert world.api.get(kind, world.namespace, name)


def test_a_new_model_begins_with_as_many_pods_as_the_load_gave_the_old_one(world):
    world.serve_first(serving={"minReplicas": 1, "maxReplicas": 5})
    old = world.deployment(A)["metadata"]["name"]
    world.api.patch("Deployment", world.namespace, old, {"spec": {"replicas": 4}})

    world.drift()
    world.step()
    world.finish_run(B)
    world.step()

    assert world.deployment(B)["spec"]["replicas"] == 4
