"""Alarms that people know of: annotations that silence them, and notices that are not given."""

import pytest

from driftloop.loop.history import LoopState
from driftloop.loop.requests import Acknowledge, Mute, Unmute
from driftloop.operator.annotations import requests_of
from driftloop.operator.metrics import Metrics
from driftloop.operator.notify import Webhook
from driftloop.spec import Budget, Harm, ReportKind, VerdictKind
from tests.operator.test_notify import Receiver
from tests.operator.test_reports import decision
from tests.operator.world import HOUR

FAR = "2099-12-01"


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.end()


def told_after(world, receiver, action):
    """Return the kinds of notices that are given while something happens."""
    webhook = Webhook(receiver.url, 5, Metrics())
    world.restart(webhook=webhook)
    before = len(receiver.events)
    action()
    webhook.close()
    return [event["type"].removeprefix("dev.driftloop.") for _, event in receiver.events[before:]]


def alarm(world, kind=VerdictKind.CONCEPT_DRIFT, *, looked_at=ReportKind.PERFORMANCE, **more):
    world.windows += 1
    world.write_state()
    verdict = world.make_verdict(kind, looked_at=looked_at, at=world.now() + world.windows * HOUR)
    return world.report(verdict.model_copy(update=more))


@pytest.mark.parametrize(
    ("annotation", "value", "action"),
    [
        ("mute", "2026-12-01 new airport", Mute(until="2026-12-01", reason="new airport")),
        ("mute", "2026-12-01/PriorShift@7 a b", Mute(until="2026-12-01", kind="PriorShift", reason="a b")),
        ("mute", "2026-12-01T08:00:00+01:00 x", Mute(until="2026-12-01T08:00:00+01:00", reason="x")),
        ("mute", "off", Unmute()),
        ("mute", "off/PriorShift@2 over", Unmute(kind="PriorShift", reason="over")),
        ("acknowledge", "dr-1@8 known", Acknowledge(report="dr-1", reason="known")),
        ("acknowledge", "newest known", Acknowledge(report="newest", reason="known")),
    ],
)
def test_annotations_ask_for_silence(annotation, value, action):
    loop = {"metadata": {"name": "wine", "annotations": {f"driftloop.dev/{annotation}": value}}}
    (request,) = requests_of(loop, LoopState())
    assert request.action == action


def test_a_mute_starts_no_run_pages_nobody_and_is_told(world, receiver):
    world.serve_first()
    world.annotate(mute=f"{FAR} new airport")
    world.step()

    given = told_after(world, receiver, lambda: (alarm(world), world.steps(3)))

    assert world.kinds()[-1] == "Muted"
    assert len(world.runs.started) == 1
    assert given == []
    status = world.status()
    assert status["handledRequests"]["mute"] == f"{FAR} new airport"
    assert (status["mutes"][0]["until"], status["mutes"][0]["reason"]) == ("2099-12-01T00:00:00Z", "new airport")
    assert status["waitingFor"][0].startswith("ConceptDrift is muted by")
    assert status["episode"]["quiet"] == status["waitingFor"][0]
    assert world.condition("Drifted")["status"] == "True", "it is seen all the same"

    world.annotate(mute="off the airport is open")
    assert told_after(world, receiver, lambda: world.steps(2)) == ["Unmuted", "RunStarted"]
    assert len(world.runs.started) == 2, "the alarm that still stands counts"
    assert world.status()["mutes"] == []


def test_a_mute_of_another_kind_silences_nothing(world, receiver):
    world.serve_first()
    world.annotate(mute=f"{FAR}/CovariateDrift x")
    world.step()
    assert "ConceptDrift" in told_after(world, receiver, lambda: (alarm(world), world.steps(2)))
    assert len(world.runs.started) == 2


def test_a_mute_that_means_nothing_is_refused_in_words(world):
    world.serve_first()
    world.annotate(mute="soon x")
    world.step()
    assert world.kinds()[-1] == "RequestRefused"
    assert any("must be an ISO 8601 date or time" in message for _, message in world.events())


def test_an_episode_that_is_known_pages_no_more_and_a_new_one_does(world, receiver):
    world.serve_first(retraining={"triggers": ["PriorShift"]})
    name = alarm(world)
    world.steps(2)
    world.annotate(acknowledge=f"{name} the new terminal")
    world.step()
    assert world.kinds()[-1] == "Acknowledged"
    assert decision(world, name)["action"] == "Acknowledgement"
    assert "the new terminal" in world.status()["episode"]["quiet"]

    again = told_after(world, receiver, lambda: (alarm(world, VerdictKind.PERFORMANCE_DROP), world.steps(2)))
    assert again == []
    fresh = told_after(world, receiver, lambda: (alarm(world, VerdictKind.STABLE), alarm(world), world.steps(2)))
    assert fresh == ["ConceptDrift"]


def test_expected_drift_is_recorded_and_pages_nobody(world, receiver):
    world.serve_first(retraining={"triggers": ["CovariateDrift"]})
    names = []

    def season():
        moved = {"looked_at": ReportKind.INPUTS, "expected": "Christmas"}
        names.append(alarm(world, VerdictKind.COVARIATE_DRIFT, **moved))
        world.steps(2)

    assert told_after(world, receiver, season) == []
    decided = decision(world, names[0])
    assert decided["action"] == "None"
    assert decided["reason"] == "expected: 'Christmas' (spec.monitoring.expectedChanges)"
    assert world.status()["lastVerdict"]["expected"] == "Christmas"
    assert len(world.runs.started) == 1


def test_harmless_drift_starts_no_run_and_is_no_warning(world):
    world.serve_first(retraining={"triggers": ["CovariateDrift"]})
    alarm(world, VerdictKind.COVARIATE_DRIFT, looked_at=ReportKind.INPUTS, harm=Harm.HARMLESS)
    world.steps(2)
    assert len(world.runs.started) == 1
    types = {one["reason"]: one["type"] for one in world.api.list("Event", world.namespace)}
    assert types["CovariateDrift"] == "Normal"
    assert world.status()["lastVerdict"]["harm"] == "Harmless"


def test_what_nobody_understands_pages_a_person_and_starts_no_run(world):
    world.serve_first()
    alarm(world, VerdictKind.UNKNOWN, looked_at=ReportKind.INPUTS)
    world.steps(2)
    assert len(world.runs.started) == 1
    types = {one["reason"]: one["type"] for one in world.api.list("Event", world.namespace)}
    assert types["Unknown"] == "Warning"
    assert "a person should look" in world.status()["waitingFor"][0]


def test_a_budget_that_is_not_carried_is_a_reason_of_monitored_and_survives_trouble(world):
    world.serve_first()
    reasons = ("the reference is shorter than a season",)
    alarm(world, VerdictKind.STABLE, looked_at=ReportKind.INPUTS, budget=Budget(asked=1, carried=2.5, reasons=reasons))
    world.steps(2)
    told = world.condition("Monitored")
    assert (told["status"], told["reason"]) == ("True", "BudgetNotCarried")
    assert "expect up to 2.5. The reference is shorter than a season." in told["message"]
    assert world.condition("Ready")["status"] == "True"

    world.runs.refusal = RuntimeError("the runner broke")
    world.annotate(retrain_requested_at="now")
    world.steps(2)
    assert world.condition("Reconciling")["reason"] == "UnexpectedError"
    assert world.condition("Monitored")["reason"] == "BudgetNotCarried"
