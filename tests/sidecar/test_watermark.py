from datetime import UTC, datetime, timedelta

import pytest

from driftloop.sidecar.watermark import RETURN_SECONDS, SILENCE_SECONDS, Watermarks


def at(hours):
    return datetime(2013, 3, 1, tzinfo=UTC) + timedelta(hours=hours)


@pytest.fixture
def marks():
    return Watermarks(starts_at=0)


def test_nothing_is_complete_before_the_first_watermark(marks):
    assert marks.through(now=0) is None


def test_the_slowest_of_two_connected_servers_holds(marks):
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=0)
    assert marks.through(now=1) == at(1)


def test_a_connection_that_ended_and_sends_nothing_again_holds_nothing_back(marks):
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=0)
    marks.part(1, now=1, returns=True)  # it never said who it is: an older server
    assert marks.through(now=1) == at(2)
    marks.part(2, now=1, returns=True)
    assert marks.through(now=1) == at(2)


def test_a_silent_connection_holds_nothing_back_after_a_while(marks):
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=4)
    assert marks.through(now=SILENCE_SECONDS) == at(2)


def test_a_silence_in_which_the_monitor_did_not_listen_does_not_count(marks):
    marks.hear(1, at(1), now=0)
    marks.hear(2, at(2), now=0)
    marks.excuse(now=60)
    marks.hear(2, at(3), now=60)
    assert marks.through(now=60) == at(1)


def test_what_the_last_connection_said_stands_however_long_ago(marks):
    marks.hear(1, at(1), now=0)
    assert marks.through(now=1000) == at(1)


def test_nothing_is_promised_while_servers_may_come_back_to_a_new_monitor():
    marks = Watermarks(starts_at=RETURN_SECONDS)
    marks.greet(1, "a", at(5), now=0)
    marks.hear(1, at(6), now=1)
    assert marks.through(now=1) is None
    marks.greet(2, "b", at(2), now=2)  # it holds records that the last monitor did not acknowledge
    assert marks.through(now=RETURN_SECONDS) == at(2)
    marks.hear(2, at(6), now=4)
    assert marks.through(now=4) == at(6)


def test_a_server_that_lost_its_connection_holds_until_it_is_back_or_given_up(marks):
    marks.greet(1, "a", at(1), now=0)
    marks.greet(2, "b", at(9), now=0)
    marks.hear(2, at(9), now=1)
    marks.part(1, now=1, returns=True)
    assert marks.through(now=2) == at(1)
    marks.greet(3, "a", at(2), now=2)
    assert marks.through(now=2) == at(2)
    marks.part(3, now=3, returns=True)
    marks.hear(2, at(10), now=3 + RETURN_SECONDS)
    assert marks.through(now=3 + RETURN_SECONDS) == at(10)


def test_a_server_that_said_goodbye_holds_nothing(marks):
    marks.greet(1, "a", at(1), now=0)
    marks.hear(2, at(9), now=0)
    marks.part(1, now=0, returns=False)
    assert marks.through(now=0) == at(9)


def test_a_server_that_does_not_know_its_time_holds_nothing(marks):
    marks.greet(1, "new", None, now=0)
    marks.hear(2, at(9), now=0)
    assert marks.through(now=0) == at(9)
