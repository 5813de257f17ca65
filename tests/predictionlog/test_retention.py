"""Old dates go as a whole, and never one that is still needed."""

import pytest

from driftloop.predictionlog import PredictionLogReader, PredictionLogWriter
from driftloop.predictionlog.maintenance import LogMaintainer
from tests.predictionlog.dying import Died, die_at_call
from tests.predictionlog.samples import FOREVER, START, at, batch, label
from tests.predictionlog.test_compaction import MUCH_LATER

SIX_DAYS = at(24 * 6)


def fill(root):
    with PredictionLogWriter(root, writer_id="monitor", sync=False) as log:
        for day in range(6):
            log.append_predictions([batch(2 * day, hours=24 * day + 1)])
            log.append_labels([label(True, hours=24 * day + 2, key=f"k{2 * day}")])
            log.commit(at(24 * day + 3))


def maintain(root, *, days=2, through=SIX_DAYS, needed_since=FOREVER):
    maintainer = LogMaintainer(root, at(24 * days) - START)
    while maintainer.step(through={}, complete_through=through, needed_since=needed_since, now=MUCH_LATER):
        pass


def kept(root):
    return [int(name[1:]) // 2 for name in PredictionLogReader(root).predictions(START, FOREVER).prediction_id[::2]]


def test_dates_older_than_the_retention_are_removed_with_their_labels(tmp_path):
    fill(tmp_path)
    maintain(tmp_path)
    assert kept(tmp_path) == [4, 5]
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["date=2013-03-05", "date=2013-03-06"]
    assert PredictionLogReader(tmp_path).counts().rows == 12


def test_a_date_goes_when_all_of_it_is_old_enough(tmp_path):
    fill(tmp_path)
    maintain(tmp_path, through=at(24 * 6 - 1))
    assert kept(tmp_path) == [3, 4, 5]


def test_a_date_that_a_window_still_needs_stays(tmp_path):
    fill(tmp_path)
    maintain(tmp_path, needed_since=at(24 * 2 + 5))
    assert kept(tmp_path) == [2, 3, 4, 5]


def test_a_late_record_of_a_removed_date_is_taken_and_removed_again(tmp_path):
    fill(tmp_path)
    maintain(tmp_path)
    with PredictionLogWriter(tmp_path, writer_id="monitor") as log:
        log.append_predictions([batch(0, hours=1)])
        log.commit()
    assert kept(tmp_path) == [0, 4, 5]
    maintain(tmp_path)
    assert kept(tmp_path) == [4, 5]


def test_after_a_crash_between_any_two_steps_a_date_is_there_or_not(tmp_path, monkeypatch):
    for fatal in range(1, 100):
        root = tmp_path / str(fatal)
        fill(root)
        with monkeypatch.context() as patch:
            die_at_call(patch, fatal)
            try:
                maintain(root)
                died = False
            except Died:
                died = True
        found = kept(root)
        assert found in [list(range(first, 6)) for first in range(5)]
        maintain(root)
        assert kept(root) == [4, 5]
        assert not list(root.rglob(".removed-*"))
        if not died:
            return
    pytest.fail("retention never came to its end")
