"""Contract of the drift-test engines: both hold it, and both say the same."""

import numpy as np
import pytest

from driftloop.adapters.alibi_engine import AlibiDetectEngine
from driftloop.monitor.columns import ColumnKind
from driftloop.monitor.engines import Samples, SciPyEngine
from tests.monitor import traffic


def numeric(reference, window):
    return Samples(ColumnKind.NUMERIC, np.asarray(reference, float), np.asarray(window, float))


def categorical(reference, window):
    return Samples(ColumnKind.CATEGORICAL, np.asarray(reference, float), np.asarray(window, float))


def random_columns(seed):
    random = np.random.default_rng(seed)
    return [
        numeric(random.standard_normal(1000), random.standard_normal(200)),
        numeric(random.standard_normal(1000), random.standard_normal(200) + 0.3),
        numeric(random.integers(5, size=800), random.integers(5, size=90)),
        categorical(random.integers(4, size=1000), random.integers(4, size=200)),
        categorical(random.integers(2, size=1000), random.integers(3, size=200)),
    ]


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


@pytest.mark.parametrize("seed", range(5))
def test_engines_agree(seed):
    columns = random_columns(seed)
    for ours, theirs in zip(SciPyEngine().compare(columns), AlibiDetectEngine().compare(columns), strict=True):
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-6)
        assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-5)


def test_alibi_detects_own_classes_do_the_work(monkeypatch):
    import alibi_detect.cd

    called = []
    for name in ("KSDrift", "ChiSquareDrift"):

        class Spy(getattr(alibi_detect.cd, name)):
            def predict(self, *args, _name=name, **kwargs):
                called.append(_name)
                return super().predict(*args, **kwargs)

        monkeypatch.setattr(alibi_detect.cd, name, Spy)
    frame = traffic.as_logged(traffic.rows(400, seed=3))
    judge = traffic.judge_of(traffic.baseline_of(traffic.rows(2000, seed=1)), AlibiDetectEngine())
    verdict = judge.judge_inputs(frame, traffic.window_of(frame))
    assert verdict.engine == "AlibiDetect"
    assert sorted(called) == ["ChiSquareDrift"] * 3 + ["KSDrift"] * 3


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
