"""One holder at a time, under any clocks; on the fake and on a real API server."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftloop.adapters.kubeapi import RejectedError
from driftloop.adapters.lease import Lease

DURATION = 15


class Clock:
    """A candidate's own: what it says of the time of day is nobody else's."""

    def __init__(self, skew=timedelta()):
        self.seconds = 1000.0
        self.skew = skew

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 11, 25, tzinfo=UTC) + timedelta(seconds=self.seconds) + self.skew


def candidate(api, place, holder, clock, name="flights-evaluator"):
    return Lease(api, place, name, holder, DURATION, clock=clock.now, monotonic=clock.monotonic)


@pytest.fixture
def clock():
    return Clock()


def spec_of(api, place):
    return api.get("Lease", place, "flights-evaluator")["spec"]


def test_the_first_takes_it_and_the_second_does_not(api, place, clock):
    first, second = candidate(api, place, "a", clock), candidate(api, place, "b", clock)
    assert not first.is_held
    assert first.hold()
    assert not second.hold()
    assert (first.is_held, second.is_held) == (True, False)
    spec = spec_of(api, place)
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", DURATION, 0)


def test_a_renewal_keeps_it_and_says_when(api, place, clock):
    first, second = candidate(api, place, "a", clock), candidate(api, place, "b", clock)
    first.hold()
    before = spec_of(api, place)
    for _ in range(10):
        clock.seconds += DURATION / 3
        assert first.hold()
        assert not second.hold()
    after = spec_of(api, place)
    assert after["acquireTime"] == before["acquireTime"]
    assert after["renewTime"] > before["renewTime"]
    assert after["leaseTransitions"] == 0


def test_it_changes_hands_once_it_was_seen_unchanged_for_its_duration(api, place, clock):
    first, second = candidate(api, place, "a", clock), candidate(api, place, "b", clock)
    first.hold()
    second.hold()
    clock.seconds += DURATION - 0.1
    assert not second.hold()
    clock.seconds += 0.1
    assert second.hold()
    spec = spec_of(api, place)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)
    assert not first.hold()
    assert not first.is_held


def test_who_comes_late_waits_the_whole_duration_by_its_own_clock(api, place, clock):
    candidate(api, place, "a", clock).hold()
    clock.seconds += 10 * DURATION
    late = candidate(api, place, "b", clock)
    assert not late.hold()
    clock.seconds += DURATION
    assert late.hold()


@pytest.mark.parametrize("skew", [timedelta(hours=-5), timedelta(hours=5)])
def test_clocks_need_not_agree(api, place, skew):
    ours, theirs = Clock(), Clock(skew)
    first, second = candidate(api, place, "a", ours), candidate(api, place, "b", theirs)
    for _ in range(6):
        assert first.hold()
        assert not second.hold()
        ours.seconds += DURATION / 3
        theirs.seconds += DURATION / 3
    theirs.seconds += DURATION
    assert second.hold()


def test_of_many_at_once_one_takes_it(api, place, clock):
    candidates = [candidate(api, place, f"pod-{number}", clock) for number in range(10)]
    for one in candidates:
        assert not one.is_held
    threads = [threading.Thread(target=one.hold) for one in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.holder for one in candidates if one.is_held] == [spec_of(api, place)["holderIdentity"]]


def test_of_many_that_take_over_at_once_one_does(api, place, clock):
    candidate(api, place, "dead", clock).hold()
    candidates = [candidate(api, place, f"pod-{number}", clock) for number in range(10)]
    for one in candidates:
        one.hold()
    clock.seconds += DURATION
    threads = [threading.Thread(target=one.hold) for one in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.holder for one in candidates if one.is_held] == [spec_of(api, place)["holderIdentity"]]


def test_what_is_given_back_is_free_at_once(api, place, clock):
    first, second = candidate(api, place, "a", clock), candidate(api, place, "b", clock)
    first.hold()
    second.release()  # of somebody else's: nothing happens
    assert first.hold()
    first.release()
    assert not first.is_held
    assert second.hold()
    assert not first.hold()


def test_one_that_was_restarted_under_its_name_goes_on(api, place, clock):
    candidate(api, place, "a", clock).hold()
    again = candidate(api, place, "a", clock)
    assert again.hold()
    assert spec_of(api, place)["leaseTransitions"] == 0


def test_one_whose_lease_was_deleted_and_taken_stops(api, place, clock):
    first, second = candidate(api, place, "a", clock), candidate(api, place, "b", clock)
    first.hold()
    api.delete("Lease", place, "flights-evaluator")
    assert second.hold()
    assert not first.hold()


def test_somebody_elses_label_costs_nothing(api, place, clock):
    first = candidate(api, place, "a", clock)
    first.hold()
    labels = {"metadata": {"labels": {"team": "x"}}}
    api.patch("Lease", place, "flights-evaluator", labels)
    assert first.hold()
    assert api.get("Lease", place, "flights-evaluator")["metadata"]["labels"] == {"team": "x"}


# In trouble, which only the fake can be in.


def test_while_the_api_is_down_it_is_held_until_it_runs_out(fake_api_server, clock):
    api, fake = fake_api_server.connect(), fake_api_server.fake
    lease = candidate(api, "default", "a", clock)
    lease.hold()
    fake.fault = lambda _: (503, "no leader")
    clock.seconds += DURATION - 1
    assert lease.hold()
    clock.seconds += 1
    assert not lease.is_held
    assert not lease.hold()
    fake.fault = lambda _: None
    assert lease.hold()


def test_a_lost_answer_leaves_nobody_in_doubt(fake_api_server, clock):
    """The renewal is stored and its answer lost: the holder stops at its own time, before anybody else starts."""
    api, fake = fake_api_server.connect(), fake_api_server.fake
    first, second = candidate(api, "default", "a", clock), candidate(api, "default", "b", clock)
    first.hold()
    clock.seconds += 10
    found = api.get("Lease", "default", "flights-evaluator")
    api.replace(found | {"spec": found["spec"] | {"renewTime": "2026-11-25T00:00:10.000000Z"}})
    fake.fault = lambda _: (0, "")
    assert first.hold()
    fake.fault = lambda _: None
    second.hold()
    clock.seconds += 5
    assert not first.is_held
    assert not second.hold()
    clock.seconds += 10
    assert second.hold()


def test_a_slow_answer_does_not_prolong_it(fake_api_server, clock):
    api, fake = fake_api_server.connect(), fake_api_server.fake
    lease = candidate(api, "default", "a", clock)

    def slow(call):
        clock.seconds += DURATION if call.verb == "create" else 0

    fake.fault = slow
    assert not lease.hold()
    assert not lease.is_held


def test_what_is_not_allowed_is_an_error(fake_api_server, clock):
    fake_api_server.fake.fault = lambda _: (403, "leases is forbidden")
    with pytest.raises(RejectedError, match="403"):
        candidate(fake_api_server.connect(), "default", "a", clock).hold()


def test_an_api_that_is_down_at_the_end_lets_it_run_out(fake_api_server, clock):
    lease = candidate(fake_api_server.connect(), "default", "a", clock)
    lease.hold()
    fake_api_server.fake.fault = lambda _: (503, "no leader")
    lease.release()
    assert not lease.is_held


STEPS = st.lists(
    st.tuples(st.sampled_from(["hold", "release", "fail"]), st.integers(0, 2), st.floats(0, DURATION)), max_size=40
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_there_are_never_two_holders(fake_api_server, steps):
    api, fake, clock = fake_api_server.connect(), fake_api_server.fake, Clock()
    api.delete("Lease", "default", "flights-evaluator")
    candidates = [candidate(api, "default", f"pod-{number}", clock) for number in range(3)]
    for what, who, pause in steps:
        clock.seconds += pause
        fake.fault = (lambda _: (503, "no leader")) if what == "fail" else (lambda _: None)
        candidates[who].release() if what == "release" else candidates[who].hold()
        assert sum(one.is_held for one in candidates) <= 1
    fake.fault = lambda _: None
