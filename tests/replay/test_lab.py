"""A replay runs the real monitor and the real decisions, and reports what they said."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from driftloop.loop.history import Quarantined, RunStarted
from driftloop.predictionlog import Label, PredictionBatch, PredictionLogReader, PredictionLogWriter
from driftloop.replay.injectionspec import read_injections
from driftloop.replay.lab import NoBaselineError, Replayed, ReplayPlan, replay, with_injections
from driftloop.replay.models import refused_rows
from driftloop.replay.report import build_report
from driftloop.replay.sources import Generation, Question, find
from driftloop.sidecar.evaluator import Evaluator, make_engine
from driftloop.sidecar.settings import MonitorSettings
from driftloop.spec import ReportKind, Verdict, VerdictKind
from tests.replay.conftest import DAYS, ROWS_A_DAY, SCHEMA, Place, traffic

V = VerdictKind
DAY = timedelta(days=1)


def tabled(place: Place, folder: Path, *injections: str, **asked: object) -> tuple[ReplayPlan, Replayed]:
    question = Question(place.table, workspace=place.workspace.root, **asked)  # type: ignore[arg-type]
    plan = with_injections(find(question, folder / "spare", print).plan, read_injections(injections))
    return plan, replay(plan, folder / "lab")


def inside(verdicts: Sequence[Verdict], kind: ReportKind, days: range) -> list[VerdictKind]:
    start = datetime(2024, 3, 1, tzinfo=UTC)
    windows = [start + number * DAY for number in days]
    return [v.verdict for v in verdicts if v.kind is kind and v.window.start in windows]


@pytest.fixture(scope="module")
def unchanged(place: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReplayPlan, Replayed]:
    return tabled(place, tmp_path_factory.mktemp("unchanged"))


def test_every_whole_window_is_judged_by_inputs_and_by_performance(unchanged: tuple[ReplayPlan, Replayed]) -> None:
    plan, replayed = unchanged
    for kind in ReportKind:
        found = [v for v in replayed.verdicts if v.kind is kind]
        assert len(found) == DAYS
        assert {v.window.rows for v in found} == {ROWS_A_DAY}
        # Two windows of twelve: at a budget of one in 30 days more has a probability below 3 %; the seed is fixed.
        assert sum(v.verdict.is_alarm for v in found) <= 2
    report = build_report(plan, replayed, source="a table")
    assert report.days_without_injection == DAYS
    assert report.budget_asked == 1
    assert report.cost.rows == replayed.labelled == DAYS * ROWS_A_DAY
    assert report.cost.times_real_time > 10_000


def test_a_fault_is_found_in_its_first_window_and_its_rows_are_kept_out_of_training(
    place: Place, tmp_path: Path
) -> None:
    plan, replayed = tabled(place, tmp_path, "unit_change column=wind size=1000 start=2024-03-07 end=2024-03-09")
    assert inside(replayed.verdicts, ReportKind.INPUTS, range(6, 8)) == [V.DATA_FAULT, V.DATA_FAULT]
    [finding] = build_report(plan, replayed, source="a table").injections
    assert finding.fitting_alarm is not None
    assert finding.fitting_alarm.delay_seconds == DAY.total_seconds()
    assert finding.fitting_alarm.windows == 1
    assert finding.first_alarm == finding.fitting_alarm
    gone = {entry.window_start for entry in replayed.entries if isinstance(entry, Quarantined)}
    assert {datetime(2024, 3, day, tzinfo=UTC) for day in (7, 8)} <= gone


def test_a_changed_concept_calls_for_a_retraining_that_the_cooldown_spaces(place: Place, tmp_path: Path) -> None:
    plan, replayed = tabled(place, tmp_path, "concept column=wind size=0.6 start=2024-03-04")
    report = build_report(plan, replayed, source="a table", training_seconds=30.0)
    [finding] = report.injections
    assert finding.fitting_alarm is not None
    assert finding.fitting_alarm.kind is ReportKind.PERFORMANCE
    started = [run for run in report.retrainings if run.started]
    assert len(started) >= 2
    assert all(later.at - earlier.at >= timedelta(days=5) for earlier, later in pairwise(started))
    assert all(run.labelled_rows and run.labelled_rows >= 2000 for run in started)
    assert report.cost.retraining_seconds == 30.0 * len(started)
    assert all(run.at >= finding.fitting_alarm.at for run in started)
    assert sum(isinstance(entry, RunStarted) for entry in replayed.entries) == len(started) + 1


def test_rows_that_the_server_refuses_never_reach_the_monitor(place: Place, tmp_path: Path) -> None:
    plan, replayed = tabled(place, tmp_path, "null_burst column=wind size=0.5 start=2024-03-07 end=2024-03-09")
    assert replayed.refused == pytest.approx(ROWS_A_DAY, rel=0.15)
    assert replayed.rows + replayed.refused == DAYS * ROWS_A_DAY
    report = build_report(plan, replayed, source="a table")
    assert report.cost.refused_rows == replayed.refused


def test_refused_is_what_serving_refuses() -> None:
    rows = pd.DataFrame(
        {
            "temp": [1.0, None, "warm", 4.0, 5.0],
            "wind": [1.0, 2.0, 3.0, None, float("inf")],
            "carrier": ["UA", "new", "UA", "UA", "UA"],
        }
    )
    assert refused_rows(rows, SCHEMA).tolist() == [False, False, True, True, True]


def test_a_recorded_log_replays_to_the_verdicts_that_its_monitor_gave(place: Place, tmp_path: Path) -> None:
    table = traffic(4, "2024-03-01", seed=3)
    plan = find(Question(place.table, workspace=place.workspace.root), tmp_path, print).plan
    answered = plan.models[place.model_version].answer(table).columns
    log = tmp_path / "log"
    columns = {name: answered[name].astype(object).where(answered[name].notna(), None) for name in answered}
    with PredictionLogWriter(log, writer_id="pod", sync=False) as writer:
        for hour, own in table.groupby(table["at"].dt.floor("h")):
            values = {name: column[own.index].tolist() for name, column in columns.items()}
            writer.append_predictions(
                [
                    PredictionBatch(
                        place.model_version,
                        hour.to_pydatetime(),
                        [f"p{number}" for number in own.index],
                        own["flight"].tolist(),
                        {n.removeprefix("feature."): v for n, v in values.items() if n.startswith("feature.")},
                        {n.removeprefix("output."): v for n, v in values.items() if n.startswith("output.")},
                    )
                ]
            )
            due = (hour + DAY).to_pydatetime()
            writer.append_labels(
                [Label(bool(late), due, key=key) for key, late in zip(own["flight"], own["late"], strict=True)]
            )
        writer.commit(datetime(2024, 3, 6, tzinfo=UTC))
    baselines = tmp_path / "baselines" / place.model_version
    baselines.mkdir(parents=True)
    for name in ("schema.json", "baseline.json"):
        (baselines / name).write_bytes((plan.models[place.model_version].folder / name).read_bytes())
    settings = MonitorSettings(
        loop_file=place.workspace.loop_file,
        loop_uid="recorded",
        log_dir=log,
        state_dir=tmp_path / "state",
        baselines_dir=tmp_path / "baselines",
        tap_socket=tmp_path / "s",
        clock="replay",
    )
    Evaluator(place.loop, settings, make_engine("SciPy")).catch_up(datetime(2024, 3, 6, tzinfo=UTC))
    lines = (tmp_path / "state" / "verdicts.jsonl").read_text().splitlines()
    recorded = [Verdict.model_validate_json(line) for line in lines]

    found = find(Question(log, workspace=place.workspace.root), tmp_path / "spare", print)
    replayed = replay(found.plan, tmp_path / "again")
    assert len(recorded) == 8
    assert sorted(replayed.verdicts, key=str) == sorted(recorded, key=str)
    again = PredictionLogReader(tmp_path / "again" / "log").joined(*_EVER)
    original = PredictionLogReader(log).joined(*_EVER)
    order = ["time", "key"]
    same = [frame.drop(columns="prediction_id").sort_values(order, ignore_index=True) for frame in (again, original)]
    pd.testing.assert_frame_equal(*same)

    shifted = with_injections(found.plan, read_injections(["unit_change column=wind size=100 start=2024-03-03"]))
    verdicts = replay(shifted, tmp_path / "shifted").verdicts
    assert [v.verdict is V.DATA_FAULT for v in verdicts if v.kind is ReportKind.INPUTS] == [False, False, True, True]


_EVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def test_generated_traffic_has_the_rate_and_the_hours_of_its_source(place: Place, tmp_path: Path) -> None:
    question = Question(place.table, workspace=place.workspace.root, generation=Generation(2, 50.0))
    made = find(question, tmp_path, print).plan.traffic
    hours = made.rows["at"].dt.floor("h").value_counts()
    assert made.first.date() == datetime(2024, 3, 1 + DAYS, tzinfo=UTC).date()
    assert len(hours) == 60 * 24
    assert hours.mean() == pytest.approx(50, rel=0.03)
    assert made.rows["flight"].is_unique
    assert not made.rows.duplicated(["at", "wind"]).any()
    sparse = find(
        Question(place.table, workspace=place.workspace.root, generation=Generation(1, 10.0)), tmp_path, print
    )
    assert len(sparse.plan.traffic.rows) == pytest.approx(30 * 240, rel=0.1)


def test_a_version_without_baseline_is_refused_in_words(place: Place, tmp_path: Path) -> None:
    plan = find(Question(place.table, workspace=place.workspace.root), tmp_path, print).plan
    with pytest.raises(NoBaselineError, match=f"version {place.model_version} must have a baseline .* --workspace"):
        replay(ReplayPlan(plan.loop, plan.traffic, {}, plan.entries), tmp_path / "none")
