"""A verdict is a function of its manifest: whatever comes later leaves it as it is."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.spec import ReportKind, VerdictKind
from tests.monitor import traffic
from tests.sidecar.test_evaluator import NOW, Monitored, _batch, _rows, day, found

MUCH_LATER = NOW + timedelta(days=1)


@pytest.fixture
def monitored(tmp_path):
    return Monitored(tmp_path)


def write(monitored, days, *, writer_id="monitor", through, heard=None):
    """Log traffic without labels, as a writer whose clock says `heard`."""
    clock = lambda: heard or datetime.now(UTC)  # noqa: E731
    with PredictionLogWriter(monitored.settings.log_dir, writer_id=writer_id, sync=False, utc_now=clock) as writer:
        for number, table, version in days:
            rows = enumerate(_rows(table))
            writer.append_predictions([_batch(row, f"{writer_id}-{number}-{n}", version) for n, row in rows])
        writer.commit(traffic.START + through * traffic.DAY)


def manifests(monitored):
    store = ManifestStore(monitored.settings.state_dir / "manifests")
    return [store.read(kind, start) for kind in ReportKind for start in store.starts(kind)]


def upkeep(evaluator):
    while evaluator.maintain(MUCH_LATER):
        pass


def test_closing_a_window_writes_down_what_its_verdict_is_made_of(monitored):
    monitored.log([day(0)], through=1)
    monitored.log([day(1)], through=2)
    monitored.evaluator().catch_up(NOW)
    first, second, performance = manifests(monitored)
    assert first == Manifest(
        kind=ReportKind.INPUTS,
        start=traffic.START,
        end=traffic.START + traffic.DAY,
        due=traffic.START + traffic.DAY,
        predictions={"monitor": 2},
        labels={},
        rows=len(day(0)[1]),
        newest=day(0)[1]["time"].max().floor("us").to_pydatetime(),
    )
    assert second.start == first.end
    assert (performance.start, performance.end) == (first.start, first.end)
    assert performance.due == first.end + traffic.DAY
    assert performance.predictions == first.predictions
    assert performance.labels == {"monitor": 2}


def test_recomputed_after_anything_a_verdict_is_the_same(monitored):
    days = [day(n, warmer=10.0 * (n == 1)) for n in range(3)]
    for number, table, version in days:
        monitored.log([(number, table, version)], through=number + 1)
        monitored.evaluator().catch_up(NOW)
    verdicts = {(v.kind, v.window.start): v for v in monitored.verdicts()}
    kept = manifests(monitored)
    late = [(90 + n, day(n, warmer=-20.0)[1], "v1") for n in range(3)]
    monitored.log(late, through=5)  # late rows, and late labels for them
    write(monitored, [day(1, warmer=30.0)], writer_id="latecomer", through=5)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    for _ in range(2):
        assert len(kept) == 5
        for manifest in kept:
            assert evaluator.verdicts_of(manifest) == [verdicts[manifest.kind, manifest.start]]
        upkeep(evaluator)
    files = list((monitored.settings.log_dir / "predictions").rglob("*.parquet"))
    assert len(files) == 3


def test_an_existing_manifest_is_never_replaced(tmp_path):
    store = ManifestStore(tmp_path)
    start = traffic.START
    fields = {"kind": ReportKind.INPUTS, "start": start, "end": start, "due": start, "labels": {}}
    first = store.create(Manifest(predictions={"monitor": 1}, **fields))
    assert store.create(Manifest(predictions={"monitor": 9}, **fields)) == first
    assert store.starts(ReportKind.INPUTS) == [start]
    assert len(list(tmp_path.iterdir())) == 1


def test_late_rows_are_counted_once_and_change_no_verdict(monitored):
    monitored.log([day(0)], through=1)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    before = monitored.verdicts()
    monitored.log([(50, day(0, count=30, warmer=40.0)[1], "v1"), day(1)], through=2)
    evaluator.catch_up(NOW)
    assert monitored.progress().late_rows == 30
    again = monitored.evaluator()
    again.catch_up(NOW)
    upkeep(again)
    monitored.log([], through=2.5)
    again.catch_up(NOW)
    assert monitored.progress().late_rows == 30
    assert monitored.verdicts()[:1] == before
    assert found(monitored.verdicts()) == [(0, "Stable"), (1, "Stable")]
    whole = PredictionLogReader(monitored.settings.log_dir).predictions(traffic.START, traffic.START + 9 * traffic.DAY)
    assert len(whole) == 530


def test_late_rows_are_counted_after_a_kill_between_verdict_and_progress(monitored):
    monitored.log([day(0)], through=1)
    monitored.evaluator().catch_up(NOW)
    state = monitored.settings.state_dir / "state.json"
    before = state.read_bytes()
    monitored.log([(50, day(0, count=30)[1], "v1"), day(1)], through=2)
    monitored.evaluator().catch_up(NOW)
    state.write_bytes(before)
    monitored.evaluator().catch_up(NOW)
    assert monitored.progress().late_rows == 30


def test_a_window_waits_for_every_live_writer(monitored):
    write(monitored, [day(0)], writer_id="pod-a", through=1)
    write(monitored, [day(0)], writer_id="pod-b", through=0.9)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    assert monitored.verdicts() == []
    write(monitored, [], writer_id="pod-b", through=1)
    evaluator.catch_up(NOW)
    (verdict,) = monitored.verdicts()
    assert verdict.window.rows == 500
    assert verdict.silent_writers == ()


def test_a_window_waits_for_a_writer_that_has_only_opened_the_log(monitored):
    write(monitored, [day(0)], writer_id="pod-a", through=1)
    with PredictionLogWriter(monitored.settings.log_dir, writer_id="pod-b") as other:
        monitored.evaluator().catch_up(NOW)
        assert monitored.verdicts() == []
        other.commit(traffic.START + traffic.DAY)
    monitored.evaluator().catch_up(NOW)
    assert len(monitored.verdicts()) == 1


def test_a_silent_writer_is_dropped_after_the_limit_and_named(monitored):
    write(monitored, [day(0)], writer_id="pod-a", through=1)
    silence = timedelta(seconds=monitored.settings.writer_silence_seconds + 1)
    write(monitored, [day(0)], writer_id="pod-b", through=0.9, heard=NOW - silence)
    write(monitored, [], writer_id="pod-c", through=0.5, heard=traffic.START - traffic.DAY)  # gone before the window
    monitored.evaluator().catch_up(NOW)
    (verdict,) = monitored.verdicts()
    assert verdict.silent_writers == ("pod-b",)
    assert verdict.window.rows == 500  # what it had committed counts
    (manifest,) = manifests(monitored)
    assert manifest.silent_writers == ("pod-b",)
    assert manifest.predictions["pod-b"] == 1


def test_what_a_silent_writer_brings_when_it_returns_is_late(monitored):
    write(monitored, [day(0)], writer_id="pod-a", through=1)
    silence = timedelta(seconds=monitored.settings.writer_silence_seconds + 1)
    write(monitored, [], writer_id="pod-b", through=0.1, heard=NOW - silence)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    write(monitored, [day(0, count=40)], writer_id="pod-b", through=1)
    evaluator.catch_up(NOW)
    assert monitored.progress().late_rows == 40
    assert [verdict.window.rows for verdict in monitored.verdicts()] == [250]


def test_when_every_writer_is_silent_nothing_closes(monitored):
    write(monitored, [day(0)], through=1, heard=NOW - timedelta(hours=1))
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts() == []


def test_in_a_replay_every_writer_is_waited_for(monitored):
    monitored.settings = monitored.settings.model_copy(update={"clock": "replay"})
    write(monitored, [day(0)], writer_id="pod-a", through=1, heard=NOW - timedelta(days=400))
    write(monitored, [day(0)], writer_id="pod-b", through=0.9, heard=NOW - timedelta(days=400))
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    assert monitored.verdicts() == []
    write(monitored, [], writer_id="pod-b", through=1, heard=NOW - timedelta(days=400))
    evaluator.catch_up(NOW)
    assert [verdict.window.rows for verdict in monitored.verdicts()] == [500]


def test_a_damaged_segment_is_said_in_the_verdict_and_the_next_window_is_judged(monitored, caplog):
    monitored.log([day(0)], through=0.9)
    path = next((monitored.settings.log_dir / "predictions").rglob("*.parquet"))
    monitored.log([day(0, count=300)], through=1)
    monitored.log([day(1)], through=2)
    content = path.read_bytes()
    os.truncate(path, 500)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    evaluator.catch_up(NOW)
    first, second = (v for v in monitored.verdicts() if v.kind is ReportKind.INPUTS)
    assert first.verdict is VerdictKind.NOT_ENOUGH_DATA
    assert f"The window can't be read. The file '{path}'" in first.summary
    assert second.verdict is VerdictKind.STABLE
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    path.write_bytes(content)
    (recomputed,) = evaluator.verdicts_of(manifests(monitored)[0])
    assert recomputed.window.rows == 300


def test_retention_leaves_what_labels_still_expected_may_need(tmp_path):
    monitored = Monitored(tmp_path)
    text = monitored.loop_file.read_text()
    monitored.loop_file.write_text(text.replace("expectedDelay: 1d}", "expectedDelay: 4d}\n    logRetention: 2d"))
    monitored.log([day(n) for n in range(8)], through=8)
    evaluator = monitored.evaluator()
    evaluator.catch_up(NOW)
    upkeep(evaluator)
    dates = sorted((monitored.settings.log_dir / "predictions").iterdir())
    assert len(dates) == 7  # days 4 to 7, whose performance is not judged yet, and the three before that go with them
    monitored.log([], through=30)
    evaluator.catch_up(NOW)
    upkeep(evaluator)
    assert not list((monitored.settings.log_dir / "predictions").iterdir())
    assert len([v for v in monitored.verdicts() if v.kind is ReportKind.PERFORMANCE]) == 8
    assert all(v.verdict is not VerdictKind.NOT_ENOUGH_DATA for v in monitored.verdicts())


def test_verdicts_of_an_earlier_version_are_gone_on_from(monitored):
    """A state folder without manifests: windows that have a verdict are not judged again."""
    monitored.log([day(0), day(1)], through=2)
    monitored.evaluator().catch_up(NOW)
    before = monitored.verdicts()
    for path in (monitored.settings.state_dir / "manifests").iterdir():
        path.unlink()
    monitored.log([day(2)], through=3)
    monitored.evaluator().catch_up(NOW)
    assert monitored.verdicts()[: len(before)] == before
    assert found(monitored.verdicts()[len(before) :]) == [(2, "Stable")]
