"""Contract of the drift-test engines: both hold it, and both say the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.adapters.alibi_engine import AlibiDetectEngine
from driftloop.monitor.engines import LARGEST_STATISTIC, Comparison, Samples, SciPyEngine
from tests.monitor import traffic

ALIBI_DETECT = {
    Comparison.KOLMOGOROV_SMIRNOV: "KSDrift",
    Comparison.CRAMER_VON_MISES: "CVMDrift",
    Comparison.CHI_SQUARE: "ChiSquareDrift",
    Comparison.FISHER: "FETDrift",
}
SMALLEST_SINGLE = 1.2e-38
"""alibi-detect keeps p-values as 32-bit floats; smaller ones become 0 or lose digits."""
ALIBI = AlibiDetectEngine()


def samples(test, reference, window):
    return Samples(test, np.asarray(reference, float), np.asarray(window, float))


def numeric(reference, window):
    return samples(Comparison.KOLMOGOROV_SMIRNOV, reference, window)


def categorical(reference, window):
    return samples(Comparison.CHI_SQUARE, reference, window)


CELLS = {
    Comparison.KOLMOGOROV_SMIRNOV: st.floats(-1e6, 1e6) | st.integers(-2, 2),
    Comparison.CRAMER_VON_MISES: st.floats(-1e6, 1e6) | st.integers(-2, 2),
    Comparison.CHI_SQUARE: st.integers(0, 4),
    Comparison.FISHER: st.integers(0, 1),
}


@st.composite
def columns(draw):
    """A column of ties, constants, one category, few or many values."""
    test = draw(st.sampled_from(Comparison))
    few = st.lists(CELLS[test], min_size=1, max_size=25)
    one_of_few = st.lists(st.sampled_from(draw(few)), min_size=1, max_size=25)
    reference, window = draw(few | one_of_few), draw(few | one_of_few)
    return samples(test, reference * draw(st.integers(1, 40)), window * draw(st.integers(1, 9)))


def test_equal_samples_differ_by_nothing(engine):
    for result in engine.compare([numeric(range(100), range(100)), categorical([0, 1] * 50, [0, 1] * 50)]):
        assert result.statistic == 0
        assert result.p_value == pytest.approx(1)


def test_samples_far_apart_are_significant(engine):
    for result in engine.compare([numeric(range(100), range(500, 600)), categorical([0, 1] * 50, [1] * 100)]):
        assert result.p_value < 1e-6


def test_constant_columns_are_compared(engine):
    same, moved = engine.compare([numeric([3] * 50, [3] * 50), numeric([3] * 50, [4] * 50)])
    assert same.p_value == pytest.approx(1)
    assert moved.statistic == 1
    assert engine.compare([categorical([0] * 50, [0] * 50)])[0].p_value == pytest.approx(1)


def test_a_category_that_the_reference_lacks_counts(engine):
    (result,) = engine.compare([categorical([0, 1] * 100, [2] * 50)])
    assert result.p_value < 1e-6


def test_no_columns_give_no_results(engine):
    assert engine.compare([]) == []


def test_rates_are_compared_by_their_odds(engine):
    same, doubled, first, none = engine.compare(
        [
            samples(Comparison.FISHER, [1] * 10 + [0] * 90, [1] * 10 + [0] * 90),
            samples(Comparison.FISHER, [1] * 100 + [0] * 100, [1] * 100 + [0] * 50),
            samples(Comparison.FISHER, [0] * 1000, [1] * 5 + [0] * 95),
            samples(Comparison.FISHER, [0] * 1000, [0] * 95),
        ]
    )
    assert (same.statistic, same.p_value) == (1, pytest.approx(1))
    assert doubled.statistic == pytest.approx(2)
    assert (first.statistic, none.statistic) == (LARGEST_STATISTIC, 1)
    assert first.p_value < 1e-4


def test_a_fewer_than_usual_rate_counts_too(engine):
    (result,) = engine.compare([samples(Comparison.FISHER, [1] * 500 + [0] * 500, [0] * 50)])
    assert result.p_value < 1e-9


def test_one_value_against_one_says_nothing(engine):
    tests = (Comparison.KOLMOGOROV_SMIRNOV, Comparison.CRAMER_VON_MISES)
    assert {result.p_value for result in engine.compare([samples(test, [1], [2]) for test in tests])} == {1.0}


def test_results_keep_the_order_of_their_columns(engine):
    moved, still = numeric(range(50), range(100, 130)), numeric(range(50), range(10, 40))
    other = categorical([0, 1] * 20, [0] * 30)
    several = [moved, other, still, moved, numeric(range(7), range(30)), other]
    assert engine.compare(several) == [engine.compare([column])[0] for column in several]


@given(columns=st.lists(columns(), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_engines_agree(columns):
    for ours, theirs in zip(SciPyEngine().compare(columns), ALIBI.compare(columns), strict=True):
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-6)
        assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-5, abs=SMALLEST_SINGLE)


@given(column=columns())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_our_own_statistics_are_scipys(column):
    from scipy.stats import ks_2samp

    column = numeric(np.append(column.reference, 0.0), np.append(column.window, 1.0))
    (ours,) = SciPyEngine().compare([column])
    theirs = ks_2samp(column.reference, column.window, method="asymp")
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("test", Comparison)
def test_alibi_detects_own_classes_are_the_only_source(monkeypatch, test):
    import alibi_detect.cd

    class Told(getattr(alibi_detect.cd, ALIBI_DETECT[test])):
        def feature_score(self, x_ref, x):
            p_values, distances = super().feature_score(x_ref, x)
            return p_values * 0 + 0.125, distances * 0 + 42

    monkeypatch.setattr(alibi_detect.cd, ALIBI_DETECT[test], Told)
    (result,) = AlibiDetectEngine().compare([samples(test, [0, 1] * 20, [0, 1] * 20)])
    assert (result.statistic, result.p_value) == (42, 0.125)


def test_a_verdict_holds_what_alibi_detect_computed(monkeypatch):
    import alibi_detect.cd

    class Told(alibi_detect.cd.KSDrift):
        def feature_score(self, x_ref, x):
            p_values, distances = super().feature_score(x_ref, x)
            return p_values, distances * 0 + 0.75

    monkeypatch.setattr(alibi_detect.cd, "KSDrift", Told)
    frame = traffic.as_logged(traffic.rows(400, seed=3))
    judge = traffic.judge_of(traffic.baseline_of(traffic.rows(2000, seed=1)), AlibiDetectEngine())
    verdict = judge.judge_inputs(frame, traffic.window_of(frame))
    assert verdict.engine == "AlibiDetect"
    by_test = {f.feature: f.statistic for f in verdict.features if f.test == Comparison.KOLMOGOROV_SMIRNOV}
    assert by_test.keys() >= {"temp", "booked"}
    assert set(by_test.values()) == {0.75}


@pytest.mark.parametrize("shift", [0, 4])
def test_engines_give_identical_verdicts(shift, baseline):
    table = traffic.rows(500, seed=7)
    table["temp"] += shift
    frame = traffic.as_logged(table)
    ours, theirs = (
        traffic.judge_of(baseline, engine).judge_performance(frame, traffic.window_of(frame))
        for engine in (SciPyEngine(), AlibiDetectEngine())
    )
    assert (ours.verdict, ours.summary, ours.checks) == (theirs.verdict, theirs.summary, theirs.checks)
    assert [f.drifted for f in ours.features] == [f.drifted for f in theirs.features]
