"""What the loop decides, fact by fact."""

from datetime import timedelta

import pytest

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, Hold, Promote, Quarantine, Reject, StartRun, Wait
from driftloop.loop.episodes import open_episode
from driftloop.loop.history import Approved, Promoted, Quarantined, RunFinished, RunHeld, RunStarted, Started, model_of
from driftloop.loop.history import replay as replay_history
from driftloop.spec import ReportKind, RunVerdict, VerdictKind
from tests.loop.conftest import START, WEEK, make_loop, make_result, make_verdict

DROP = VerdictKind.PERFORMANCE_DROP


def started(number=1, run_key="first", at=START, through=None):
    return RunStarted(at=at, run_key=run_key, number=number, reason="no model yet", data_uri="x", data_through=through)


def with_champion():
    run, result = started(), make_result("first")
    return [
        run,
        RunFinished(at=START, run_key="first", result=result),
        Promoted(at=START, model=model_of(run, result), reason="first"),
    ]


def facts(*verdicts, labelled_rows=5000):
    return Facts(loop_uid="uid", verdicts=verdicts, labelled_rows=labelled_rows)


def decide_at(week, entries, known, loop=None):
    return decide((loop or make_loop()).spec, replay_history(entries), known, START + week * WEEK)


def test_a_new_loop_trains_its_first_model():
    decision = decide_at(0, [], facts())
    assert isinstance(decision, StartRun)
    assert decision.reason == "no model yet"


def test_a_run_in_progress_is_waited_for():
    assert isinstance(decide_at(0, [started()], facts()), Wait)


def test_a_failed_first_run_stalls_until_a_controller_starts_again():
    entries = [started(), RunFinished(at=START, run_key="first", error="validate: no rows")]
    decision = decide_at(0, entries, facts())
    assert isinstance(decision, Wait)
    assert decision.stalled
    assert "no rows" in decision.reasons[0]
    again = decide_at(0, [*entries, Started(at=START, driftloop_version="1")], facts())
    assert isinstance(again, StartRun)
    assert again.run_key != "first"


def test_an_accepted_candidate_is_promoted():
    entries = [started(), RunFinished(at=START, run_key="first", result=make_result("first"))]
    assert isinstance(decide_at(0, entries, facts()), Promote)


def test_a_rejected_candidate_is_turned_down():
    entries = [
        started(),
        RunFinished(at=START, run_key="first", result=make_result("first", verdict=RunVerdict.REJECTED)),
    ]
    assert isinstance(decide_at(0, entries, facts()), Reject)


def test_a_candidate_equal_to_the_champion_is_turned_down():
    entries = [
        *with_champion(),
        started(2, "second"),
        RunFinished(at=START, run_key="second", result=make_result("second")),
    ]
    assert isinstance(decide_at(1, entries, facts()), Reject)


def test_manual_approval_waits_for_a_person_and_then_promotes():
    loop = make_loop(promotion={"approval": "Manual"})
    entries = [
        *with_champion(),
        started(2, "second"),
        RunFinished(at=START, run_key="second", result=make_result("second", digest="b" * 64)),
    ]
    waiting = decide_at(1, entries, facts(), loop)
    assert isinstance(waiting, Wait)
    assert "driftloop approve second" in waiting.reasons[0]
    approved = [*entries, Approved(at=START, run_key="second", by="ada")]
    promotion = decide_at(1, approved, facts(), loop)
    assert isinstance(promotion, Promote)
    assert "Approved by ada" in promotion.reason


def test_stable_windows_start_nothing():
    assert isinstance(decide_at(2, with_champion(), facts(make_verdict(0), make_verdict(1))), Wait)


def test_a_performance_drop_starts_one_run():
    known = facts(make_verdict(0), make_verdict(1, DROP))
    decision = decide_at(2, with_champion(), known)
    assert isinstance(decision, StartRun)
    assert "PerformanceDrop" in decision.reason
    assert decide_at(2, with_champion(), known) == decision, "the same facts name the same run"


def test_an_episode_that_lasts_keeps_its_run_key():
    first = decide_at(2, with_champion(), facts(make_verdict(1, DROP)))
    later = decide_at(3, with_champion(), facts(make_verdict(1, DROP), make_verdict(2, DROP)))
    assert isinstance(first, StartRun)
    assert isinstance(later, StartRun)
    assert first.run_key == later.run_key


def test_a_verdict_on_another_version_is_not_the_champions():
    known = facts(make_verdict(1, DROP, version="bbbbbbbbbbbb"))
    assert isinstance(decide_at(2, with_champion(), known), Wait)


def test_a_verdict_outside_the_triggers_is_named_and_ignored():
    known = facts(make_verdict(1, VerdictKind.COVARIATE_DRIFT, kind=ReportKind.INPUTS))
    decision = decide_at(2, with_champion(), known)
    assert isinstance(decision, Wait)
    assert "CovariateDrift is seen" in decision.reasons[0]


def test_too_few_labels_block_a_run_and_say_how_many_are_missing():
    known = facts(make_verdict(1, DROP), labelled_rows=10)
    decision = decide_at(2, with_champion(), known)
    assert isinstance(decision, Hold)
    assert "10 labelled rows of the 1,000 needed" in decision.reason
    held = [*with_champion(), RunHeld(at=START, run_key=decision.run_key, reason=decision.reason)]
    waiting = decide_at(2, held, known)
    assert isinstance(waiting, Wait), "it is recorded once"
    assert "10 labelled rows of the 1,000 needed" in waiting.reasons[0]
    enough = decide_at(3, held, facts(make_verdict(1, DROP), labelled_rows=5000))
    assert isinstance(enough, StartRun)
    assert enough.run_key == decision.run_key, "what was held starts under its own key"


def retrained(at, through):
    result = make_result("second", verdict=RunVerdict.REJECTED)
    run = started(2, "second", at, through)
    finished = RunFinished(at=at, run_key="second", error="failed")
    return [*with_champion(), run, finished], result


def test_cooldown_blocks_a_second_retraining_until_it_ends():
    entries, _ = retrained(START + 2 * WEEK, START + 2 * WEEK)
    known = facts(make_verdict(1, DROP), make_verdict(2, DROP))
    blocked = decide_at(3, entries, known)
    assert isinstance(blocked, Hold)
    assert "cooldown of 14d" in blocked.reason
    assert isinstance(decide_at(4, entries, known), StartRun)


def test_the_first_training_does_not_start_a_cooldown():
    assert isinstance(decide_at(1, with_champion(), facts(make_verdict(0, DROP))), StartRun)


def test_a_window_that_a_run_has_already_seen_starts_no_other():
    entries, _ = retrained(START + 2 * WEEK, START + 2 * WEEK)
    assert isinstance(decide_at(8, entries, facts(make_verdict(1, DROP))), Wait)


def test_the_limit_blocks_a_third_retraining():
    entries = with_champion()
    for number, week in ((2, 2), (3, 4)):
        at = START + week * WEEK
        entries += [
            started(number, f"r{number}", at, at),
            RunFinished(at=at, run_key=f"r{number}", error="failed"),
        ]
    decision = decide_at(8, entries, facts(make_verdict(7, DROP)))
    assert isinstance(decision, Hold)
    assert "spec.retraining.limit" in decision.reason


def test_a_suspended_loop_starts_nothing():
    decision = decide_at(2, with_champion(), facts(make_verdict(1, DROP)), make_loop(suspend=True))
    assert isinstance(decision, Hold)
    assert "suspended" in decision.reason


def test_dry_run_records_once_and_starts_nothing():
    loop = make_loop(retraining={"mode": "DryRun"})
    known = facts(make_verdict(1, DROP))
    decision = decide_at(2, with_champion(), known, loop)
    assert isinstance(decision, Hold)
    assert "DryRun" in decision.reason
    noted = [*with_champion(), RunHeld(at=START, run_key=decision.run_key, reason=decision.reason)]
    assert isinstance(decide_at(2, noted, known, loop), Wait)


def test_a_data_fault_is_quarantined_once_and_trains_nothing():
    fault = make_verdict(1, VerdictKind.DATA_FAULT, kind=ReportKind.INPUTS)
    decision = decide_at(2, with_champion(), facts(fault))
    assert isinstance(decision, Quarantine)
    window = decision.verdict.window
    noted = [
        *with_champion(),
        Quarantined(at=START, window_start=window.start, window_end=window.end, reason=decision.reason),
    ]
    assert isinstance(decide_at(2, noted, facts(fault)), Wait)


@pytest.mark.parametrize(
    ("kinds", "length"),
    [
        ([], 0),
        ([DROP], 1),
        ([DROP, VerdictKind.STABLE], 0),
        ([DROP, VerdictKind.STABLE, DROP, DROP], 2),
        ([DROP, VerdictKind.NOT_ENOUGH_DATA, DROP], 2),
        ([DROP, VerdictKind.DATA_FAULT], 0),
    ],
)
def test_an_episode_is_the_newest_unbroken_run_of_alarms(kinds, length):
    assert len(open_episode([make_verdict(i, kind) for i, kind in enumerate(kinds)])) == length


def test_decisions_do_not_depend_on_time_alone():
    known = facts(make_verdict(0))
    for days in (0, 1, 400):
        assert isinstance(
            decide(make_loop().spec, replay_history(with_champion()), known, START + timedelta(days=days)), Wait
        )
