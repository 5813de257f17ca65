import pytest

from driftloop.loop.history import LoopState
from driftloop.loop.requests import Approve, Rollback
from driftloop.operator.annotations import request_id, requests_of
from driftloop.workload.names import APPROVE_ANNOTATION, RETRAIN_ANNOTATION, ROLLBACK_ANNOTATION
from tests.operator.world import A, B


def promote_second(world):
    world.serve_first()
    world.drift()
    world.step()
    world.finish_run(B)
    world.step()
    world.make_available(B)
    world.step()


def test_an_annotation_asks_for_one_run(world):
    world.serve_first()
    world.write_state()

    world.annotate(retrain_requested_at="2026-11-25T12:00:00Z")
    world.steps(3)
    assert len(world.runs.started) == 2
    assert world.status()["handledRequests"]["retrainRequestedAt"] == "2026-11-25T12:00:00Z"
    world.finish_run(A)
    world.steps(3)
    world.restart()
    world.steps(2)
    assert len(world.runs.started) == 2

    world.annotate(retrain_requested_at="2026-11-25T13:00:00Z")
    world.steps(2)
    assert len(world.runs.started) == 3


def test_without_labelled_traffic_it_trains_on_the_data_of_the_file(world):
    world.serve_first()

    world.annotate(retrain_requested_at="now")
    world.step()

    assert world.entries()[-1].data_uri == "s3://lake/wine.csv"


def test_a_rollback_brings_the_old_pods_up_before_traffic_moves(world):
    promote_second(world)
    world.end_drain()
    world.step()
    assert world.deployments() == [B[:12]]

    world.annotate(rollback="previous")
    world.step()
    assert world.deployments() == [A[:12], B[:12]]
    assert world.served_version() == B[:12]
    assert world.condition("Reconciling")["reason"] == "RollingOut"

    world.make_available(A)
    world.step()
    assert world.kinds()[-1] == "RolledBack"
    assert world.served_version() == A[:12]
    assert world.status()["handledRequests"]["rollback"] == "previous"


def test_a_rollback_to_what_never_served_is_refused_in_words(world):
    world.serve_first()

    world.annotate(rollback="v7")
    world.step()

    assert world.kinds()[-1] == "RequestRefused"
    assert any("'v7' never served" in message for _, message in world.events())


def test_a_rollback_can_be_asked_twice_with_another_time_behind_it(world):
    world.serve_first()
    world.annotate(rollback="v7@1")
    world.step()
    world.annotate(rollback="v7@2")
    world.step()

    assert world.kinds().count("RequestRefused") == 2


@pytest.mark.parametrize("name", ["run key", "digest", "version"])
def test_an_approval_lets_the_challenger_serve_and_names_who_approved(world, name):
    world.serve_first(promotion={"approval": "Manual"})
    world.drift()
    world.step()
    run_key = world.finish_run(B)
    world.steps(2)
    assert world.condition("Stalled")["status"] == "True"
    assert "driftloop approve" in world.condition("Stalled")["message"]
    assert world.status()["challenger"]["label"] == "v2"

    named = {"run key": run_key, "digest": f"sha256:{B}", "version": B[:12]}[name]
    world.annotate(approve=f"{named}@maria@example.org")
    world.step()
    world.make_available(B)
    world.steps(2)

    approved = next(entry for entry in world.entries() if entry.entry == "Approved")
    assert (approved.run_key, approved.by) == (run_key, "maria@example.org")
    assert world.served_version() == B[:12]


def test_suspend_serves_on_and_starts_nothing(world):
    world.serve_first()
    world.apply(suspend=True)

    world.drift()
    world.steps(2)

    assert len(world.runs.started) == 1
    assert world.condition("Stalled")["status"] == "True"
    assert world.condition("Available")["status"] == "True"
    assert world.status()["episode"]["runKey"]
    world.apply(suspend=False)
    world.steps(2)
    assert len(world.runs.started) == 2


def test_a_scheduled_request_is_answered_once_and_cleared_away(world):
    world.serve_first(retraining={"schedule": "0 3 1 * *", "cooldown": "1h"})
    world.write_state()
    request = (
        '{"id": "schedule-202611", "at": "2026-11-01T03:00:00Z", "by": "schedule", '
        '"action": {"verb": "Retrain", "reason": "retraining.schedule"}}'
    )
    world.store.create(f"{world.layout.requests}/schedule-202611.json", request.encode())

    world.steps(3)

    assert len(world.runs.started) == 2
    assert world.store.names(world.layout.requests) == []
    assert world.runs.schedules[-1] == "0 3 1 * *"


def test_a_loop_without_a_schedule_asks_the_runner_once(world):
    world.serve_first()
    world.steps(3)

    assert world.runs.schedules == [""]


def test_who_wrote_an_annotation_comes_from_the_api_server(world):
    written = {"f:metadata": {"f:annotations": {f"f:{RETRAIN_ANNOTATION}": {}}}}
    entry = {"manager": "kubectl-annotate", "time": "2026-11-25T12:00:00Z", "fieldsV1": written}
    annotations = {RETRAIN_ANNOTATION: "x", APPROVE_ANNOTATION: "abc@eve", ROLLBACK_ANNOTATION: "previous@7"}
    loop = {"metadata": {"name": "wine", "annotations": annotations, "managedFields": [entry]}}

    found = {request.action.verb: request for request in requests_of(loop, LoopState())}

    assert found["Retrain"].by == "kubectl-annotate"
    assert found["Retrain"].at.hour == 12
    assert (found["Approve"].action, found["Approve"].by) == (Approve(run_key="abc"), "eve")
    assert found["Rollback"].action == Rollback(model="")
    assert found["Retrain"].id == request_id(RETRAIN_ANNOTATION, "x")


def test_what_follows_a_space_is_why(world):
    world.serve_first()
    world.write_state()

    world.annotate(retrain_requested_at="2026-11-25T12:00:00Z a new airport")
    world.step()

    assert "a new airport" in world.entries()[-1].reason
