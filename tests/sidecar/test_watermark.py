from datetime import UTC, datetime, timedelta

from driftloop.sidecar.watermark import SILENCE_SECONDS, Watermarks


def at(hours):
    return datetime(2013, 3, 1, tzinfo=UTC) + timedelta(hours=hours)


def test_nothing_is_complete_before_the_first_watermark():
    assert Watermarks().through(now=0) is None


def test_the_slowest_of_two_connected_servers_holds():
    marks = Watermarks()
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=0)
    assert marks.through(now=1) == at(1)


def test_a_closed_connection_holds_nothing_back():
    marks = Watermarks()
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=0)
    marks.close(1)
    assert marks.through(now=1) == at(2)
    marks.close(2)
    assert marks.through(now=1) == at(2)


def test_a_silent_connection_holds_nothing_back_after_a_while():
    marks = Watermarks()
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=4)
    assert marks.through(now=SILENCE_SECONDS) == at(2)


def test_what_the_last_connection_said_stands_however_long_ago():
    marks = Watermarks()
    marks.hear(1, at(1), now=0)
    assert marks.through(now=1000) == at(1)
