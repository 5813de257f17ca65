"""The baseline describes test rows and holds none."""

import subprocess
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from driftloop.monitor.baseline import Baseline, ColumnBaseline, build_baseline
from driftloop.monitor.columns import ColumnKind
from driftloop.spec import DataSchema, Feature, FeatureType, Target, Task
from tests.monitor import traffic


def column(baseline: Baseline, name: str) -> ColumnBaseline:
    columns = (*baseline.features, *baseline.outputs, baseline.label)
    return next(column for column in columns if column.name == name)


def test_a_baseline_survives_its_file(baseline):
    assert Baseline.model_validate_json(baseline.model_dump_json(by_alias=True)) == baseline


def test_a_baseline_of_an_earlier_format_is_refused_with_the_remedy(baseline):
    content = baseline.to_dict() | {"formatVersion": 2, "squares": [1.0]}
    with pytest.raises(ValidationError, match="must be 3") as refused:
        Baseline.model_validate(content)
    assert "Train the model again" in refused.value.errors()[0]["ctx"]["error"].remedy


def test_numbers_become_sorted_quantiles_of_values_that_occurred(baseline):
    quantiles = column(baseline, "temp").quantiles
    assert len(quantiles) == 1000
    assert list(quantiles) == sorted(quantiles)
    assert set(quantiles) <= set(traffic.rows(8000, seed=1)["temp"])


def test_repeated_numbers_stay_repeated():
    table = traffic.rows(3000, seed=1).assign(temp=np.arange(3000) % 3)
    assert set(column(traffic.baseline_of(table), "temp").quantiles) == {0, 1, 2}


def test_categories_and_booleans_become_counts(baseline):
    assert list(column(baseline, "carrier").counts) == ["UA", "DL", "AA"]
    assert sum(column(baseline, "carrier").counts.values()) == 8000
    assert set(column(baseline, "night").counts) == {"true", "false"}
    assert set(column(baseline, "late").counts) == {"true", "false"}


def test_missing_values_are_a_rate_and_nothing_else():
    table = traffic.rows(1000, seed=1)
    table.loc[:99, "temp"] = np.nan
    temp = column(traffic.baseline_of(table), "temp")
    assert (temp.missing_rate, temp.present) == (pytest.approx(0.1), 900)
    assert np.isfinite(temp.quantiles).all()


def test_a_column_without_any_value_is_described():
    assert column(traffic.baseline_of(traffic.rows(500, seed=1).assign(temp=None)), "temp").missing_rate == 1


def test_raw_columns_and_the_models_frame_give_the_same_baseline():
    from driftloop.stages.frame import frame_to_model_frame

    table = traffic.rows(1000, seed=1)
    read = frame_to_model_frame(table, traffic.SCHEMA).join(table[["time", "prediction", "probability", "label"]])
    raw, prepared = traffic.baseline_of(table), traffic.baseline_of(read)
    for name in ("temp", "carrier", "night"):
        assert column(raw, name) == column(prepared, name)
    assert column(raw, "booked").quantiles == pytest.approx(column(prepared, "booked").quantiles, abs=1e-3)


def test_independent_rows_have_no_design_effect_and_days_of_their_own_have():
    table = traffic.rows(8000, seed=1)
    day = table["time"].dt.dayofyear
    moody = table.assign(temp=table["temp"] + 20 * np.sin(day * 2.5))
    assert column(traffic.baseline_of(table), "temp").streams[0].design_effect < 1.1
    assert column(traffic.baseline_of(moody), "temp").streams[0].design_effect > 50


def test_the_blocks_are_as_long_as_a_window_or_a_whole_fraction_of_it(baseline):
    sixteen_days = column(baseline, "temp").streams[0]
    assert (sixteen_days.blocks, sixteen_days.block_seconds) == (48, 28800)
    assert baseline.metric_blocks == 16
    forty_days = column(traffic.baseline_of(traffic.rows(20_500, seed=1)), "temp").streams[0]
    assert (forty_days.blocks, forty_days.block_seconds) == (41, 86400)


def test_without_times_rows_are_independent_and_dates_are_watched_for_presence_only():
    baseline = traffic.baseline_of(traffic.rows(500, seed=1), times=False)
    assert column(baseline, "temp").streams[0].blocks == baseline.metric_blocks == 0
    assert column(baseline, "booked").kind is ColumnKind.PRESENCE
    assert column(baseline, "booked").streams == ()
    judge = traffic.judge_of(baseline)
    frame = traffic.as_logged(traffic.rows(500, seed=2))
    assert not judge.judge_inputs(frame, traffic.window_of(frame)).verdict.is_alarm


def test_good_and_bad_days_widen_the_metric():
    usual = pd.concat(
        [traffic.rows(500, seed=day, start=traffic.START + day * traffic.DAY) for day in range(12)], ignore_index=True
    )
    moody = pd.concat(
        [
            traffic.rows(500, seed=day, concept=day % 3 / 2, start=traffic.START + day * traffic.DAY)
            for day in range(12)
        ],
        ignore_index=True,
    )
    assert traffic.baseline_of(usual).metric_spread < 0.02
    assert traffic.baseline_of(moody).metric_spread > 0.08


def test_a_regression_and_many_classes_have_their_outputs():
    random = np.random.default_rng(0)
    features = pd.DataFrame({"x": random.random(300)})
    x = (Feature(name="x", type=FeatureType.NUMERIC, nullable=False),)
    figures = {"metric_value": 0.5, "metric_standard_error": 0.1}
    regression = DataSchema(task=Task.REGRESSION, target=Target(name="y"), features=x)
    numbers = pd.DataFrame({"prediction": random.random(300)})
    assert [
        o.name for o in build_baseline(features, features, numbers, regression, metric="r2", **figures).outputs
    ] == ["prediction"]
    classes = DataSchema(task=Task.CLASSIFICATION, target=Target(name="y", classes=("a", "b", "c")), features=x)
    answers = pd.DataFrame(
        {"prediction": random.choice(["a", "b", "c"], 300), "probability": random.dirichlet([1, 1, 1], 300).tolist()}
    )
    outputs = build_baseline(features, features, answers, classes, metric="accuracy", **figures).outputs
    assert [o.name for o in outputs] == ["prediction", "probability.a", "probability.b", "probability.c"]


def test_importing_it_loads_no_heavy_library():
    heavy = "{'sklearn', 'scipy', 'alibi_detect'} & set(sys.modules)"
    code = f"import sys, driftloop.monitor.baseline; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_window_as_long_as_the_whole_baseline_is_no_error():
    table = traffic.rows(500, seed=1).assign(time=traffic.START)
    baseline = build_baseline(
        table,
        table,
        table[["prediction", "probability"]],
        traffic.SCHEMA,
        metric="roc_auc",
        metric_value=0.8,
        metric_standard_error=0.01,
        window=timedelta(days=7),
    )
    assert column(baseline, "temp").streams[0].blocks == baseline.metric_blocks == 0
