import json
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.serving.outbox import TapRecord
from driftloop.serving.tap import Receipts, Tap

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


class Reader:
    """A monitor's end of the socket."""

    def __init__(self, path):
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(5)
        self._connection = None
        self._buffer = b""

    def accept(self):
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(5)

    def read(self, count):
        """Return the next messages."""
        if self._connection is None:
            self.accept()
        while self._buffer.count(b"\n") < count and (data := self._connection.recv(65536)):
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n", count)
        return [json.loads(line) for line in lines]

    def read_all(self):
        if self._connection is None:
            self.accept()
        while data := self._connection.recv(65536):
            self._buffer += data
        return [json.loads(line) for line in self._buffer.splitlines()]

    def close(self):
        self._listener.close()
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tap.sock"


@pytest.fixture
def reader(path):
    reader = Reader(path)
    yield reader
    reader.close()


@pytest.fixture
def make_tap(path):
    taps = []

    def make(max_rows=100, max_bytes=1_000_000, receipts=None):
        tap = Tap(path, max_rows=max_rows, max_bytes=max_bytes, receipts=receipts)
        taps.append(tap)
        tap.start()
        return tap

    yield make
    for tap in taps:
        tap.close(0.1)


def record(number, rows=1, size=100):
    return TapRecord(
        time=NOON,
        model_version="abc",
        prediction_ids=[f"{number}-{row}" for row in range(rows)],
        keys=None,
        features={"distance": [1.0] * rows},
        predictions=[True] * rows,
        probability=[0.7] * rows,
        size=size,
    )


def until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_a_record_is_one_line_of_the_protocol(make_tap, reader):
    make_tap().offer(record(1))
    (message,) = reader.read(1)
    assert message == {
        "type": "predictions",
        "modelVersion": "abc",
        "time": "2013-07-01T12:00:00+00:00",
        "predictionIds": ["1-0"],
        "keys": None,
        "features": {"distance": [1.0]},
        "outputs": {"prediction": [True], "probability": [0.7]},
        "dropped": 0,
    }


def test_order_is_kept_and_a_watermark_stays_behind_what_it_covers(make_tap, reader):
    tap = make_tap()
    for number in range(50):
        tap.offer(record(number))
    tap.offer_watermark(NOON)
    messages = reader.read(51)
    assert [message["predictionIds"][0] for message in messages[:-1]] == [f"{number}-0" for number in range(50)]
    assert messages[-1] == {"type": "watermark", "time": NOON.isoformat(), "dropped": 0}


@pytest.mark.parametrize("limit", [{"max_rows": 10}, {"max_bytes": 1000}])
def test_a_full_queue_drops_counts_and_says_so_once(make_tap, path, limit):
    tap = make_tap(**limit)
    start = time.monotonic()
    for number in range(1000):
        tap.offer(record(number))
    assert time.monotonic() - start < 1
    assert tap.dropped_rows == 990
    reader = Reader(path)
    messages = reader.read(10)
    assert [message["dropped"] for message in messages] == [990] + [0] * 9
    until(lambda: tap.sent_rows == 10)
    reader.close()


def test_watermarks_without_records_between_them_do_not_pile_up(make_tap, path):
    tap = make_tap()
    for minute in range(1000):
        tap.offer_watermark(NOON + timedelta(minutes=minute))
    assert len(tap._queue) <= 2
    reader = Reader(path)
    newest = (NOON + timedelta(minutes=999)).isoformat()
    assert newest in [message["time"] for message in reader.read(len(tap._queue))]
    reader.close()


def test_a_killed_reader_is_found_again_and_whole_messages_follow(make_tap, path):
    tap = make_tap()
    first = Reader(path)
    tap.offer(record(1))
    assert first.read(1)
    first.close()
    tap.offer(record(2))
    time.sleep(0.1)
    second = Reader(path)
    tap.offer(record(3))
    assert [message["predictionIds"] for message in second.read(2)] == [["2-0"], ["3-0"]]
    second.close()


def test_a_reader_that_hangs_never_blocks_an_offer(make_tap, reader):
    tap = make_tap(max_rows=1000)
    longest = 0.0
    for number in range(5000):
        start = time.perf_counter()
        tap.offer(record(number, rows=10))
        longest = max(longest, time.perf_counter() - start)
    assert longest < 0.5
    assert tap.dropped_rows > 0
    start = time.monotonic()
    tap.close(0.5)
    assert time.monotonic() - start < 2
    assert tap.dropped_rows + tap.sent_rows == 50_000


def test_closing_sends_what_waits(make_tap, reader):
    tap = make_tap()
    for number in range(20):
        tap.offer(record(number))
    tap.close()
    assert len(reader.read_all()) == 20
    tap.offer(record(21))
    assert tap.dropped_rows == 1


def test_closing_without_a_reader_is_quick(make_tap):
    tap = make_tap()
    tap.offer(record(1))
    start = time.monotonic()
    tap.close(5)
    assert time.monotonic() - start < 2
    assert tap.dropped_rows == 1


def test_the_wall_clock_sends_a_watermark_every_second(make_tap, reader):
    make_tap(receipts=Receipts())
    first, second = reader.read(2)
    assert first["type"] == second["type"] == "watermark"
    apart = datetime.fromisoformat(second["time"]) - datetime.fromisoformat(first["time"])
    assert timedelta(seconds=0.8) < apart < timedelta(seconds=3)


def test_a_watermark_never_passes_a_request_under_way():
    times = (NOON + timedelta(seconds=second) for second in range(10))
    receipts = Receipts(now=lambda: next(times))
    with receipts.request() as slow:
        with receipts.request():
            pass
        assert receipts.complete_through() == slow == NOON
    assert receipts.complete_through() == NOON + timedelta(seconds=2)
