"""The monitor on a policy's own decisions: what they earn is its performance."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.algorithms.offpolicy import explore
from driftloop.monitor.baseline import Baseline, build_baseline
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.judge import Judge
from driftloop.monitor.performance import Reference, Spread, all_metrics, has_fallen, material_drop, measure
from driftloop.spec import DataSchema, Feature, FeatureType, MonitoringSpec, Target, Task, VerdictKind, Window
from tests.algorithms.simulatedlog import WEIGHTS, SimulatedLog, simulate

START = datetime(2024, 1, 1, tzinfo=UTC)
ACTIONS = ("call", "mail", "wait")
SCHEMA = DataSchema(
    task=Task.DECISION,
    target=Target(name="gain", classes=ACTIONS),
    features=tuple(Feature(name=f"x{n}", type=FeatureType.NUMERIC, nullable=False) for n in range(5)),
    time_column="at",
    action_column="action",
    propensity_column="chance",
)
ROWS, PER_HOUR = 4_000, 200


def policy(log: SimulatedLog) -> np.ndarray:
    return explore(log.x @ WEIGHTS, 0.1)


def contexts(log: SimulatedLog) -> pd.DataFrame:
    return pd.DataFrame(log.x, columns=SCHEMA.feature_names)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    log = simulate(ROWS, seed=0)
    table = contexts(log).assign(
        at=[START + timedelta(hours=row / PER_HOUR) for row in range(ROWS)],
        action=np.array(ACTIONS)[log.truth[:, 0].astype(int)],
        gain=log.truth[:, 1],
        chance=log.truth[:, 2],
    )
    probabilities = policy(log)
    drawn = (np.random.default_rng(1).random((ROWS, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    outputs = pd.DataFrame({"prediction": np.array(ACTIONS)[drawn], "probability": probabilities.tolist()})
    value = log.value(probabilities)
    return build_baseline(
        table, table, outputs, SCHEMA, metric="doubly_robust", metric_value=value, metric_standard_error=0.02,
        window=timedelta(hours=1),
    )  # fmt: skip


def live(seed: int, *, worth: float = 1.0) -> pd.DataFrame:
    """An hour of the policy's own decisions and what they earned, as the prediction log joins them."""
    log, random = simulate(PER_HOUR, seed), np.random.default_rng(seed)
    probabilities = policy(log)
    drawn = (random.random((PER_HOUR, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    taken = np.arange(PER_HOUR), drawn
    begin = START + timedelta(days=30)
    return (
        contexts(log)
        .add_prefix("feature.")
        .assign(
            **{
                "output.prediction": np.array(ACTIONS)[drawn],
                "output.probability": probabilities.tolist(),
                "output.propensity": probabilities[taken],
                "time": pd.to_datetime([begin + timedelta(seconds=row * 3600 / PER_HOUR) for row in range(PER_HOUR)]),
                "label": worth * log.means[taken] + 0.5 * random.standard_normal(PER_HOUR),
                "label_time": pd.Timestamp(begin + timedelta(hours=1)),
            }
        )
    )


def judge(baseline: Baseline, frame: pd.DataFrame):
    begin = START + timedelta(days=30)
    watcher = Judge("v1", SCHEMA, baseline, MonitoringSpec(), SciPyEngine())
    window = Window(start=begin, end=begin + timedelta(hours=1), rows=len(frame))
    return watcher.judge_performance(frame, window), watcher.judge_inputs(frame, window)


@pytest.mark.parametrize("metric", ["doubly_robust", "snips", "ips"])
def test_the_performance_of_a_window_is_its_mean_reward(metric: str) -> None:
    frame = live(1)
    outputs = frame.filter(like="output.").rename(columns=lambda name: name.removeprefix("output."))
    found = measure(metric, frame["label"], outputs, SCHEMA)
    assert found.value == pytest.approx(frame["label"].mean())
    assert found.standard_error == pytest.approx(frame["label"].std() / PER_HOUR**0.5, rel=0.4)
    assert all_metrics(frame["label"], outputs, SCHEMA).keys() == {"doubly_robust", "snips", "ips"}


def test_late_rewards_are_left_out_until_they_come() -> None:
    frame = live(1)
    frame.loc[::2, "label"] = np.nan
    outputs = frame.filter(like="output.").rename(columns=lambda name: name.removeprefix("output."))
    assert measure("ips", frame["label"], outputs, SCHEMA).rows == PER_HOUR / 2


def test_windows_as_usual_are_stable(baseline: Baseline) -> None:
    """Of 20 stable hours none may alarm; the budget of a week lets one in 300 do."""
    for seed in range(100, 120):
        performance, inputs = judge(baseline, live(seed))
        assert (performance.verdict, inputs.verdict) == (VerdictKind.STABLE, VerdictKind.STABLE), seed


def test_a_fall_of_the_reward_is_a_performance_drop(baseline: Baseline) -> None:
    performance, inputs = judge(baseline, live(7, worth=0.3))
    assert performance.performance.dropped
    assert performance.verdict in (VerdictKind.PERFORMANCE_DROP, VerdictKind.CONCEPT_DRIFT)
    assert "doubly_robust fell to" in performance.summary
    assert inputs.verdict is VerdictKind.STABLE


def test_a_reward_matters_by_its_own_size_and_may_have_any_sign() -> None:
    assert material_drop("ips", -40.0) == pytest.approx(2.0)
    reference = Reference(-40.0, 0.5, Spread(0.0, 0))
    assert has_fallen("ips", -50.0, 1.0, reference, 0.001)
    assert not has_fallen("ips", -39.0, 1.0, reference, 0.001)
    assert not has_fallen("ips", -43.0, 25.0, reference, 0.001)


def test_good_and_bad_days_of_the_log_are_known_to_the_baseline() -> None:
    log = simulate(ROWS, seed=3)
    hours = np.arange(ROWS) // PER_HOUR
    moods = np.random.default_rng(0).normal(size=hours.max() + 1)[hours]
    table = contexts(log).assign(
        at=[START + timedelta(hours=row / PER_HOUR) for row in range(ROWS)],
        action=np.array(ACTIONS)[log.truth[:, 0].astype(int)],
        gain=log.truth[:, 1] + moods,
        chance=log.truth[:, 2],
    )
    outputs = pd.DataFrame({"prediction": ["call"] * ROWS, "probability": policy(log).tolist()})
    found = build_baseline(
        table, table, outputs, SCHEMA, metric="ips", metric_value=0.7, metric_standard_error=0.1,
        window=timedelta(hours=1),
    )  # fmt: skip
    assert found.metric_spread == pytest.approx(1.0, abs=0.45)
    assert found.metric_blocks >= 3
