"""What calls for a run because the file or the data changed, and what does not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.loop.basis import basis_of
from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Hold, StartRun, Wait
from driftloop.loop.history import Promoted, RunFinished, RunHeld, RunStarted, model_of, replay
from driftloop.spec import RunVerdict
from tests.loop.conftest import START, make_loop, make_result

HOUR = timedelta(hours=1)
DATA = {"uri": "flights.parquet", "targetColumn": "late", "minRows": 1000}


def ran(loop, content, number=1, *, at=START, saw=None, verdict=RunVerdict.ACCEPTED):
    """Return a finished run over this file and content; `saw` where the data changed before the run read them."""
    key = f"run-{number}"
    run = RunStarted(
        at=at, run_key=key, number=number, reason="no model yet", data_uri="x", basis=basis_of(loop.spec, content)
    )
    result = make_result(key, digest=f"{number:x}" * 64, verdict=verdict)
    return run, RunFinished(at=at, run_key=key, result=result.model_copy(update={"data_digest": saw or content}))


def serving(loop, content, *, saw=None):
    run, finished = ran(loop, content, saw=saw)
    return [run, finished, Promoted(at=START, model=model_of(run, finished.result), reason="first")]


def facts(loop, content):
    return Facts(loop_uid="uid", labelled_rows=5000, basis=basis_of(loop.spec, content) if content else None)


def decided(loop, entries, content, now=START + HOUR):
    return decide(loop.spec, replay(entries), facts(loop, content), now)


@pytest.mark.parametrize(
    ("change", "group"),
    [
        ({"training": {"maxTrialCount": 3}}, "spec.training"),
        ({"preparation": {"scaling": "None"}}, "spec.preparation"),
        ({"problem": {"task": "Classification", "metric": {"name": "accuracy"}}}, "spec.problem"),
        ({"data": DATA | {"timeColumn": "departure"}}, "spec.data"),
    ],
)
def test_what_changes_the_model_retrains_at_once_and_is_named(change, group):
    decision = decided(make_loop(**change), serving(make_loop(), "d1"), "d1")
    assert isinstance(decision, StartRun)
    assert decision.reason == f"{group} changed"
    assert not decision.from_log


@pytest.mark.parametrize(
    "change",
    [
        {"serving": {"maxReplicas": 3}},
        {"monitoring": {"window": {"duration": "2h"}, "engine": "SciPy"}},
        {"retraining": {"cooldown": "1h"}},
        {"promotion": {"approval": "Manual"}},
        {"governance": {"owner": "me"}},
        {"acceptance": {"championComparison": "NotWorse"}},
        {"problem": {"task": "Classification", "objective": "so", "successCriteria": [{"name": "x", "goal": 1}]}},
        {"data": DATA | {"uri": "elsewhere.parquet", "provenance": {"licence": "CC0"}}},
        {"training": {"maxTrialCount": 30}},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_changes_no_model_retrains_nothing(change):
    assert isinstance(decided(make_loop(**change), serving(make_loop(), "d1"), "d1"), Wait)


def test_new_content_under_the_same_address_retrains():
    loop = make_loop()
    decision = decided(loop, serving(loop, "d1"), "d2")
    assert isinstance(decision, StartRun)
    assert decision.reason == "the data at flights.parquet changed: new content"
    assert decision == decided(loop, serving(loop, "d1"), "d2"), "the same change names the same run"


def test_data_that_cannot_be_read_call_for_nothing():
    loop = make_loop()
    assert isinstance(decided(loop, serving(loop, "d1"), ""), Wait)


def test_each_basis_is_learned_from_once():
    loop, entries = make_loop(), serving(make_loop(), "d1")
    entries += ran(loop, "d2", 2, verdict=RunVerdict.REJECTED)
    assert isinstance(decided(loop, entries[:-1], "d2"), Wait)
    back = decided(loop, [*entries, *ran(loop, "d3", 3)][:-1], "d1")
    assert isinstance(back, Wait)
    entries.append(Promoted(at=START, model=model_of(*ran_model(entries)), reason="x"))
    again = decided(loop, entries, "d1")
    assert isinstance(again, Wait)
    assert "has learned from just that before; to learn again: driftloop retrain" in again.reasons[0]


def ran_model(entries):
    run = [entry for entry in entries if isinstance(entry, RunStarted)][-1]
    return run, [entry for entry in entries if isinstance(entry, RunFinished)][-1].result


def test_data_that_changed_before_the_run_read_them_are_learned_from_once():
    loop = make_loop()
    assert isinstance(decided(loop, serving(loop, "d1", saw="d2"), "d2"), Wait)


def test_data_that_keep_changing_are_braked_and_a_changed_file_is_not():
    loop, entries = make_loop(), serving(make_loop(), "d1")
    run, finished = ran(loop, "d2", 2)
    entries += [run, finished, Promoted(at=START, model=model_of(run, finished.result), reason="x")]
    held = decided(loop, entries, "d3")
    assert isinstance(held, Hold)
    assert "cooldown of 14d" in held.reason
    assert "new content" in held.reason
    entries.append(RunHeld(at=START, run_key=held.run_key, reason=held.reason))
    assert isinstance(decided(loop, entries, "d3"), Wait)
    later = decided(loop, entries, "d3", START + timedelta(days=15))
    assert isinstance(later, StartRun)
    assert later.run_key == held.run_key
    assert isinstance(decided(make_loop(training={"maxTrialCount": 3}), entries, "d3"), StartRun)


@pytest.mark.parametrize("off", [{"suspend": True}, {"retraining": {"mode": "DryRun"}}])
def test_what_is_switched_off_stays_off(off):
    assert isinstance(decided(make_loop(**off), serving(make_loop(), "d1"), "d2"), Hold)


def test_a_loop_without_a_first_model_tries_again_when_file_or_data_changed():
    loop = make_loop()
    run, _ = ran(loop, "d1")
    entries = [run, RunFinished(at=START, run_key=run.run_key, error="validate: one class")]
    stalled = decided(loop, entries, "d1")
    assert isinstance(stalled, Wait)
    assert stalled.stalled
    for changed, content in ((loop, "d2"), (make_loop(training={"maxTrialCount": 3}), "d1")):
        decision = decided(changed, entries, content)
        assert isinstance(decision, StartRun)
        assert decision.reason.startswith("no model yet; ")
        assert decision.run_key != run.run_key


def test_a_champion_that_no_run_over_the_users_data_made_is_left_alone():
    loop = make_loop()
    entries = serving(loop, "d1")
    entries[0] = entries[0].model_copy(update={"basis": None})
    assert isinstance(decided(loop, entries, "d2"), Wait)


def test_a_changed_file_goes_before_drift(loop):
    known = replace(facts(loop, "d2"), labelled_rows=5000)
    assert isinstance(decide(loop.spec, replay(serving(loop, "d1")), known, START), StartRun)
