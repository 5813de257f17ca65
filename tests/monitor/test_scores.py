"""Scores of columns: what they are over the reference, and how windows of them add up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.monitor.baseline import describe_columns
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.detector import Detector
from driftloop.monitor.scores import RARE, RankScores, share_scores

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
CELLS = st.one_of(st.none(), st.floats(-5, 5), st.sampled_from([-1.0, 0.0, 1.0, 1e300, -1e300]))


def numeric(values):
    return Column(ColumnKind.NUMERIC, np.array(values, dtype=np.float64))


def categorical(values):
    return Column(ColumnKind.CATEGORICAL, np.array(values, dtype=object))


def reference(rows=2000):
    random = np.random.default_rng(0)
    x = random.standard_normal(rows)
    columns = {
        "x": numeric(x),
        "y": numeric(x + random.standard_normal(rows)),
        "count": numeric(random.poisson(1.0, rows)),
        "constant": numeric(np.full(rows, 7.0)),
        "empty": numeric(np.full(rows, np.nan)),
        "kind": categorical(random.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.4, 0.097, 0.003])),
    }
    return columns, np.arange(rows) * 36.0


@pytest.fixture(scope="module")
def detector():
    columns, seconds = reference()
    found = describe_columns(columns, seconds, HOUR, related=True)
    return Detector(found.columns, found.pairs, found.joint)


def test_numbers_score_0_on_average_with_variance_1_whatever_their_distribution():
    values = np.exp(np.random.default_rng(0).standard_normal(5000))
    scores = RankScores(np.sort(values)[2::5])
    rows = scores.rows(numeric(values))[:, :3]
    assert np.abs(rows.mean(axis=0)).max() < 0.01
    assert np.abs(np.cov(rows.T) - np.eye(3)).max() < 0.02


def test_equal_numbers_score_their_middle_rank():
    scores = RankScores(np.array([1.0, 1.0, 2.0, 3.0]))
    ranks = scores.first(numeric([0, 1, 1.5, 2, 3, 9])) / np.sqrt(12) + 0.5
    assert ranks == pytest.approx([0, 0.25, 0.5, 0.625, 0.875, 1])


def test_values_go_on_rising_beyond_the_reference_and_end_somewhere():
    scores = RankScores(np.linspace(-1.349, 1.349, 1001))
    assert scores.rows(numeric([0, 1, 5, 1e9, -1e300]))[:, 3] == pytest.approx([0, 1, 5, 6, -6], rel=1e-2)


def test_categories_that_a_window_can_not_expect_five_times_share_a_score():
    scores = share_scores({"a": 900, "b": 90, "c": 10}, rows_per_window=100)
    assert scores.names == ("a", "b", RARE)
    assert scores.rows(categorical(["a", "c", None, "new", "b"])).tolist() == [
        [1, 0, 0],
        [0, 0, 1],
        [0, 0, 1],
        [0, 1, 0],
    ]


def test_columns_without_values_have_no_streams_and_disturb_nobody(detector):
    assert "empty" not in detector.units
    assert {"x", "y", "count", "constant", "kind", "x ~ y"} == set(detector.units)


def test_the_sums_of_the_reference_are_its_means(detector):
    columns, _ = reference()
    sums = detector.scorer.sums(columns, START, START + HOUR)
    means = [stream.mean[0] for stream in detector.calibration.streams]
    assert sums.totals / sums.counts == pytest.approx(means, abs=1e-9)
    assert sums.totals == pytest.approx(np.nansum(detector.scorer.rows(columns), axis=0))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS, st.sampled_from([None, "a", "d", "zz"])), max_size=30))
def test_sums_of_parts_add_up_to_the_sums_of_the_whole_in_any_order(detector, rows):
    def columns(rows):
        cells = list(zip(*rows, strict=True)) or [()] * 6
        return dict(
            zip(
                ("x", "y", "count", "constant", "empty", "kind"),
                [*map(numeric, cells[:5]), categorical(cells[5])],
                strict=True,
            )
        )

    def sums(rows):
        return detector.scorer.sums(columns(rows), START, START + HOUR)

    whole, parts = sums(rows), sums(rows[10:][::-1]) + sums(rows[:10])
    assert whole.counts.tolist() == parts.counts.tolist()
    assert whole.totals == pytest.approx(parts.totals)
    assert np.isfinite(whole.totals).all()
    detector.find([whole], 0.001)


@pytest.mark.parametrize("absent", ["x", "kind"])
def test_a_column_that_is_gone_leaves_the_others_as_they_were(detector, absent):
    columns, _ = reference(200)
    gone = {name: column for name, column in columns.items() if name != absent}
    with_it, without = (detector.scorer.sums(c, START, START + HOUR) for c in (columns, gone))
    kept = [i for i, (name, _) in enumerate(detector.scorer.streams) if absent not in name.split(" ~ ")]
    assert with_it.totals[kept].tolist() == without.totals[kept].tolist()
    found = detector.find([without], 0.001)
    assert absent in found.unjudged
    assert {unit.name for unit in found.units} == {n for n in detector.units if absent not in n.split(" ~ ")}
