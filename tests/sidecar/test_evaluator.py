"""The evaluator on a real log: every window judged once, whatever happens to the process."""

import multiprocessing
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from driftloop.controller.monitorview import MonitorView
from driftloop.monitor.engines import SciPyEngine
from driftloop.predictionlog import Label, PredictionBatch, PredictionLogWriter
from driftloop.sidecar.evaluator import Evaluator, make_engine
from driftloop.sidecar.settings import MonitorSettings
from driftloop.sidecar.verdictjournal import Progress
from driftloop.spec import DriftReport, ReportKind, Verdict, VerdictKind
from driftloop.spec.loading import read_modelloop
from tests.monitor import traffic
from tests.pagecheck import check_page

LOOP = """
apiVersion: driftloop.dev/v1alpha1
kind: ModelLoop
metadata: {name: flight-delays}
spec:
  problem: {task: Classification}
  data: {uri: flights.parquet, targetColumn: late}
  monitoring:
    engine: SciPy
    window: {duration: 1d, minRows: 200}
    labels: {expectedDelay: 1d}
    reportHistoryLimit: LIMIT
"""


class Monitored:
    """A loop's folders, its log and its evaluator."""

    def __init__(self, root: Path, limit: int = 100) -> None:
        loop_file = root / "loop.yaml"
        loop_file.parent.mkdir(parents=True, exist_ok=True)
        loop_file.write_text(LOOP.replace("LIMIT", str(limit)))
        self.loop_file = loop_file
        self.settings = MonitorSettings(
            loop_file=loop_file,
            loop_uid="uid-1",
            log_dir=root / "log",
            state_dir=root / "state",
            baselines_dir=root / "baselines",
            tap_socket=root / "tap.sock",
            poll_interval_seconds=0.02,
        )
        self.give_baseline("v1")

    reference_rows = 4000

    def give_baseline(self, version: str) -> None:
        folder = self.settings.baselines_dir / version
        folder.mkdir(parents=True)
        baseline = traffic.baseline_of(traffic.rows(self.reference_rows, seed=1))
        (folder / "schema.json").write_text(traffic.SCHEMA.model_dump_json(by_alias=True))
        (folder / "baseline.json").write_text(baseline.model_dump_json(by_alias=True))

    def log(self, days: list[tuple[int, pd.DataFrame, str]], through: float) -> None:
        """Log days of traffic with their labels, then commit through a day."""
        with PredictionLogWriter(self.settings.log_dir, writer_id="monitor", sync=False) as writer:
            for day, table, version in days:
                writer.append_predictions([_batch(row, f"{day}-{n}", version) for n, row in enumerate(_rows(table))])
                writer.append_labels(
                    [
                        Label(prediction_id=f"{day}-{n}", key=None, label=bool(row["label"]), time=row["time"] + HALF)
                        for n, row in enumerate(_rows(table))
                    ]
                )
            writer.commit(traffic.START + through * traffic.DAY)

    def evaluator(self) -> Evaluator:
        return Evaluator(read_modelloop(self.loop_file), self.settings, SciPyEngine())

    def verdicts(self) -> list[Verdict]:
        """Read as the controller does: a line still being written is no verdict yet."""
        return list(MonitorView(self.settings.state_dir).verdicts())

    def reports(self) -> list[DriftReport]:
        files = (self.settings.state_dir / "reports").glob("*.json")
        return sorted((DriftReport.model_validate_json(f.read_bytes()) for f in files), key=lambda r: r.created_at)

    def progress(self) -> Progress:
        return Progress.model_validate_json((self.settings.state_dir / "state.json").read_bytes())


HALF = timedelta(hours=12)
NOW = datetime.now(UTC)


def _rows(table):
    return table.assign(time=table["time"].dt.floor("us")).to_dict("records")


def _batch(row, prediction_id, version):
    features = {name: [row[name]] for name in ("temp", "carrier", "night")}
    features["booked"] = [row["booked"].isoformat()]
    return PredictionBatch(
        model_version=version,
        time=row["time"].to_pydatetime(),
        prediction_ids=[prediction_id],
        keys=None,
        features=features,
        outputs={"prediction": [bool(row["prediction"])], "probability": [row["probability"]]},
    )


def day(number, *, version="v1", count=250, warmer=0.0):
    table = traffic.rows(count, seed=100 + number, start=traffic.START + number * traffic.DAY)
    return number, table.assign(temp=table["temp"] + warmer), version


def found(verdicts, kind=ReportKind.INPUTS):
    return [((v.window.start - traffic.START).days, v.verdict.value) for v in verdicts if v.kind is kind]


@pytest.fixture
def monitored(tmp_path):
    return Monitored(tmp_path)


def test_windows_are_judged_in_the_order_in_which_they_fell_due(monitored):
    monitored.log([day(0), day(1), day(2)], through=3)
    monitored.evaluator().catch_up(NOW)
    assert [(v.kind.value, (v.window.start - traffic.START).days) for v in monitored.verdicts()] == [
        ("inputs", 0),
        ("inputs", 1),
        ("performance", 0),
        ("inputs", 2),
        ("performance", 1),
    ]


def test_progress_is_written_when_everything_due_is_judged(monitored):
    monitored.log([day(0)], through=1.5)
    monitored.evaluator().catch_up(NOW)
    through = traffic.START + 1.5 * traffic.DAY
    assert monitored.progress() == Progress(
        complete_through=through,
        evaluated_through={ReportKind.INPUTS: through, ReportKind.PERFORMANCE: through - traffic.DAY},
        counted={"monitor": 1},
    )


def test_without_a_log_nothing_is_written(monitored):
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts() == []


def test_a_second_look_adds_nothing(monitored):
    monitored.log([day(0), day(1)], through=2)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    before = monitored.verdicts()
    evaluator.catch_up(NOW)
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts() == before


def test_looking_often_and_looking_once_give_the_same_verdicts(tmp_path):
    days = [day(n, warmer=10.0 * (n == 1)) for n in range(4)]
    once, often = Monitored(tmp_path / "once"), Monitored(tmp_path / "often")
    once.log(days, through=5)
    once.evaluator().catch_up(NOW)
    evaluator = often.evaluator()
    for number, table, version in days:
        often.log([(number, table, version)], through=number + 1)
        evaluator.catch_up(NOW)
    often.log([], through=5)
    evaluator.catch_up(NOW)
    assert often.verdicts() == once.verdicts()
    assert often.reports() == once.reports()


def test_a_report_is_written_when_the_verdict_changes(monitored):
    warmer = {1: 10.0, 2: 10.0}
    monitored.log([day(n, warmer=warmer.get(n, 0.0)) for n in range(5)], through=5)
    monitored.evaluator().catch_up(NOW)
    assert found(monitored.verdicts()) == [
        (0, "Stable"),
        (1, "CovariateDrift"),
        (2, "CovariateDrift"),
        (3, "Stable"),
        (4, "Stable"),
    ]
    reports = [report for report in monitored.reports() if report.verdict.kind is ReportKind.INPUTS]
    assert [report.verdict.verdict.value for report in reports] == ["CovariateDrift", "Stable"]
    assert reports[0].created_at == traffic.START + 2 * traffic.DAY
    assert (reports[0].loop, reports[0].loop_uid) == ("flight-delays", "uid-1")


def test_each_report_has_a_page_and_the_page_goes_with_its_report(tmp_path):
    monitored = Monitored(tmp_path, limit=2)
    monitored.log([day(n, warmer=10.0 * (n % 2)) for n in range(5)], through=5)
    monitored.evaluator().catch_up(NOW)
    reports = {report.name: report for report in monitored.reports()}
    pages = {page.stem: page for page in (monitored.settings.state_dir / "reports").glob("*.html")}
    assert pages.keys() == reports.keys()
    for name, page in pages.items():
        assert reports[name].verdict.summary in check_page(page.read_text()).texts


def test_a_page_that_can_not_be_drawn_costs_no_verdict(monitored, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("driftloop.monitor.evidence.build_evidence_page", fail)
    monitored.log([day(0, warmer=10.0)], through=1)
    monitored.evaluator().catch_up(NOW)
    assert found(monitored.verdicts()) == [(0, "CovariateDrift")]
    assert "can't be drawn" in caplog.text


def test_only_the_newest_reports_are_kept(tmp_path):
    monitored = Monitored(tmp_path, limit=2)
    monitored.log([day(n, warmer=10.0 * (n % 2)) for n in range(5)], through=5)
    monitored.evaluator().catch_up(NOW)
    assert len(monitored.reports()) == 2
    assert monitored.reports()[-1].created_at == traffic.START + 5 * traffic.DAY


def test_a_switch_of_models_within_a_window_gives_both_a_verdict(monitored):
    monitored.give_baseline("v2")
    _, table, _ = day(0, count=500)
    monitored.log([(0, table[:240], "v1"), (1, table[240:], "v2")], through=1)
    monitored.evaluator().catch_up(NOW)
    assert [(v.model_version, v.verdict, v.window.rows) for v in monitored.verdicts()] == [
        ("v1", VerdictKind.STABLE, 240),
        ("v2", VerdictKind.STABLE, 260),
    ]


def test_a_version_with_few_rows_in_the_window_is_not_judged(monitored):
    monitored.give_baseline("v2")
    _, table, _ = day(0, count=500)
    monitored.log([(0, table[:480], "v1"), (1, table[480:], "v2")], through=1)
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts()[1].verdict is VerdictKind.NOT_ENOUGH_DATA


def test_a_missing_baseline_is_said_once_and_looked_for_again(monitored, caplog):
    monitored.log([day(0, version="v2"), day(1, version="v2")], through=2)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    assert found(monitored.verdicts()) == [(0, "NotEnoughData"), (1, "NotEnoughData")]
    assert "no readable baseline" in monitored.verdicts()[0].summary
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    monitored.give_baseline("v2")
    monitored.log([day(2, version="v2")], through=3)
    evaluator.catch_up(NOW)
    assert found(monitored.verdicts())[-1] == (2, "Stable")


def test_a_line_that_a_crash_cut_short_is_written_again(monitored):
    monitored.log([day(0), day(1)], through=3)
    monitored.evaluator().catch_up(NOW)
    before = monitored.verdicts()
    file = monitored.settings.state_dir / "verdicts.jsonl"
    file.write_bytes(file.read_bytes()[:-40])
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts() == before


def test_a_crash_between_two_versions_of_a_window_loses_neither(monitored):
    monitored.give_baseline("v2")
    _, table, _ = day(0, count=500)
    monitored.log([(0, table[:240], "v1"), (1, table[240:], "v2")], through=1)
    monitored.evaluator().catch_up(NOW)
    before = monitored.verdicts()
    file = monitored.settings.state_dir / "verdicts.jsonl"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts() == before


# Python 3.12 warns of forking with threads around; the child starts none and is killed.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_any_moment_no_verdict_is_lost_or_doubled(tmp_path):
    days = [day(n, warmer=10.0 * (n % 3 == 1)) for n in range(6)]
    whole, killed = Monitored(tmp_path / "whole"), Monitored(tmp_path / "killed")
    whole.log(days, through=7)
    whole.evaluator().catch_up(NOW)
    killed.log(days, through=7)
    chance = random.Random(0)
    while len(killed.verdicts()) < len(whole.verdicts()):
        process = multiprocessing.get_context("fork").Process(target=lambda: killed.evaluator().catch_up(NOW))
        seen = len(killed.verdicts())
        process.start()
        while process.is_alive() and len(killed.verdicts()) == seen:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)  # into the report, the next line, the progress or the next window
        process.kill()
        process.join()
    killed.evaluator().catch_up(NOW)
    assert (killed.settings.state_dir / "verdicts.jsonl").read_bytes().endswith(b"\n")
    assert killed.verdicts() == whole.verdicts()
    assert killed.reports() == whole.reports()


def test_the_engine_is_the_one_the_loop_names():
    assert make_engine("SciPy").name == "SciPy"
    assert make_engine("AlibiDetect").name == "AlibiDetect"
