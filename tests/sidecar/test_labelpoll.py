import contextlib
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from driftloop.adapters.labeltable import LabelTable
from driftloop.sidecar.labelmemory import LabelMemory
from driftloop.sidecar.labelpoll import FIRST_RETRY_SECONDS, LabelPoll, NotTakenError, memory_path, post_to
from driftloop.spec import ModelLoop
from tests.sidecar.conftest import START, at, environment, predictions, wait_until, watermark

INTERVAL_SECONDS = 90.0


def loop_with(labels):
    return ModelLoop.model_validate(
        {
            "apiVersion": "driftloop.dev/v1alpha1",
            "kind": "ModelLoop",
            "metadata": {"name": "flights"},
            "spec": {
                "problem": {"task": "Classification"},
                "data": {"uri": "flights.csv", "targetColumn": "late", "keyColumn": "flight"},
                "monitoring": {"labels": {"pollInterval": "90s", **labels}},
            },
        }
    )


class Posts:
    """A client that remembers, and fails when told to."""

    def __init__(self):
        self.labels = []
        self.requests = 0
        self.fails_after = None

    def __call__(self, labels):
        if self.fails_after is not None and self.requests >= self.fails_after:
            raise NotTakenError("no room")
        self.requests += 1
        self.labels += labels

    def take(self):
        taken, self.labels = self.labels, []
        return taken


@pytest.fixture
def posts():
    return Posts()


@pytest.fixture
def poll_of(tmp_path, posts):
    """Return a function that makes a poll with the memory of its predecessors."""

    def make(uri, *, replay=False, **labels):
        loop = loop_with({"uri": str(uri), **labels})
        table = LabelTable(str(uri), labels.get("query"))
        return LabelPoll(loop, table, LabelMemory(tmp_path / "memory" / "m.seen"), posts, replay=replay)

    return make


def write(path, rows):
    frame = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet", "labels.csv.gz"])
def test_a_row_becomes_a_label_once(poll_of, posts, tmp_path, name):
    table = tmp_path / name
    write(table, {"flight": ["a", "b"], "late": [True, False], "other": [1, 2]})
    poll = poll_of(table)
    assert poll.poll() == INTERVAL_SECONDS
    assert posts.take() == [{"key": "a", "label": True}, {"key": "b", "label": False}]
    write(table, {"flight": ["a", "b", "c"], "late": [True, False, True], "other": [1, 2, 3]})
    poll.poll()
    assert posts.take() == [{"key": "c", "label": True}]
    assert (poll.status.rows, poll.status.posted, poll.status.last_error) == (3, 3, None)


def test_the_same_table_read_again_adds_nothing_also_after_a_restart(poll_of, posts, tmp_path):
    table = tmp_path / "labels.csv"
    write(table, {"flight": [1, 2], "late": [1, 0]})
    poll_of(table).poll()
    assert len(posts.take()) == 2
    again = poll_of(table)
    again.poll()
    again.poll()
    assert posts.take() == []


def test_a_corrected_label_is_posted_again_and_so_is_its_way_back(poll_of, posts, tmp_path):
    table = tmp_path / "labels.csv"
    for value in (1, 0, 1):
        write(table, {"flight": ["a", "b"], "late": [value, 1]})
        poll_of(table).poll()
    assert [label["label"] for label in posts.take() if label["key"] == "a"] == [1, 0, 1]


def test_rows_without_key_or_label_wait(poll_of, posts, tmp_path):
    table = tmp_path / "labels.csv"
    write(table, {"flight": ["a", "b", None], "late": [1.0, None, 1.0]})
    poll = poll_of(table)
    poll.poll()
    assert posts.take() == [{"key": "a", "label": 1.0}]
    assert poll.status.without_label == 2


def test_a_number_that_is_written_otherwise_is_no_change(poll_of, posts, tmp_path):
    table = tmp_path / "labels.csv"
    write(table, {"flight": [1, 2], "late": [1, 0]})
    poll_of(table).poll()
    posts.take()
    write(table, {"flight": [1.0, 2.0, 3.5], "late": [1.0, 0.0, 0.5]})
    poll_of(table).poll()
    assert posts.take() == [{"key": "3.5", "label": 0.5}]


def test_a_replay_without_a_time_column_is_told(poll_of, tmp_path):
    poll = poll_of(tmp_path / "labels.csv", replay=True)
    poll.poll()
    assert "'monitoring.labels.timeColumn' must be set in a replay" in poll.status.last_error


def test_by_wall_clock_the_last_row_of_a_key_holds_and_brings_no_time(poll_of, posts, tmp_path):
    table = tmp_path / "labels.csv"
    write(table, {"flight": ["a", "a"], "late": ["new", "old"], "known": ["2013-03-02", "2013-03-01"]})
    poll_of(table, timeColumn="known").poll()
    assert posts.take() == [{"key": "a", "label": "new"}]
    write(table, {"flight": ["b", "b"], "late": ["first", "second"]})
    poll_of(table).poll()
    assert posts.take() == [{"key": "b", "label": "second"}]


def test_in_a_replay_each_time_of_a_key_is_a_label(poll_of, posts, tmp_path):
    table = tmp_path / "labels.parquet"
    times = [START, START + timedelta(hours=1)]
    write(table, {"flight": ["a", "a"], "late": [False, True], "known": pd.to_datetime(times)})
    poll_of(table, replay=True, timeColumn="known").poll()
    assert [(label["label"], datetime.fromisoformat(label["time"])) for label in posts.take()] == [
        (False, times[0]),
        (True, times[1]),
    ]


def test_a_folder_and_a_pattern_are_one_table(poll_of, posts, tmp_path):
    folder = tmp_path / "arrivals"
    folder.mkdir()
    write(folder / "1.csv", {"flight": ["a"], "late": [1]})
    write(folder / "2.parquet", {"flight": ["b"], "late": [0]})
    poll_of(folder).poll()
    assert {label["key"] for label in posts.take()} == {"a", "b"}
    write(folder / "3.csv", {"flight": ["c"], "late": [0]})
    poll_of(folder / "*.csv").poll()
    assert {label["key"] for label in posts.take()} == {"c"}


@pytest.fixture
def database(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "truth.db")) as connection:
        connection.execute("CREATE TABLE arrivals (flight INTEGER, minutes REAL, note TEXT)")
        connection.execute("INSERT INTO arrivals VALUES (1, 20.5, 'x'), (2, NULL, 'x')")
        connection.commit()
        yield connection


def test_a_database_is_polled_by_table_or_by_statement(poll_of, posts, database, tmp_path):
    uri = f"sqlite:///{tmp_path}/truth.db"
    poll = poll_of(uri, query="arrivals", column="minutes")
    poll.poll()
    assert posts.take() == [{"key": "1", "label": 20.5}]
    database.execute("UPDATE arrivals SET minutes = 3 WHERE flight = 2")
    database.commit()
    poll.poll()
    assert posts.take() == [{"key": "2", "label": 3.0}]
    poll_of(uri, query="SELECT flight + 10 AS flight, minutes > 10 AS late FROM arrivals").poll()
    assert [label["key"] for label in posts.take()] == ["11", "12"]


def test_labels_that_were_not_taken_are_posted_later_and_the_others_not_again(poll_of, posts, tmp_path, monkeypatch):
    monkeypatch.setattr("driftloop.sidecar.labelpoll.POSTED_LABELS", 2)
    table = tmp_path / "labels.csv"
    write(table, {"flight": list("abcde"), "late": [1] * 5})
    poll = poll_of(table)
    posts.fails_after = 1
    assert [poll.poll(), poll.poll()] == [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS]
    assert "must take labels" in poll.status.last_error
    posts.fails_after = None
    assert poll.poll() == INTERVAL_SECONDS
    assert [label["key"] for label in posts.take()] == list("abcde")
    assert (poll.status.failures, poll.status.last_error) == (0, None)


def test_a_torn_memory_is_cut_and_a_long_one_compacted(tmp_path, posts, poll_of, monkeypatch):
    monkeypatch.setattr("driftloop.sidecar.labelmemory.COMPACTED_FROM", 2)
    table, memory = tmp_path / "labels.csv", tmp_path / "memory" / "m.seen"
    for value in range(5):
        write(table, {"flight": ["a", "b"], "late": [value, 0]})
        poll_of(table).poll()
    memory.write_bytes(memory.read_bytes() + b"torn")
    assert len(LabelMemory(memory)) == 2
    assert memory.stat().st_size == 32
    posts.take()
    poll_of(table).poll()
    assert posts.take() == []


WRONG_TABLES = {
    "nothing": (None, "must be a CSV or Parquet file, or a folder of them. Nothing is there"),
    "no column": ({"flight": ["a"], "delay": [3]}, "must have the column 'late'. Got: flight, delay"),
    "broken": (b"PAR1 and no more", "must be readable as CSV or Parquet"),
    "empty": (b"", "must be readable as CSV or Parquet"),
    "wrong time": (
        {"flight": ["a"], "late": [1], "known": ["soon"]},
        "'known' of the label table must hold times. Got 'soon' in row 1",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_TABLES)
def test_a_table_that_can_not_be_used_is_told_and_tried_again(poll_of, posts, tmp_path, wrong):
    content, message = WRONG_TABLES[wrong]
    table = tmp_path / "labels.csv"
    if isinstance(content, bytes):
        table.write_bytes(content)
    elif content is not None:
        write(table, content)
    poll = poll_of(table, **({"timeColumn": "known"} if "known" in message else {}))
    assert poll.poll() == FIRST_RETRY_SECONDS
    assert message in poll.status.last_error
    assert poll.poll() == 2 * FIRST_RETRY_SECONDS
    write(table, {"flight": ["a"], "late": [1], "known": ["2013-03-01"]})
    assert poll.poll() == INTERVAL_SECONDS
    assert len(posts.take()) == 1


def test_values_that_are_no_labels_are_told_with_their_row(poll_of, tmp_path):
    table = tmp_path / "labels.parquet"
    write(table, {"flight": ["a", "b"], "late": [[1], [2]]})
    poll = poll_of(table)
    poll.poll()
    assert "'late' of the label table must hold text, numbers or true and false. Got [1] in row 1" in (
        poll.status.last_error
    )


@pytest.mark.parametrize(
    ("uri", "query", "message"),
    [
        ("sqlite:////nowhere/truth.db", "arrivals", "unable to open database file"),
        ("sqlite://", "SELECT 1 FROM missing", "no such table"),
        ("sqlite://", "SELECT 1 AS flight", "must have the column 'late'"),
        ("nosuchdb://user:secret@host/db", "t", "install the database's driver"),
        ("mysql+nosuchdriver://user:secret@host/db", "t", "install the database's driver"),
    ],
)
def test_a_database_that_can_not_be_asked_is_told_without_its_password(poll_of, uri, query, message):
    poll = poll_of(uri, query=query)
    poll.poll()
    assert message in poll.status.last_error
    assert "secret" not in poll.status.last_error


def test_an_intake_that_is_not_there_is_told():
    with pytest.raises(NotTakenError, match="refused"):
        post_to("http://127.0.0.1:1/labels")([{"key": "a", "label": 1}])


def test_the_process_posts_the_table_to_the_intake_and_ends_without_one(start_intake, monitor_settings, tmp_path):
    table = tmp_path / "labels.csv"
    write(table, {"flight": ["k0", "k1"], "late": [True, False], "known": [at(2)] * 2})
    loop = loop_with({"uri": str(table), "timeColumn": "known", "pollInterval": "100ms"})
    monitor_settings.loop_file.write_text(json.dumps(loop.to_dict()))
    running = start_intake()
    server = running.connect()
    server.send(predictions(0))
    command = [sys.executable, "-m", "driftloop.sidecar", "labels"]
    with subprocess.Popen(command, env=environment(monitor_settings)) as process:
        wait_until(lambda: (running.status()["labelTable"] or {}).get("posted") == 2)
        table.unlink()
        wait_until(lambda: "Nothing is there" in (running.status()["labelTable"]["lastError"] or ""))
        write(table, {"flight": ["k0", "k1"], "late": [True, True], "known": [at(2), at(3)]})
        wait_until(lambda: running.status()["labelTable"]["posted"] == 3)
        assert "driftloop_monitor_label_table_posted_total 3.0" in running.http.get("/metrics").text
        process.kill()
    server.send(watermark(4))
    wait_until(lambda: running.status()["completeThrough"] == at(4))
    joined = running.reader.joined(START, datetime(2100, 1, 1, tzinfo=UTC))
    assert joined.label.tolist() == [True, True]
    assert len(LabelMemory(memory_path(monitor_settings))) == 3
    monitor_settings.loop_file.write_text(json.dumps(loop_with({}).to_dict()))
    assert subprocess.run(command, env=environment(monitor_settings), timeout=60, check=False).returncode == 0
