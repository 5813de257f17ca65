import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from driftloop.serving.outbox import TapRecord
from driftloop.serving.tap import Receipts, Tap

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


class Reader:
    """A monitor's end of the socket; `acknowledges=False` is a monitor of version 0.1."""

    def __init__(self, path, *, acknowledges=True, received=0):
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(5)
        self._acknowledges = acknowledges
        self._received = received
        self._connection = None
        self._buffer = b""
        self.hello = None

    def accept(self):
        self._buffer = b""
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(5)
        (self.hello,) = self._read(1)
        if self._acknowledges:
            self.say({"type": "hello", "sequence": self._received})

    def say(self, message):
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def acknowledge(self, message):
        self.say({"type": "acknowledged", "sequence": message["sequence"]})

    def read(self, count):
        """Return the next messages, and acknowledge none."""
        if self._connection is None:
            self.accept()
        return self._read(count)

    def _read(self, count):
        while self._buffer.count(b"\n") < count and (data := self._connection.recv(65536)):
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n", count)
        return [json.loads(line) for line in lines]

    def read_all(self):
        """Acknowledge everything up to the end of the connection, and return the records."""
        messages = []
        while not messages or messages[-1]["type"] != "goodbye":
            messages += self.read(1)
            if "sequence" in messages[-1]:
                self.acknowledge(messages[-1])
        return [message for message in messages if message["type"] == "predictions"]

    def hang_up(self):
        self._connection.close()
        self._connection = None

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


def record(number, rows=1, size=100, time=NOON):
    return TapRecord(
        time=time,
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


def ids(messages):
    return [message["predictionIds"][0] for message in messages]


def test_a_connection_begins_with_a_hello_and_a_record_is_one_line(make_tap, reader):
    make_tap().offer(record(1))
    (message,) = reader.read(1)
    server = reader.hello.pop("server")
    assert reader.hello == {"type": "hello", "through": NOON.isoformat()}
    assert message == {
        "type": "predictions",
        "modelVersion": "abc",
        "time": "2013-07-01T12:00:00+00:00",
        "predictionIds": ["1-0"],
        "keys": None,
        "features": {"distance": [1.0]},
        "outputs": {"prediction": [True], "probability": [0.7]},
        "dropped": 0,
        "server": server,
        "sequence": 1,
    }


def test_order_is_kept_and_a_watermark_stays_behind_what_it_covers(make_tap, reader):
    tap = make_tap()
    for number in range(50):
        tap.offer(record(number))
    tap.offer_watermark(NOON)
    messages = reader.read(51)
    assert ids(messages[:-1]) == [f"{number}-0" for number in range(50)]
    assert (messages[-1]["type"], messages[-1]["time"]) == ("watermark", NOON.isoformat())


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
    reader.acknowledge(messages[-1])
    until(lambda: tap.sent_rows == 10)
    reader.close()


def test_watermarks_without_records_between_them_do_not_pile_up(make_tap, path):
    tap = make_tap()
    for minute in range(1000):
        tap.offer_watermark(NOON + timedelta(minutes=minute))
    reader = Reader(path)
    assert reader.read(1)[0]["time"] == (NOON + timedelta(minutes=999)).isoformat()
    reader.close()


def test_what_a_killed_monitor_did_not_acknowledge_is_sent_again(make_tap, path):
    tap = make_tap()
    first = Reader(path)
    for number in range(3):
        tap.offer(record(number))
    first.acknowledge(first.read(3)[0])
    until(lambda: tap.sent_rows == 1)
    first.close()
    tap.offer(record(3))
    second = Reader(path)
    assert ids(second.read(3)) == ["1-0", "2-0", "3-0"]
    assert tap.resent_rows >= 2
    second.close()


def test_what_the_monitor_says_it_has_is_not_sent_again(make_tap, path):
    tap = make_tap()
    first = Reader(path)
    for number in range(3):
        tap.offer(record(number))
    messages = first.read(3)
    first.close()  # all three are on its disk, and no acknowledgement was sent
    second = Reader(path, received=messages[1]["sequence"])
    assert ids(second.read(1)) == ["2-0"]
    second.close()


def test_the_hello_says_before_which_time_nothing_comes_any_more(make_tap, path):
    tap = make_tap()
    first = Reader(path)
    tap.offer(record(1, time=NOON + timedelta(minutes=3)))
    tap.offer_watermark(NOON + timedelta(minutes=5))
    first.read(2)
    first.close()
    second = Reader(path)
    second.accept()
    assert second.hello["through"] == (NOON + timedelta(minutes=3)).isoformat()
    for message in second.read(2):
        second.acknowledge(message)
    until(lambda: tap.held_rows == 0)
    second.hang_up()
    tap.offer(record(2, time=NOON + timedelta(minutes=9)))
    second.accept()
    assert second.hello["through"] == (NOON + timedelta(minutes=5)).isoformat()
    second.close()


def test_a_monitor_that_never_answers_a_hello_gets_plain_messages_once(make_tap, path, monkeypatch):
    monkeypatch.setattr("driftloop.serving.tap.HELLO_SECONDS", 0.3)
    tap = make_tap()
    old = Reader(path, acknowledges=False)
    tap.offer(record(1))
    (message,) = old.read(1)
    assert not {"server", "sequence"} & message.keys()
    until(lambda: tap.sent_rows == 1)
    old.close()
    tap.offer(record(2))
    second = Reader(path, acknowledges=False)
    assert ids(second.read(1)) == ["2-0"]
    second.close()


def test_a_monitor_that_is_known_to_acknowledge_is_never_trusted_without(make_tap, path, monkeypatch):
    monkeypatch.setattr("driftloop.serving.tap.HELLO_SECONDS", 0.3)
    tap = make_tap()
    first = Reader(path)
    tap.offer(record(1))
    first.read(1)
    first.close()
    hanging = Reader(path, acknowledges=False)
    hanging.accept()
    time.sleep(1)
    assert (tap.sent_rows, tap.held_rows) == (0, 1)
    hanging.close()
    second = Reader(path)
    assert ids(second.read(1)) == ["1-0"]
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


def test_closing_waits_until_everything_is_acknowledged(make_tap, reader):
    tap = make_tap()
    for number in range(20):
        tap.offer(record(number))
    closing = threading.Thread(target=tap.close)
    closing.start()
    assert len(reader.read_all()) == 20
    closing.join(5)
    assert (tap.sent_rows, tap.dropped_rows) == (20, 0)
    tap.offer(record(21))
    assert tap.dropped_rows == 1


def test_closing_without_a_monitor_ends_at_its_limit_and_counts(make_tap):
    tap = make_tap()
    tap.offer(record(1))
    start = time.monotonic()
    tap.close(0.5)
    assert 0.4 < time.monotonic() - start < 2
    assert tap.dropped_rows == 1


def test_closing_with_nothing_to_say_is_quick(make_tap):
    tap = make_tap()
    start = time.monotonic()
    tap.close(5)
    assert time.monotonic() - start < 2


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
