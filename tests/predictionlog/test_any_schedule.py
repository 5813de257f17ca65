"""In whatever order, how often, by which writer and through which crashes records come: the joined view is the same."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.predictionlog import Label, PredictionBatch, PredictionLogReader, PredictionLogWriter, compaction
from driftloop.predictionlog.maintenance import LogMaintainer
from tests.predictionlog.dying import Died, die_at_call
from tests.predictionlog.samples import FOREVER, START, at

DAYS = 3
MUCH_LATER = datetime.now(UTC) + timedelta(days=1)
WRITERS = ("monitor", "pod-a", "pod-b")

hours = st.integers(0, 24 * DAYS - 1)
keys = st.sampled_from(["a", "b", "c"])
cells = st.sampled_from([1.0, 2.5, None, "word", True])
features = st.dictionaries(st.sampled_from(["x", "y"]), cells, min_size=1)
predictions = st.lists(st.tuples(hours, st.none() | keys, features), min_size=1, max_size=8)
targets = st.tuples(st.sampled_from(["key", "prediction_id"]), st.integers(0, 9))
labels = st.lists(st.tuples(hours, targets, st.sampled_from([1.0, 0.0, "late", True])), max_size=10)


@dataclass(frozen=True)
class Step:
    """One thing that happens after a record was sent."""

    what: str
    dies_at: int
    """Call that changes the disk before which the process dies; many calls are fewer than 30."""


steps = st.lists(
    st.builds(Step, st.sampled_from(["nothing", "commit", "upkeep", "open upkeep"]), st.integers(1, 30)), max_size=20
)


def make_records(predictions, labels):
    made = []
    for number, (hour, key, cells_by_name) in enumerate(predictions):
        values = {name: [value] for name, value in cells_by_name.items()}
        made.append(PredictionBatch("v", at(hour), [f"p{number}"], [key], values, {"prediction": [1]}))
    for hour, (by, number), value in labels:
        name = {"key": "abcdefghij"[number]} if by == "key" else {"prediction_id": f"p{number}"}
        made.append(Label(label=value, time=at(hour), **name))
    return made


class Schedule:
    """A log written by several writers that die and come back."""

    def __init__(self, root, retention):
        self.root = root
        self.maintainer = LogMaintainer(root, retention)
        self.writers = {}

    def send(self, writer_id, record, dies_at):
        """Send until it is acknowledged, as the tap does: what died may have kept it already."""

        def append():
            log = self.open(writer_id)
            (log.append_labels if isinstance(record, Label) else log.append_predictions)([record])

        if not self.survives(append, dies_at, writer_id):
            append()

    def do(self, step, writer_id):
        through = FOREVER if step.what == "upkeep" else START
        if step.what == "commit":
            self.survives(lambda: self.open(writer_id).commit(), step.dies_at, writer_id)
        elif step.what != "nothing":
            self.survives(lambda: self.upkeep(through), step.dies_at, writer_id)

    def upkeep(self, through):
        view = PredictionLogReader(self.root).view()
        while self.maintainer.step(through=view, complete_through=through, needed_since=at(24), now=MUCH_LATER):
            pass

    def open(self, writer_id):
        if writer_id not in self.writers:
            self.writers[writer_id] = PredictionLogWriter(self.root, writer_id=writer_id, sync=False)
        return self.writers[writer_id]

    def survives(self, action, dies_at, writer_id):
        with pytest.MonkeyPatch.context() as patch:
            die_at_call(patch, dies_at)
            try:
                action()
            except Died:
                alive = False
            else:
                alive = True
        if not alive and writer_id in self.writers:
            self.writers.pop(writer_id).close()
        return alive

    def finish(self):
        for writer_id in WRITERS:
            with self.open(writer_id) as log:
                log.commit()


def views(root, first_hour):
    """Return the joined view as a whole, of every day, of an hour, and with the labels of an earlier time."""
    reader = PredictionLogReader(root)
    bounds = [(first_hour, 24 * DAYS), *((day * 24, day * 24 + 24) for day in range(first_hour // 24, DAYS)), (30, 31)]
    found = [reader.joined(at(start), at(end)) for start, end in bounds]
    return [*found, reader.joined(at(first_hour), FOREVER, labelled_by=at(50))]


@settings(max_examples=20, deadline=None)
@given(data=st.data(), predictions=predictions, labels=labels, steps=steps)
def test_any_schedule_gives_the_same_joined_view(tmp_path_factory, data, predictions, labels, steps):
    records = make_records(predictions, labels)
    repeated = data.draw(st.lists(st.sampled_from(records), max_size=4), label="sent twice")
    sent = data.draw(st.permutations(records + repeated), label="order")
    writers = data.draw(st.lists(st.sampled_from(WRITERS), min_size=len(sent), max_size=len(sent)), label="writers")
    deaths = data.draw(st.lists(st.integers(1, 12), min_size=len(sent), max_size=len(sent)), label="deaths")
    removes_first_day = data.draw(st.booleans(), label="first day is removed")

    plain = tmp_path_factory.mktemp("plain")
    with PredictionLogWriter(plain, writer_id="monitor", sync=False) as log:
        log.append_predictions([record for record in records if isinstance(record, PredictionBatch)])
        log.append_labels([record for record in records if isinstance(record, Label)])
        log.commit()

    root = tmp_path_factory.mktemp("scheduled")
    schedule = Schedule(root, timedelta(0) if removes_first_day else timedelta(days=36500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "OPEN_DATE_SEGMENTS", 2)
        patch.setattr(compaction, "LATE_SEGMENTS", 2)
        patch.setattr(compaction, "ROW_GROUP_ROWS", 2)
        for number, (record, writer_id, dies_at) in enumerate(zip(sent, writers, deaths, strict=True)):
            schedule.send(writer_id, record, dies_at)
            if number < len(steps):
                schedule.do(steps[number], writer_id)
        schedule.finish()
        for _ in range(2):
            first_hour = 24 if removes_first_day else 0
            for expected, seen in zip(views(plain, first_hour), views(root, first_hour), strict=True):
                pd.testing.assert_frame_equal(seen, expected)
            schedule.upkeep(FOREVER)
    if removes_first_day:
        assert PredictionLogReader(root).predictions(START, at(24)).empty
