"""How the feed came, by the manifests: the same for an evaluator that saw it and for one that starts anew."""

from datetime import UTC, datetime, timedelta

import pytest

from driftloop.monitor.checks import Stretch
from driftloop.predictionlog.manifest import Manifest, ManifestStore
from driftloop.sidecar.history import WindowHistory
from driftloop.spec import ReportKind
from tests.sidecar.test_evaluator import NOW, Monitored, day

START, DAY = datetime(2026, 3, 2, tzinfo=UTC), timedelta(days=1)


def manifest(day, **changes):
    start = START + day * DAY
    facts = {"rows": 100 + day, "newest": start + DAY / 2} | changes
    return Manifest(
        kind=ReportKind.INPUTS, start=start, end=start + DAY, due=start + DAY, predictions={}, labels={}, **facts
    )


@pytest.fixture
def store(tmp_path):
    return ManifestStore(tmp_path / "manifests")


def test_the_feed_is_the_windows_of_the_last_28_durations_and_the_window_itself(store):
    history = WindowHistory(store, ReportKind.INPUTS, 4, lambda _: {})
    for number in range(40):
        history.add(store.create(manifest(number)))
    feed = history.feed(manifest(39), DAY)
    assert [stretch.rows for stretch in feed] == [100 + n for n in range(11, 40)]
    assert feed[-1] == Stretch(START + 39 * DAY, START + 40 * DAY, 139, START + 39.5 * DAY)
    again = WindowHistory(store, ReportKind.INPUTS, 4, lambda _: {})
    assert again.feed(manifest(39), DAY) == feed
    assert [stretch.rows for stretch in again.feed(manifest(2), DAY)] == [100, 101, 102]


def test_a_window_closed_by_an_earlier_release_tells_nothing_of_the_feed(store):
    history = WindowHistory(store, ReportKind.INPUTS, 4, lambda _: {})
    for number, rows in enumerate([50, None, 70]):
        history.add(store.create(manifest(number, rows=rows)))
    assert [stretch.rows for stretch in history.feed(manifest(2, rows=70), DAY)] == [50, 70]
    assert history.feed(manifest(1, rows=None), DAY) == []


def test_a_window_with_more_than_twice_the_usual_traffic_is_told(tmp_path):
    monitored = Monitored(tmp_path)
    monitored.log([day(n, count=210) for n in range(14)], through=14)
    monitored.evaluator().catch_up(NOW)
    monitored.log([day(14, count=500)], through=15)
    monitored.evaluator().catch_up(NOW)  # as after a restart
    checks = {v.window.start: [c for c in v.checks if not c.passed] for v in monitored.verdicts() if v.kind == "inputs"}
    last = checks.pop(START + 14 * DAY)
    assert [(check.check, check.message) for check in last] == [
        ("volume", "500 predictions came where 210 usually come.")
    ]
    assert not any(checks.values())
