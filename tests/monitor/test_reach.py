"""What is planned of a window is what the judge's tests then see."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.baseline import build_baseline
from driftloop.monitor.budget import Share, share_of_window
from driftloop.monitor.columns import Column, ColumnKind
from driftloop.monitor.reach import detector_of, longer_reference, reach_by_column, reach_of_window, with_window
from driftloop.spec import DataSchema, MonitoringSpec
from tests.monitor import traffic

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
MONITORING = MonitoringSpec.model_validate(
    {"window": {"duration": "1h", "minRows": 50}, "minEffectSize": 0.01, "falseAlarmBudget": {"max": 1, "per": "30d"}}
)


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(3)
    names = [feature.name for feature in SCHEMA.features]
    table = pd.DataFrame({name: rng.normal(size=20_000) for name in names})
    table["y"] = rng.normal(size=20_000)
    table["time"] = pd.date_range("2026-01-01", periods=20_000, freq="1min", tz="UTC")
    none = pd.DataFrame({"prediction": []})
    return build_baseline(
        table, table.head(0), none, SCHEMA, metric="r2", metric_value=0, metric_standard_error=0, window=HOUR
    )


SCHEMA = DataSchema.model_validate(
    {
        "task": "Regression",
        "features": [{"name": name, "type": "numeric", "nullable": False} for name in ("a", "b")],
        "target": {"name": "y"},
        "timeColumn": "time",
    }
)


def test_a_shift_within_reach_is_seen_as_often_as_promised(baseline):
    """300 windows at power 0.9: their share is below 0.84 or above 0.99 in less than one of a thousand seeds."""
    rows, rng = 400, np.random.default_rng(4)
    power = reach_of_window(baseline, MONITORING, rows)
    detector = detector_of(baseline)
    seen = 0
    for _ in range(300):
        cells = {"a": rng.normal(power.shift_sd, 1, rows), "b": rng.normal(size=rows)}
        columns = {name: Column(ColumnKind.NUMERIC, values) for name, values in cells.items()}
        sums = detector.scorer.sums(columns, START, START + HOUR)
        found = detector.find([sums], share_of_window(MONITORING.false_alarm_budget, HOUR, Share.DRIFT))
        seen += any(unit.significant for unit in found.units if unit.name == "a")
    assert 0.84 <= seen / 300 <= 0.99


def test_more_rows_and_more_reference_show_smaller_shifts(baseline):
    shifts = [reach_of_window(baseline, MONITORING, rows).shift_sd for rows in (50, 200, 800, 3200)]
    assert shifts == sorted(shifts, reverse=True)
    longer = longer_reference(baseline, 4)
    assert reach_of_window(longer, MONITORING, 3200).shift_sd < shifts[-1]
    assert (longer.rows, longer.features[0].streams[0].rows) == (80_000, 80_000)


def test_too_few_rows_show_nothing(baseline):
    assert reach_of_window(baseline, MONITORING, 49) is None
    assert reach_of_window(baseline, with_window(MONITORING, 24 * HOUR), 49) is None


def test_columns_without_values_are_no_crash():
    baseline = traffic.baseline_of(traffic.rows(300, seed=1).assign(temp=np.nan))
    assert "temp" not in reach_by_column(baseline, MONITORING, 300)
