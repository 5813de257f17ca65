"""Which alarms start a run: routed by harm, excused by the calendar, silenced by people."""

from datetime import timedelta

import pytest

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Acknowledgement, Facts, Note, Quarantine, Refuse, StartRun, Wait
from driftloop.loop.episodes import episode_key
from driftloop.loop.history import Acknowledged, Muted, RunHeld, Unmuted, replay
from driftloop.loop.quiet import MUTABLE, active_mutes
from driftloop.loop.recording import entry_of
from driftloop.loop.requests import Acknowledge, Mute, Request, Unmute
from driftloop.loop.status import project_status
from driftloop.loop.telling import links, tell, tell_verdict
from driftloop.spec import Budget, Harm, ReportKind, VerdictKind
from driftloop.spec.driftreport import report_name
from tests.loop.conftest import START, WEEK, make_loop, make_verdict
from tests.loop.test_decide import with_champion

COVARIATE, DROP, UNKNOWN = VerdictKind.COVARIATE_DRIFT, VerdictKind.PERFORMANCE_DROP, VerdictKind.UNKNOWN
EVERY_TRIGGER = {"retraining": {"triggers": ["ConceptDrift", "CovariateDrift", "PriorShift", "PerformanceDrop"]}}


def drift(week, kind=COVARIATE, *, of=ReportKind.INPUTS, **more):
    return make_verdict(week, kind, kind=of).model_copy(update=more)


def decide_on(*verdicts, entries=(), week=3, requests=(), spec=EVERY_TRIGGER):
    facts = Facts(loop_uid="uid", verdicts=verdicts, labelled_rows=5000, requests=requests)
    return decide(make_loop(**spec).spec, replay([*with_champion(), *entries]), facts, START + week * WEEK)


def ask(action, *verdicts, entries=(), week=3, by="ana"):
    request = Request(id=f"r{len(entries)}", at=START, by=by, action=action)
    return decide_on(*verdicts, entries=entries, week=week, requests=(request,))


def answered(action, *verdicts, entries=(), week=3):
    """Return the entry that meets a request."""
    decision = ask(action, *verdicts, entries=entries, week=week)
    assert isinstance(decision, Note | Acknowledgement), decision
    return entry_of(decision, replay([*with_champion(), *entries]), START + week * WEEK)


def muted(until="2013-05-01", kind="", week=3):
    return answered(Mute(until=until, kind=kind, reason="a new airport opens"), week=week)


def report_of(verdict):
    return report_name("uid", verdict.model_version, verdict.kind, verdict.window.start)


# By harm


@pytest.mark.parametrize("harm", [Harm.HARMFUL, Harm.UNKNOWN, None])
def test_covariate_drift_among_the_triggers_starts_a_run(harm):
    assert isinstance(decide_on(drift(2, harm=harm)), StartRun)


def test_harmless_covariate_drift_starts_none_even_as_a_trigger():
    decision = decide_on(drift(2, harm=Harm.HARMLESS))
    assert isinstance(decision, Wait)
    assert decision.reasons == ("CovariateDrift is harmless: the inputs moved and the model answers as well as before",)
    assert not decision.stalled


def test_drift_that_becomes_harmful_starts_the_run_of_its_episode():
    mild, bad = drift(1, harm=Harm.HARMLESS), drift(2, harm=Harm.HARMFUL)
    decision = decide_on(mild, bad)
    assert isinstance(decision, StartRun)
    assert decision.run_key == episode_key("uid", mild)


def test_harmful_drift_that_is_no_trigger_still_starts_none():
    decision = decide_on(drift(2, harm=Harm.HARMFUL), spec={})
    assert isinstance(decision, Wait)
    assert "not among spec.retraining.triggers" in decision.reasons[0]


def test_what_nobody_understands_calls_a_person_and_no_run():
    decision = decide_on(drift(2, UNKNOWN))
    assert isinstance(decision, Wait)
    assert "a person should look: Unknown seen" in decision.reasons[0]


def test_harmless_inputs_do_not_hide_a_drop():
    decision = decide_on(drift(2, harm=Harm.HARMLESS), drift(2, DROP, of=ReportKind.PERFORMANCE))
    assert isinstance(decision, StartRun)
    assert "PerformanceDrop" in decision.reason


# By the calendar


def test_expected_drift_starts_no_run_and_is_told():
    decision = decide_on(drift(2, expected="Easter"))
    assert isinstance(decision, Wait)
    assert decision.reasons == ("CovariateDrift is expected: 'Easter' (spec.monitoring.expectedChanges)",)
    assert "CovariateDrift (expected: Easter)." in tell_verdict(drift(2, expected="Easter"))


def test_drift_that_outlasts_what_was_expected_starts_a_run():
    assert isinstance(decide_on(drift(1, expected="Easter"), drift(2)), StartRun)


def test_a_model_that_does_worse_in_an_expected_change_is_retrained():
    decision = decide_on(drift(2, expected="Easter"), drift(2, DROP, of=ReportKind.PERFORMANCE))
    assert isinstance(decision, StartRun)


# By a mute


@pytest.mark.parametrize("kind", ["", "CovariateDrift"])
def test_a_mute_holds_until_its_end_and_the_alarm_that_stands_then_counts(kind):
    entry = muted("2013-04-01", kind)
    silent = decide_on(drift(2), entries=[entry])
    assert isinstance(silent, Wait)
    assert silent.reasons == ("CovariateDrift is muted by ana until 1 April 2013: a new airport opens",)
    assert isinstance(decide_on(drift(2), entries=[entry], week=5), StartRun)


def test_a_mute_of_one_kind_leaves_the_others():
    decision = decide_on(drift(2), drift(2, DROP, of=ReportKind.PERFORMANCE), entries=[muted(kind="CovariateDrift")])
    assert isinstance(decision, StartRun)
    assert "PerformanceDrop" in decision.reason


def test_a_data_fault_is_quarantined_whatever_is_muted():
    assert isinstance(decide_on(drift(2, VerdictKind.DATA_FAULT), entries=[muted()]), Quarantine)
    assert VerdictKind.DATA_FAULT not in MUTABLE


def test_a_mute_ends_early_on_request():
    entries = [muted(), muted(kind="CovariateDrift").model_copy(update={"request_id": "r1"})]
    assert len(active_mutes(replay(entries), START + 3 * WEEK)) == 2
    one = answered(Unmute(kind="CovariateDrift"), entries=entries)
    assert isinstance(one, Unmuted)
    assert [mute.kind for mute in active_mutes(replay([*entries, one]), START + 3 * WEEK)] == [None]
    every = answered(Unmute(reason="it is open"), entries=entries)
    assert isinstance(decide_on(drift(2), entries=[*entries, every]), StartRun)
    assert tell(every) == "ana ended every mute: it is open"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Mute(until="soon", reason="x"), "must be an ISO 8601 date or time, such as '2026-12-01'"),
        (Mute(until="2013-03-01", reason="x"), "must lie ahead; it is 2013-03-22 00:00. Got '2013-03-01'."),
        (Mute(until="2013-05-01", kind="Covariatedrift", reason="x"), "Did you mean 'CovariateDrift'?"),
        (Mute(until="2013-05-01", kind="DataFault", reason="x"), "data faults can't be"),
        (Mute(until="2013-05-01", kind="Stable", reason="x"), "What is muted must be one of CovariateDrift"),
        (Mute(until="2013-05-01"), "must have a reason"),
        (Unmute(), "nothing is muted"),
        (Unmute(kind="Stable"), "Got 'Stable'"),
        (Acknowledge(report="newest", reason="x"), "no drift episode of the champion is open"),
        (Acknowledge(report="newest"), "must have a reason"),
    ],
)
def test_what_cannot_be_silenced_is_refused_with_the_reason(action, words):
    decision = ask(action)
    assert isinstance(decision, Refuse)
    assert words in decision.reason


def test_ending_the_mute_of_a_kind_that_has_none_of_its_own_tells_what_there_is():
    decision = ask(Unmute(kind="PriorShift"), entries=[muted()])
    assert isinstance(decision, Refuse)
    assert "all drift alarms are muted by ana until 1 May 2013" in decision.reason


# By an acknowledgement


@pytest.mark.parametrize("named", ["newest", "first", "second"])
def test_an_episode_that_is_known_starts_no_run(named):
    verdicts = [drift(0, VerdictKind.STABLE), drift(1), drift(2)]
    names = {"newest": "newest", "first": report_of(verdicts[1]), "second": report_of(verdicts[2])}
    entry = answered(Acknowledge(report=names[named], reason="the new terminal"), *verdicts)
    assert isinstance(entry, Acknowledged)
    assert entry.report == report_of(verdicts[1])
    assert links(entry) == {"driftReport": entry.report}
    decision = decide_on(*verdicts, drift(3), entries=[entry], week=4)
    assert isinstance(decision, Wait)
    assert decision.reasons == ("CovariateDrift is known to ana: the new terminal",)


def test_a_new_episode_counts_again():
    entry = answered(Acknowledge(report="newest", reason="x"), drift(1))
    assert isinstance(decide_on(drift(1), drift(2, VerdictKind.STABLE), drift(3), entries=[entry], week=4), StartRun)


def test_an_episode_of_the_other_kind_counts():
    entry = answered(Acknowledge(report="newest", reason="x"), drift(1))
    assert isinstance(decide_on(drift(1), drift(1, DROP, of=ReportKind.PERFORMANCE), entries=[entry]), StartRun)


def test_what_is_known_already_or_nowhere_is_refused():
    entry = answered(Acknowledge(report="newest", reason="the new terminal"), drift(1))
    again = ask(Acknowledge(report="newest", reason="y"), drift(1), entries=[entry])
    assert isinstance(again, Refuse)
    assert "known already, to ana: the new terminal" in again.reason
    lost = ask(Acknowledge(report="dr-1", reason="y"), drift(1))
    assert isinstance(lost, Refuse)
    assert f"these begin one: {report_of(drift(1))}" in lost.reason


# What is told


def status_of(*verdicts, entries=(), week=3):
    facts = Facts(loop_uid="uid", verdicts=verdicts)
    entries = [*with_champion(), *entries]
    return project_status(
        make_loop(), replay(entries), facts, Wait(()), now=START + week * WEEK, settled_through=None,
        serving=True, watching=True, recent=entries, log={}, labels={}, run_stage="", addresses={},
    )  # fmt: skip


def test_the_status_tells_mutes_while_they_hold_and_episodes_with_why_they_are_quiet():
    entry = muted("2013-04-01T08:30:00+01:00")
    status = status_of(drift(1), drift(2), entries=[entry])
    assert status["mutes"] == ["all drift alarms are muted by ana until 1 April 2013 07:30: a new airport opens"]
    (episode,) = status["episodes"]
    assert (episode["report"], episode["verdict"]) == (report_of(drift(1)), "CovariateDrift")
    assert episode["quiet"].startswith("CovariateDrift is muted by ana")
    later = status_of(drift(1), drift(2), entries=[entry], week=9)
    assert (later["mutes"], later["episodes"][0]["quiet"]) == ([], "")
    assert tell(entry) == "ana muted all drift alarms until 1 April 2013 07:30: a new airport opens"


def monitored(*verdicts):
    return next(one for one in status_of(*verdicts)["conditions"] if one["type"] == "Monitored")


def test_a_budget_that_the_reference_cannot_carry_stands_in_the_condition():
    reasons = ("the reference covers less than one season", "12 blocks are too few")
    over = drift(2, VerdictKind.STABLE, budget=Budget(asked=1, carried=3.24, reasons=reasons))
    assert monitored(over) == {
        "type": "Monitored",
        "status": "True",
        "reason": "BudgetNotCarried",
        "message": "The reference can't carry the false-alarm budget of 1 per 30 days "
        "(spec.monitoring.falseAlarmBudget): expect up to 3.24. The reference covers less than one season. "
        "12 blocks are too few. See: driftloop calibrate",
    }
    kept = drift(3, VerdictKind.STABLE, budget=Budget(asked=1, carried=1))
    assert monitored(over, kept) == {"type": "Monitored", "status": "True"}, "the newest one that states it"
    assert "message" not in monitored(drift(2))
    other = over.model_copy(update={"model_version": "bbbbbbbbbbbb"})
    assert "message" not in monitored(other)


def test_entries_survive_writing_and_reading():
    entry = muted(kind="PriorShift")
    assert isinstance(entry, Muted)
    assert Muted.model_validate_json(entry.model_dump_json(by_alias=True)) == entry


def test_a_run_that_is_held_back_can_be_acknowledged():
    held = RunHeld(at=START, run_key=episode_key("uid", drift(1)), reason="cooldown")
    entry = answered(Acknowledge(report="newest", reason="x"), drift(1), entries=[held])
    assert isinstance(decide_on(drift(1), entries=[held, entry]), Wait)
    assert START + timedelta(days=21) == entry.at
