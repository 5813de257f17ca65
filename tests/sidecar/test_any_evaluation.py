"""However traffic came into the log, and however often the evaluator died: the same windows and the same verdicts."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.predictionlog import Label, PredictionLogWriter
from tests.monitor import traffic
from tests.predictionlog.dying import Died, die_at_call
from tests.sidecar.test_evaluator import HALF, NOW, Monitored, _batch, _rows, day

DAYS = 4
WRITERS = ("pod-a", "pod-b")
UPKEEP_TIME = NOW + timedelta(days=1)
TABLES = [day(number, count=60, warmer=12.0 * (number == 2))[1] for number in range(DAYS)]
LATE = day(0, count=20, warmer=-30.0)[1]


class Small(Monitored):
    """A loop with small windows, and a reference that carries four of them together."""

    reference_rows = 10_000

    def __init__(self, root):
        super().__init__(root)
        text = self.loop_file.read_text()
        self.loop_file.write_text(text.replace("minRows: 200", "minRows: 50"))

    def send(self, writer_id, records, through):
        with PredictionLogWriter(self.settings.log_dir, writer_id=writer_id, sync=False) as writer:
            for record in records:
                (writer.append_labels if isinstance(record, Label) else writer.append_predictions)([record])
                if writer.pending.rows >= 25:
                    writer.commit()
            writer.commit(traffic.START + through * traffic.DAY)


def predictions_of(number, table=None):
    rows = _rows(TABLES[number] if table is None else table)
    prefix = number if table is None else f"late-{number}"
    return [_batch(row, f"{prefix}-{n}", "v1") for n, row in enumerate(rows)]


def labels_of(number):
    return [
        Label(prediction_id=f"{number}-{n}", label=bool(row["label"]), time=row["time"] + HALF)
        for n, row in enumerate(_rows(TABLES[number]))
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    monitored = Small(tmp_path_factory.mktemp("plain"))
    for number in range(DAYS):
        monitored.send("monitor", predictions_of(number) + labels_of(number), through=number + 1)
    monitored.send("monitor", [], through=DAYS + 1)
    monitored.evaluator().catch_up(NOW)
    verdicts = monitored.verdicts()
    assert len(verdicts) == 2 * DAYS
    assert len({verdict.verdict for verdict in verdicts}) > 1
    assert {test.windows for verdict in verdicts for test in verdict.features} > {1}
    return verdicts


class Mortal:
    """An evaluator that may die at any call that changes the disk, and comes back."""

    def __init__(self, monitored, deaths):
        self._monitored = monitored
        self._deaths = list(deaths)
        self._evaluator = monitored.evaluator()

    def look(self):
        with pytest.MonkeyPatch.context() as patch:
            if self._deaths:
                die_at_call(patch, self._deaths.pop())
            try:
                self._evaluator.catch_up(NOW)
                while self._evaluator.maintain(UPKEEP_TIME):
                    pass
            except Died:
                self._evaluator = self._monitored.evaluator()
                return False
        return True


def traffic_of(number, chance):
    """Return what is sent on a day: its predictions, the labels of the day before, and late rows of the first."""
    sent = predictions_of(number) if number < DAYS else []
    sent += labels_of(number - 1) if number else []
    sent += chance.sample(sent, min(len(sent), 10))  # sent twice
    chance.shuffle(sent)
    return sent + (predictions_of(0, LATE) if number == DAYS - 1 else [])


@settings(max_examples=6, deadline=None)
@given(chance=st.randoms(use_true_random=False), deaths=st.lists(st.integers(1, 60), max_size=12))
def test_any_schedule_gives_the_same_verdicts(tmp_path_factory, expected, chance, deaths):
    monitored = Small(tmp_path_factory.mktemp("scheduled"))
    for writer_id in WRITERS:
        monitored.send(writer_id, [], through=0)
    evaluator = Mortal(monitored, deaths)
    for number in range(DAYS + 1):
        parts = {writer_id: [] for writer_id in WRITERS}
        for record in traffic_of(number, chance):
            parts[chance.choice(WRITERS)].append(record)
        for writer_id in chance.sample(WRITERS, len(WRITERS)):
            monitored.send(writer_id, parts[writer_id], through=number + 1)
            for _ in range(chance.randint(0, 2)):
                evaluator.look()
    while not evaluator.look():
        pass
    assert monitored.verdicts() == expected
    assert monitored.progress().late_rows == len(LATE)
