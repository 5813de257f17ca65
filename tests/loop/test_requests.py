"""What people ask: met, refused with the reason, or put off; each request once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Note, Promote, Refuse, Reject, RollBack, StartRun, Wait
from driftloop.loop.history import (
    Approved,
    Promoted,
    Recorded,
    RequestRefused,
    RolledBack,
    RunFinished,
    RunStarted,
    model_of,
    replay,
)
from driftloop.loop.recording import entry_of
from driftloop.loop.requests import Approve, Record, Request, Retrain, Rollback
from driftloop.loop.status import project_status
from driftloop.spec import RunVerdict, VerdictKind
from tests.loop.conftest import START, WEEK, make_loop, make_result, make_verdict

MANUAL = {"promotion": {"approval": "Manual"}}
CRITERIA = {
    "problem": {
        "task": "Classification",
        "successCriteria": [
            {"name": "missed connections", "baseline": 4.1, "goal": 3.5},
            {"name": "profit", "goal": 9},
        ],
    }
}


def asked(action, request_id="r1", by="ada"):
    return Request(id=request_id, at=START, by=by, action=action)


def trained(number, digest, *, champion="", verdict=RunVerdict.ACCEPTED, at=START):
    key = f"run-{number}"
    run = RunStarted(
        at=at, run_key=key, number=number, reason="drift", data_uri="x", champion=champion and champion * 12
    )
    return run, RunFinished(at=at, run_key=key, result=make_result(key, digest=digest * 64, verdict=verdict))


def promoted(run, finished, at=START):
    return Promoted(at=at, model=model_of(run, finished.result), reason="better")


def history(*digests):
    """Return the entries of a loop that promoted a model for each of these digests."""
    entries = []
    for number, digest in enumerate(digests, start=1):
        run, finished = trained(number, digest, champion=digests[number - 2] if number > 1 else "")
        entries += [run, finished, promoted(run, finished)]
    return entries


def answer(action, entries, *, by="ada", labelled_rows=5000, **spec):
    facts = Facts(loop_uid="uid", labelled_rows=labelled_rows, requests=(asked(action, by=by),))
    return decide(make_loop(**spec).spec, replay(entries), facts, START + WEEK)


def rolled_back(decision, at=START):
    return RolledBack(at=at, request_id="r1", by="ada", model=decision.model, reason=decision.reason)


# Retrain


def test_a_retraining_that_is_asked_for_needs_no_drift_and_no_cooldown():
    run, finished = trained(2, "b", champion="a", at=START + WEEK)
    entries = [*history("a"), run, finished, promoted(run, finished)]
    decision = answer(Retrain(reason="new tariff"), entries)
    assert isinstance(decision, StartRun)
    assert decision.from_log
    assert "ada asked for it" in decision.reason
    assert "new tariff" in decision.reason


def test_without_labelled_rows_the_users_data_are_learned_from():
    decision = answer(Retrain(), history("a"), labelled_rows=0)
    assert isinstance(decision, StartRun)
    assert not decision.from_log


@pytest.mark.parametrize(
    ("spec", "labelled_rows", "reason"),
    [
        ({"suspend": True}, 5000, "spec.suspend"),
        ({"retraining": {"mode": "DryRun"}}, 5000, "DryRun"),
        ({}, 10, "10 labelled rows of the 1,000 needed"),
    ],
)
def test_a_retraining_that_cannot_start_is_refused_with_the_reason(spec, labelled_rows, reason):
    decision = answer(Retrain(), history("a"), labelled_rows=labelled_rows, **spec)
    assert isinstance(decision, Refuse)
    assert reason in decision.reason


def test_a_second_retraining_is_refused_while_one_runs():
    run, _ = trained(2, "b", champion="a")
    decision = answer(Retrain(), [*history("a"), run])
    assert isinstance(decision, Refuse)
    assert "run-2 is in progress" in decision.reason


def test_a_candidate_that_can_be_decided_upon_goes_before_a_retraining():
    assert isinstance(answer(Retrain(), [*history("a"), *trained(2, "b", champion="a")]), Promote)


def test_a_challenger_that_waits_for_a_person_is_set_aside_by_a_retraining():
    entries = [*history("a"), *trained(2, "b", champion="a")]
    decision = answer(Retrain(), entries, **MANUAL)
    assert isinstance(decision, Reject)
    assert "ada asked for a retraining" in decision.reason
    assert isinstance(answer(Retrain(), entries, suspend=True, **MANUAL), Refuse), "nothing is lost in vain"


def test_a_request_that_the_ledger_answered_is_not_answered_again():
    facts = Facts(loop_uid="uid", labelled_rows=5000, requests=(asked(Retrain()),))
    first = decide(make_loop().spec, replay(history("a")), facts, START)
    assert isinstance(first, StartRun)
    run = RunStarted(
        at=START, request_id="r1", by="ada", run_key=first.run_key, number=2, reason=first.reason, data_uri="x"
    )
    failed = RunFinished(at=START, run_key=first.run_key, error="it broke")
    assert isinstance(decide(make_loop().spec, replay([*history("a"), run, failed]), facts, START), Wait)


def test_requests_are_answered_while_a_run_is_under_way():
    run, _ = trained(3, "c", champion="b")
    assert isinstance(answer(Rollback(), [*history("a", "b"), run]), RollBack)


# Rollback


def test_a_rollback_goes_to_the_champion_before():
    decision = answer(Rollback(), history("a", "b", "c"))
    assert isinstance(decision, RollBack)
    assert decision.model.label == "v2"


def test_a_second_rollback_goes_one_further_back():
    entries = history("a", "b", "c")
    entries.append(rolled_back(answer(Rollback(), entries)))
    decision = answer_another(entries, Rollback())
    assert isinstance(decision, RollBack)
    assert decision.model.label == "v1"
    entries.append(rolled_back(decision))
    nothing_left = answer_another(entries, Rollback())
    assert isinstance(nothing_left, Refuse)
    assert "no model served before v1" in nothing_left.reason


def answer_another(entries, action):
    facts = Facts(loop_uid="uid", requests=(asked(action, "r2"),))
    return decide(make_loop().spec, replay(entries), facts, START + WEEK)


@pytest.mark.parametrize("name", ["v1", "aaaa", "a" * 64])
def test_a_rollback_names_a_model_by_number_version_or_digest(name):
    decision = answer(Rollback(model=name), history("a", "b", "c"))
    assert isinstance(decision, RollBack)
    assert decision.model.label == "v1"


@pytest.mark.parametrize(
    ("entries", "name", "reason"),
    [
        ([], "", "no model serves yet"),
        (history("a"), "", "no model served before v1"),
        (history("a", "b"), "v7", "'v7' never served; these did: v1 (aaaaaaaaaaaa), v2 (bbbbbbbbbbbb)"),
        (history("a", "b"), "v2", "v2 serves already"),
    ],
)
def test_a_rollback_to_nowhere_is_refused_with_what_there_is(entries, name, reason):
    decision = answer(Rollback(model=name), entries)
    assert isinstance(decision, Refuse)
    assert reason in decision.reason


def test_the_same_evidence_does_not_bring_a_withdrawn_model_back():
    entries = history("a", "b")
    entries.append(rolled_back(answer(Rollback(), entries)))
    entries += trained(3, "b", champion="a")
    decision = decide(make_loop().spec, replay(entries), Facts(loop_uid="uid"), START + WEEK)
    assert isinstance(decision, Reject)
    assert "rolled back from" in decision.reason


def test_a_person_can_undo_a_rollback():
    entries = history("a", "b")
    entries.append(rolled_back(answer(Rollback(), entries)))
    again = answer_another(entries, Rollback(model="v2"))
    assert isinstance(again, RollBack)
    state = replay([*entries, rolled_back(again)])
    assert state.champion.label == "v2"
    assert state.withdrawn == frozenset()
    assert state.previous.label == "v1"


def test_a_candidate_compared_with_a_model_that_left_is_not_promoted():
    run, finished = trained(3, "c", champion="b")
    entries = [*history("a", "b"), run]
    entries.append(rolled_back(answer(Rollback(), entries)))
    entries.append(finished)
    decision = decide(make_loop().spec, replay(entries), Facts(loop_uid="uid"), START + WEEK)
    assert isinstance(decision, Reject)
    assert "it was compared with bbbbbbbbbbbb, and v1" in decision.reason


def test_after_a_rollback_the_drift_seen_before_calls_for_nothing_and_new_drift_does():
    entries = history("a", "b")
    entries.append(rolled_back(answer(Rollback(), entries), at=START + 3 * WEEK))
    old = make_verdict(1, VerdictKind.CONCEPT_DRIFT)
    new = make_verdict(4, VerdictKind.CONCEPT_DRIFT)
    spec = make_loop(retraining={"cooldown": "1d"}).spec
    known = Facts(loop_uid="uid", verdicts=(old,), labelled_rows=5000)
    assert isinstance(decide(spec, replay(entries), known, START + 4 * WEEK), Wait)
    assert isinstance(decide(spec, replay(entries), replace(known, verdicts=(old, new)), START + 5 * WEEK), StartRun)


# Approve


def test_an_approval_is_noted_with_who_gave_it_and_then_the_model_is_promoted():
    entries = [*history("a"), *trained(2, "b", champion="a")]
    decision = answer(Approve(run_key="run-2"), entries, **MANUAL)
    assert isinstance(decision, Note)
    entry = entry_of(decision, replay([]), START)
    assert entry == Approved(at=START, request_id="r1", by="ada", run_key="run-2")
    promotion = answer(Approve(run_key="run-2"), [*entries, entry], **MANUAL)
    assert isinstance(promotion, Promote)
    assert "Approved by ada." in promotion.reason


def test_only_the_named_approvers_approve():
    entries = [*history("a"), *trained(2, "b", champion="a")]
    rule = {"governance": {"approvers": ["grace", "ada"]}} | MANUAL
    refused = answer(Approve(run_key="run-2"), entries, by="eve", **rule)
    assert isinstance(refused, Refuse)
    assert "'eve' is not among those who may approve (spec.governance.approvers): grace, ada" in refused.reason
    assert isinstance(answer(Approve(run_key="run-2"), entries, by="ada", **rule), Note)


@pytest.mark.parametrize(
    ("entries", "spec", "reason"),
    [
        (history("a"), MANUAL, "waiting: none"),
        ([*history("a"), *trained(3, "b")], MANUAL, "Got 'run-2'; waiting: run-3"),
        ([*history("a"), *trained(2, "b")], {"suspend": True}, "waits for no approval"),
    ],
)
def test_an_approval_of_what_does_not_wait_is_refused(entries, spec, reason):
    decision = answer(Approve(run_key="run-2"), entries, **spec)
    assert isinstance(decision, Refuse)
    assert reason in decision.reason


def test_a_rejected_model_cannot_be_approved():
    entries = [*history("a"), *trained(2, "b", champion="a", verdict=RunVerdict.REJECTED)]
    assert isinstance(answer(Approve(run_key="run-2"), entries, **MANUAL), Reject)


# Record


def test_a_measured_value_is_kept_and_shown_with_baseline_and_goal():
    action = Record(name="missed connections", value=3.4, measured_at=START, note="survey")
    decision = answer(action, history("a"), **CRITERIA)
    assert isinstance(decision, Note)
    entry = entry_of(decision, replay([]), START)
    assert isinstance(entry, Recorded)
    first, second = shown_criteria([*history("a"), entry])
    assert first == {
        "name": "missed connections", "baseline": 4.1, "goal": 3.5, "value": 3.4, "measuredAt": START.isoformat(),
        "note": "survey", "by": "ada", "reached": True,
    }  # fmt: skip
    assert second["value"] is None


@pytest.mark.parametrize(("value", "reached"), [(4.0, False), (3.5, True), (3.0, True)])
def test_a_goal_below_the_baseline_is_reached_from_above(value, reached):
    entry = Recorded(at=START, name="missed connections", value=value, measured_at=START)
    assert shown_criteria([*history("a"), entry])[0]["reached"] is reached


def shown_criteria(entries):
    status = project_status(
        make_loop(**CRITERIA), replay(entries), Facts(loop_uid="uid"), Wait(()), now=START, settled_through=None,
        serving=True, watching=True, recent=entries, log={}, labels={}, run_stage="", addresses={},
    )  # fmt: skip
    return status["successCriteria"]


def test_an_unknown_criterion_is_refused_with_the_one_meant():
    decision = answer(Record(name="mised connections", value=1, measured_at=START), history("a"), **CRITERIA)
    assert isinstance(decision, Refuse)
    assert "Did you mean 'missed connections'?" in decision.reason


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measured_value_is_a_finite_number(value):
    with pytest.raises(ValidationError):
        Record(name="profit", value=value, measured_at=START)


def test_a_refusal_is_remembered_as_an_answer():
    entry = RequestRefused(at=START, request_id="r1", by="ada", verb="Rollback", reason="no model serves yet")
    assert replay([entry]).handled == {"r1"}


def test_a_moment_without_a_zone_is_no_moment():
    with pytest.raises(ValidationError):
        Request(id="r1", at=START.replace(tzinfo=None), by="ada", action=Retrain())
    assert START.utcoffset() == timedelta(0)
