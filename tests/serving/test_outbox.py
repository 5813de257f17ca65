"""The tap's protocol without sockets: an outbox, a lossy line, and a monitor that dies and comes back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from driftloop.serving.outbox import Outbox, TapRecord

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


def record(number, rows=1, size=100):
    return TapRecord(
        time=NOON + timedelta(seconds=number),
        model_version="abc",
        prediction_ids=[f"{number}-{row}" for row in range(rows)],
        keys=None,
        features={"distance": [1.0] * rows},
        predictions=[True] * rows,
        probability=None,
        size=size,
    )


def sequences(entries):
    return [entry.sequence for entry in entries]


@pytest.fixture
def outbox():
    return Outbox(max_rows=10, max_bytes=100_000)


def test_what_was_sent_and_not_acknowledged_is_sent_again_in_order_with_the_same_numbers(outbox):
    for number in range(4):
        outbox.offer(record(number))
    first = outbox.take(100_000)
    outbox.acknowledge(first[1].sequence)
    outbox.take_back()
    assert sequences(outbox.take(100_000)) == sequences(first)[2:]
    assert outbox.resent_rows == 2


def test_what_was_sent_still_takes_its_room_until_it_is_acknowledged(outbox):
    for number in range(10):
        outbox.offer(record(number))
    taken = outbox.take(100_000)
    outbox.offer(record(10))
    assert outbox.dropped_rows == 1
    outbox.acknowledge(taken[-1].sequence)
    outbox.offer(record(11))
    assert (outbox.dropped_rows, outbox.held_rows) == (1, 1)


def test_a_message_says_the_same_number_of_drops_each_time_it_is_sent(outbox):
    outbox.offer(record(0))
    outbox.drop(3)
    assert [entry.dropped for entry in outbox.take(1)] == [3]
    outbox.drop(4)
    outbox.take_back()
    outbox.offer(record(1))
    assert [entry.dropped for entry in outbox.take(100_000)] == [3, 4]


def test_a_watermark_that_was_sent_is_not_replaced(outbox):
    outbox.offer_watermark(NOON)
    assert len(outbox.take(1)) == 1
    outbox.offer_watermark(NOON + timedelta(minutes=1))
    outbox.offer_watermark(NOON + timedelta(minutes=2))
    outbox.take_back()
    assert [entry.item.minute for entry in outbox.take(100_000)] == [0, 2]


def test_a_monitor_that_does_not_acknowledge_is_trusted(outbox):
    outbox.offer(record(0))
    outbox.take(100_000)
    outbox.trust()
    assert (outbox.is_empty, outbox.delivered_rows) == (True, 1)


def test_what_is_left_at_the_end_is_counted(outbox):
    outbox.offer(record(0, rows=2))
    outbox.offer(record(1, rows=3))
    outbox.take(1)
    outbox.give_up()
    assert (outbox.dropped_rows, outbox.held_rows, outbox.is_empty) == (5, 0, True)


class TapMachine(RuleBasedStateMachine):
    """One server, one line that loses what is on it, one monitor whose disk survives it."""

    def __init__(self):
        super().__init__()
        self.outbox = Outbox(max_rows=8, max_bytes=10_000)
        self.number = 0
        self.offered = []
        self.line = []
        self.answers = []
        self.disk = []
        self.received = 0
        self.dropped = 0
        self.promised = None
        self.memory = []

    @rule(rows=st.integers(1, 4))
    def offer(self, rows):
        before = self.outbox.dropped_rows
        self.outbox.offer(record(self.number, rows))
        if self.outbox.dropped_rows == before:
            self.offered.append(self.number)
        self.number += 1

    @rule()
    def promise(self):
        self.outbox.offer_watermark(NOON + timedelta(seconds=self.number))

    @rule(size=st.sampled_from([1, 250, 10_000]))
    def send(self, size):
        self.line += [(entry.item, entry.sequence, entry.dropped) for entry in self.outbox.take(size)]

    @precondition(lambda self: self.line)
    @rule(count=st.integers(1, 5))
    def arrive(self, count):
        self.memory += self.line[:count]
        del self.line[:count]

    @rule()
    def write(self):
        """The monitor's disk takes what it has read, each number once; the answer may get lost."""
        for item, sequence, dropped in self.memory:
            if isinstance(item, TapRecord) or dropped:
                if sequence <= self.received:
                    continue
                self.received = sequence
                self.dropped += dropped
            if isinstance(item, TapRecord):
                assert self.promised is None or item.time >= self.promised
                self.disk.append(int(item.prediction_ids[0].split("-")[0]))
            else:
                self.promised = max(self.promised or item, item)
        if self.memory:
            self.answers.append(self.memory[-1][1])
        self.memory = []

    @precondition(lambda self: self.answers)
    @rule()
    def hear(self):
        self.outbox.acknowledge(self.answers.pop(0))

    @rule(is_killed=st.booleans())
    def lose_connection(self, is_killed):
        if not is_killed:
            self.memory += self.line  # a monitor that lives reads what has arrived
            self.write()
        self.line, self.memory, self.answers = [], [], []
        self.outbox.take_back()
        self.outbox.acknowledge(self.received)
        assert self.promised is None or all(time >= self.promised for time in self.outbox.times())

    @invariant()
    def nothing_is_doubled_and_all_is_in_order(self):
        assert self.disk == sorted(set(self.disk))
        assert self.outbox.held_rows <= 8

    def teardown(self):
        self.lose_connection(is_killed=True)
        self.outbox.offer_watermark(NOON)
        self.send(1_000_000)
        self.arrive(1_000_000)
        self.write()
        self.hear()
        assert self.disk == self.offered
        assert self.dropped == self.outbox.dropped_rows
        assert self.outbox.is_empty


TestTapMachine = TapMachine.TestCase
TestTapMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
