"""What a replay reports is what its verdicts say, counted rightly; what it decides is what the loop decides."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from driftloop.loop.decide import decide
from driftloop.loop.decisions import Facts, StartRun, Wait
from driftloop.loop.history import LedgerEntry, RunFinished, RunHeld, RunStarted
from driftloop.loop.history import replay as state_of
from driftloop.loop.recording import entry_of
from driftloop.replay.deciding import NOT_RUN, UID, Decider, KnownLabels, due, in_order, moment_of
from driftloop.replay.findings import alarms_of, days_without, find_injection, outside
from driftloop.replay.injections import Injection, InjectionKind
from driftloop.replay.words import duration_words
from driftloop.spec import ModelLoopSpec, ReportKind, Trigger, Verdict, VerdictKind, Window
from tests.replay.conftest import Place

V = VerdictKind
DAY = timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=UTC)


def verdicts(
    kinds: str, kind: ReportKind = ReportKind.INPUTS, version: str = "v", start: datetime = START
) -> list[Verdict]:
    """One window a day: s stable, d covariate drift, f fault, c concept drift, p prior shift, - not enough data."""
    letters = {
        "s": V.STABLE,
        "d": V.COVARIATE_DRIFT,
        "f": V.DATA_FAULT,
        "c": V.CONCEPT_DRIFT,
        "p": V.PRIOR_SHIFT,
        "-": V.NOT_ENOUGH_DATA,
    }
    return [
        Verdict(
            kind=kind,
            model_version=version,
            window=Window(start=start + day * DAY, end=start + (day + 1) * DAY, rows=100),
            verdict=letters[letter],
            summary=letter,
        )
        for day, letter in enumerate(kinds)
    ]


def test_an_episode_is_one_alarm_and_a_gap_in_the_data_does_not_end_it() -> None:
    found = alarms_of([*verdicts("sdd-dssff"), *verdicts("ccsc", ReportKind.PERFORMANCE)])
    told = [(alarm.kind, alarm.verdict, alarm.windows) for alarm in found]
    assert sorted(told) == [
        (ReportKind.INPUTS, V.COVARIATE_DRIFT, 3),
        (ReportKind.INPUTS, V.DATA_FAULT, 2),
        (ReportKind.PERFORMANCE, V.CONCEPT_DRIFT, 1),
        (ReportKind.PERFORMANCE, V.CONCEPT_DRIFT, 2),
    ]


def test_delay_runs_from_the_injection_to_the_moment_at_which_the_verdict_was_known() -> None:
    seen = in_order([*verdicts("ssssddd"), *verdicts("sssscc", ReportKind.PERFORMANCE)], 2 * DAY)
    injection = Injection(InjectionKind.CONCEPT, ("wind",))
    finding = find_injection(injection, (START + 3.5 * DAY, START + 6 * DAY), seen, delay=2 * DAY)
    assert finding.first_alarm is not None
    assert finding.fitting_alarm is not None
    assert (finding.first_alarm.verdict, finding.first_alarm.windows) == (V.COVARIATE_DRIFT, 2)
    assert finding.first_alarm.delay_seconds == (1.5 * DAY).total_seconds()
    assert finding.fitting_alarm.kind is ReportKind.PERFORMANCE
    assert finding.fitting_alarm.delay_seconds == (3.5 * DAY).total_seconds()
    assert not finding.already_alarming
    assert (finding.alarming_windows, finding.judged_windows) == (4, 6)


def test_an_alarm_that_was_on_before_is_said() -> None:
    period = (START + 2 * DAY, START + 4 * DAY)
    finding = find_injection(Injection(InjectionKind.CONCEPT, ("w",)), period, verdicts("sddd"), delay=DAY)
    assert finding.already_alarming
    assert finding.fitting_alarm is None


def test_an_injection_that_nobody_saw_has_no_alarm() -> None:
    finding = find_injection(Injection(InjectionKind.CLASS_PRIOR), (START, START + DAY), verdicts("sss"), delay=DAY)
    assert finding.first_alarm is None
    assert find_injection(Injection(InjectionKind.CLASS_PRIOR), (START, START + DAY), [], delay=DAY).judged_windows == 0


def test_alarms_of_an_injection_and_its_aftermath_are_no_false_ones() -> None:
    alarms = alarms_of(verdicts("dssddsdssssd"))
    period = (START + 3.5 * DAY, START + 5 * DAY)
    assert [alarm.start for alarm in outside(alarms, [period], 2 * DAY)] == [START, START + 11 * DAY]
    assert len(outside(alarms, [], DAY)) == 4


def test_days_without_injection_are_counted_once() -> None:
    periods = [(START + DAY, START + 3 * DAY), (START + 2 * DAY, START + 4 * DAY), (START + 9 * DAY, START + 20 * DAY)]
    assert days_without(START, START + 10 * DAY, periods, timedelta(0)) == pytest.approx(6)
    assert days_without(START, START + 10 * DAY, periods, DAY) == pytest.approx(5)
    assert days_without(START, START + 10 * DAY, [], DAY) == 10


@pytest.mark.parametrize("seed", range(30))
def test_deciding_verdict_by_verdict_gives_what_the_loop_decides_with_all_of_them(place: Place, seed: int) -> None:
    draw = random.Random(seed)
    delay = draw.choice([timedelta(hours=1), DAY, 3 * DAY])
    version, entries = place.model_version, _ledger(place)
    seen = in_order(
        [
            *verdicts("".join(draw.choices("sdfcp-", [8, 2, 1, 1, 1, 1], k=60)), version=version),
            *verdicts("".join(draw.choices("sdfcp-", [8, 0, 1, 2, 2, 1], k=60)), ReportKind.PERFORMANCE, version),
        ],
        delay,
    )
    hours = np.arange(60 * 24)
    times = moment_of(START) + hours * np.timedelta64(1, "h")
    labels = KnownLabels(times, times + np.timedelta64(24, "h"))
    spec = place.loop.spec.model_copy(
        update={
            "retraining": place.loop.spec.retraining.model_copy(update={"triggers": tuple(Trigger)}),
            "data": place.loop.spec.data.model_copy(update={"min_rows": 300}),
        }
    )
    decider = Decider(spec, list(entries), labels)
    for day in range(0, 80, 7):  # an evaluator gives what fell due since the last look
        since, through = START + day * DAY, START + (day + 7) * DAY
        decider.take([verdict for verdict in seen if since < due(verdict, delay) <= through], delay)
    assert decider.entries == _decided_at_length(spec, list(entries), seen, labels, delay)
    kinds = {type(entry) for entry in decider.entries}
    assert {RunStarted, RunFinished} <= kinds


def _decided_at_length(
    spec: ModelLoopSpec, entries: list[LedgerEntry], seen: list[Verdict], labels: KnownLabels, delay: timedelta
) -> list[LedgerEntry]:
    for now in sorted({due(verdict, delay) for verdict in seen}):
        known = tuple(verdict for verdict in seen if due(verdict, delay) <= now)
        while True:
            state = state_of(entries)
            faulty = [(v.window.start, v.window.end) for v in known if v.window.start in state.quarantined]
            facts = Facts(UID, known, labels.count(now, faulty))
            decision = decide(spec, state, facts, now)
            if isinstance(decision, Wait):
                break
            entries.append(entry_of(decision, state, now))
            if isinstance(decision, StartRun):
                entries.append(RunFinished(at=now, run_key=decision.run_key, error=NOT_RUN))
    return entries


def _ledger(place: Place) -> list[LedgerEntry]:
    from driftloop.controller.ledger import read_ledger

    return read_ledger(place.workspace.ledger)


def test_too_few_labels_hold_a_run_back(place: Place) -> None:
    none = np.array([], dtype="datetime64[us]")
    decider = Decider(place.loop.spec, _ledger(place), KnownLabels(none, none))
    decider.take(verdicts("cc", ReportKind.PERFORMANCE, place.model_version), DAY)
    [held] = [entry for entry in decider.entries if isinstance(entry, RunHeld)]
    assert held.reason.startswith("0 labelled rows of the 2,000 needed")


def test_lengths_of_time_are_told_in_their_own_unit() -> None:
    assert [duration_words(seconds) for seconds in (0, 90, 7200, 36 * 3600)] == ["0 s", "1.5 min", "2 h", "1.5 d"]
