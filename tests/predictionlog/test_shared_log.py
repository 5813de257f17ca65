"""One log of several writers in a real object store: shipped, mirrored, looked after, and the same rows throughout."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftloop.adapters.loggedtable import collect_logged
from driftloop.adapters.logobjects import LogObjects
from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from driftloop.predictionlog.logstore import StoreUnavailableError
from driftloop.predictionlog.mirror import LogMirror, copy_log
from driftloop.predictionlog.segments import view_of
from driftloop.predictionlog.shipping import LogShipper, WriterNotUniqueError
from driftloop.predictionlog.storeupkeep import REMOVE_AFTER, StoreUpkeep
from driftloop.spec import DataSpec, TrainingRows
from driftloop.stages.loggedrows import NoTrainingRowsError, UnreadableTrainingRowsError
from tests.predictionlog.samples import FOREVER, START, at, batch, label
from tests.sharedstore import Faulty, s3, store_uri

__all__ = ["s3", "store_uri"]

STORE = LogObjects()
AGES_AGO = date.min


def soon():
    """A moment at which what was merged just now may be removed."""
    return datetime.now(UTC) + REMOVE_AFTER + timedelta(minutes=1)


class Pod:
    """A writer with a disk of its own."""

    def __init__(self, root, name, log_uri, store=STORE):
        self.root, self.name = root / name, name
        self.shipper = LogShipper(self.root, name, store, log_uri, keep=timedelta(0))

    def write(self, *batches, labels=(), through=None):
        with PredictionLogWriter(self.root, writer_id=self.name, sync=False) as writer:
            writer.append_predictions(batches)
            writer.append_labels(labels)
            writer.commit(through)


def rows_at(log_uri, folder, view=None):
    mirror = LogMirror(STORE, log_uri, folder)
    view = view_of(mirror.commits()) if view is None else view
    copy_log(STORE, log_uri, folder, view)
    return PredictionLogReader(folder).joined(START - timedelta(days=9), FOREVER, view=view)


@pytest.fixture
def log_uri(store_uri):
    return f"{store_uri}/log"


def test_what_is_shipped_is_read_as_it_was_written(tmp_path, log_uri):
    pods = [Pod(tmp_path, name, log_uri) for name in ("pod-a", "pod-b")]
    for number, pod in enumerate(pods):
        pod.write(batch(10 * number, hours=1), labels=[label(True, hours=30, key=f"k{10 * number}")], through=at(2))
        pod.write(batch(10 * number + 2, hours=26), through=at(27))
        pod.shipper.ship()
    rows = rows_at(log_uri, tmp_path / "copy")
    assert sorted(rows["prediction_id"]) == ["p0", "p1", "p10", "p11", "p12", "p13", "p2", "p3"]
    assert sorted(rows[rows["label"].notna()]["prediction_id"]) == ["p0", "p10"]
    assert PredictionLogReader(tmp_path / "copy").complete_through() == at(27)


def test_what_the_store_has_leaves_the_local_disk_and_what_it_lacks_stays(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    pod.write(batch(0))
    pod.shipper.ship()
    pod.write(batch(2))
    pod.shipper.clean(datetime.now(UTC))
    assert [path.name for path in pod.root.rglob("*.parquet")] == ["pod-a-0000000002.parquet"]
    pod.shipper.ship()
    pod.shipper.clean(datetime.now(UTC))
    assert list(pod.root.rglob("*.parquet")) == []
    assert len(rows_at(log_uri, tmp_path / "copy")) == 4


def test_an_idle_writers_sign_of_life_is_shipped(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    pod.write(through=at(1))
    first = pod.shipper.ship()
    pod.write(through=at(2))
    assert pod.shipper.ship().heartbeat > first.heartbeat
    assert LogMirror(STORE, log_uri, tmp_path / "copy").commits()["pod-a"].complete_through == at(2)


def test_nobody_waits_for_a_writer_that_said_goodbye_until_it_is_back(tmp_path, log_uri):
    gone, stays = (Pod(tmp_path, name, log_uri) for name in ("gone", "stays"))
    gone.write(batch(0), through=at(1))
    gone.shipper.ship(ended=True)
    stays.write(batch(2, hours=8), through=at(9))
    stays.shipper.ship()
    copy_log(STORE, log_uri, tmp_path / "copy", {"gone": 9, "stays": 9})
    assert PredictionLogReader(tmp_path / "copy").complete_through() == at(9)
    gone.write()
    gone.shipper.ship()
    copy_log(STORE, log_uri, tmp_path / "again", {"gone": 9, "stays": 9})
    assert PredictionLogReader(tmp_path / "again").complete_through() == at(1)


def test_a_writer_id_that_comes_again_on_an_empty_disk_is_refused(tmp_path, log_uri):
    Pod(tmp_path / "first", "pod-a", log_uri).write(batch(0))
    Pod(tmp_path / "first", "pod-a", log_uri).shipper.ship()
    again = Pod(tmp_path / "second", "pod-a", log_uri)
    again.write()
    with pytest.raises(WriterNotUniqueError, match="'pod-a' must belong to one log only"):
        again.shipper.ship()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(failures=st.lists(st.integers(1, 9), max_size=8), restarts=st.sets(st.integers(0, 40)))
def test_a_commit_in_the_store_never_promises_what_is_not_there(tmp_path_factory, s3, failures, restarts):
    root = tmp_path_factory.mktemp("shipped")
    log_uri, store = f"{s3.uri}/{uuid.uuid4().hex}/log", Faulty()
    pod = Pod(root, "pod-a", log_uri, store)
    store.calls_until_failure = list(failures)
    for number in range(4):
        pod.write(batch(10 * number, hours=20 * number), batch(10 * number + 5, hours=20 * number + 9))
        for attempt in range(20):
            if 10 * number + attempt in restarts:
                pod = Pod(root, "pod-a", log_uri, store)  # the process died; its disk is still there
            try:
                pod.shipper.ship()
            except ConnectionError:
                commits = LogMirror(STORE, log_uri, root / "none").commits()
                promised = commits["pod-a"].counts.rows if commits else 0
                assert len(rows_at(log_uri, root / f"copy-{number}-{attempt}")) == promised
            else:
                break
        pod.shipper.clean(datetime.now(UTC))
    assert len(rows_at(log_uri, root / "end")) == 16


def test_a_mirror_fetches_the_dates_asked_for_and_late_rows_of_older_ones(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    pod.write(batch(0, hours=1), batch(2, hours=49), through=at(50))
    pod.shipper.ship()
    mirror = LogMirror(STORE, log_uri, tmp_path / "copy")
    mirror.commits()
    mirror.pull(at(48).date(), counted={"pod-a": 1})
    reader = PredictionLogReader(tmp_path / "copy")
    assert list(reader.predictions(START, FOREVER)["prediction_id"]) == ["p2", "p3"]
    pod.write(batch(4, hours=2), batch(6, hours=50))
    pod.shipper.ship()
    assert len(reader.predictions(START, FOREVER)) == 2, "nothing counts before its commit is there"
    mirror.commits()
    mirror.pull(at(48).date(), counted={"pod-a": 1})
    assert set(reader.predictions(START, FOREVER)["prediction_id"]) >= {"p2", "p3", "p4", "p5", "p6", "p7"}


def look_after(log_uri, scratch, *, complete_through, through=None, retention=timedelta(days=365)):
    upkeep = StoreUpkeep(STORE, log_uri, retention=retention, scratch=scratch)
    commits = LogMirror(STORE, log_uri, scratch).commits()
    view = view_of(commits) if through is None else through
    arguments = {"through": view, "complete_through": complete_through, "needed_since": complete_through}
    steps = 0
    while upkeep.step(commits, **arguments, now=soon()):
        steps += 1
        assert steps < 100
        commits = LogMirror(STORE, log_uri, scratch).commits()
    return [file.name for file in STORE.listing(log_uri)]


def test_a_date_that_is_over_becomes_one_file_and_keeps_its_rows(tmp_path, log_uri):
    pods = [Pod(tmp_path, name, log_uri) for name in ("pod-a", "pod-b")]
    for number in range(6):
        pod = pods[number % 2]
        pod.write(batch(10 * number, hours=4 * number), labels=[label(True, hours=23, key=f"k{10 * number}")])
        pod.shipper.ship()
    view = view_of(LogMirror(STORE, log_uri, tmp_path / "none").commits())
    before = rows_at(log_uri, tmp_path / "before")
    names = look_after(log_uri, tmp_path / "scratch", complete_through=at(24))
    assert sum(name.startswith("predictions/") for name in names) == 2
    assert sum(name.startswith("labels/") for name in names) == 2
    pods[0].write(batch(90, hours=5))
    pods[0].shipper.ship()
    pd.testing.assert_frame_equal(rows_at(log_uri, tmp_path / "pinned", view), before)
    assert len(rows_at(log_uri, tmp_path / "late")) == len(before) + 2


def test_two_that_merge_the_same_date_lose_and_double_nothing(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    for number in range(4):
        pod.write(batch(10 * number, hours=number))
        pod.shipper.ship()
    before = rows_at(log_uri, tmp_path / "before")
    slow = StoreUpkeep(STORE, log_uri, retention=timedelta(days=365), scratch=tmp_path / "slow")
    files = slow._dates("predictions")[START.date()]
    look_after(log_uri, tmp_path / "quick", complete_through=at(24))
    assert not slow._settle("predictions", START.date(), files, {"pod-a": 2}, soon())
    look_after(log_uri, tmp_path / "quick", complete_through=at(24))
    pd.testing.assert_frame_equal(rows_at(log_uri, tmp_path / "after"), before)


def test_dates_past_retention_go_and_so_do_writers_of_which_nothing_is_left(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    pod.write(batch(0, hours=1), batch(2, hours=60))
    pod.shipper.ship()
    look_after(log_uri, tmp_path / "x", complete_through=at(96), retention=timedelta(days=2))
    assert list(rows_at(log_uri, tmp_path / "copy")["prediction_id"]) == ["p2", "p3"]
    ten_years = datetime.now(UTC) + timedelta(days=3650)
    assert look_after(log_uri, tmp_path / "x", complete_through=ten_years, retention=timedelta(days=2)) == []


def test_an_absent_store_is_one_error_with_a_plain_sentence(monkeypatch, tmp_path):
    pod = Pod(tmp_path, "pod-a", "memory-of-nobody://x/log")
    pod.write(batch(0))
    with pytest.raises(Exception, match="must be a path or of a store that can be reached"):
        pod.shipper.ship()
    monkeypatch.setattr("driftloop.adapters.logobjects.FsspecStore.read", lambda *_: 1 / 0)
    with pytest.raises(StoreUnavailableError, match=r"must answer for 's3://b/x'\. It did not: ZeroDivisionError"):
        LogObjects().read("s3://b/x")


DATA = DataSpec(uri="x", target_column="late", key_column="flight", time_column="departure")


@pytest.fixture
def training_rows(tmp_path, log_uri):
    pod = Pod(tmp_path, "pod-a", log_uri)
    labels = [label(number % 2 == 0, hours=9, key=f"k{number}") for number in range(6)]
    pod.write(batch(0, hours=1), batch(2, hours=2), batch(4, hours=3), batch(6, hours=4), labels=labels)
    pod.shipper.ship()
    return TrainingRows(log_uri=log_uri, view={"pod-a": 1}, through=at(10), leave_out=((at(2), at(3)),))


def collected(tmp_path, rows, data=DATA):
    file = tmp_path / "rows.log.json"
    file.write_text(rows.model_dump_json(by_alias=True))
    return collect_logged(file, data).to_pandas()


def test_a_retraining_reads_the_same_table_from_the_store_and_from_the_disk(tmp_path, training_rows):
    table = collected(tmp_path, training_rows)
    assert list(table["flight"]) == ["k0", "k1", "k4", "k5"]
    assert list(table.columns) == ["distance", "late", "departure", "flight"]
    local = training_rows.model_copy(update={"log_uri": str(tmp_path / "pod-a")})
    pd.testing.assert_frame_equal(collected(tmp_path, local), table)
    assert "logged_at" in collected(tmp_path, local, DataSpec(uri="x", target_column="late")).columns


def test_rows_that_came_after_the_order_are_not_trained_on(tmp_path, log_uri, training_rows):
    table = collected(tmp_path, training_rows)
    pod = Pod(tmp_path, "pod-a", log_uri)
    pod.write(batch(50, hours=1), labels=[label(True, hours=5, key=key) for key in ("k1", "k50", "k7")])
    pod.shipper.ship()
    look_after(log_uri, tmp_path / "x", complete_through=at(24))
    pd.testing.assert_frame_equal(collected(tmp_path, training_rows), table)


def test_no_labelled_row_and_a_file_that_names_none_are_told_in_words(tmp_path, training_rows):
    with pytest.raises(NoTrainingRowsError, match=r"must hold labelled rows up to .* 1 quarantined windows\. Got none"):
        collected(tmp_path, training_rows.model_copy(update={"view": {}}))
    file = tmp_path / "broken.log.json"
    file.write_text('{"logUri": "x", "view": {}}')
    with pytest.raises(UnreadableTrainingRowsError, match="Its through is wrong: Field required"):
        collect_logged(file, DATA.model_copy(update={"uri": "s3://b/broken.log.json"}))
