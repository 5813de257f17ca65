"""What `validate` says of rows: right where something is planted, silent where nothing is."""

import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from driftloop.reports.dataquality import build_quality_page
from driftloop.spec import DataSpec, Task
from driftloop.spec.datachecks import CheckKind, LearningPoint
from driftloop.stages.amount import draw_on
from driftloop.stages.checkup import check_rows, checked
from driftloop.stages.codedrows import CodedColumn, CodedRows
from driftloop.stages.profile import profile
from driftloop.stages.relevance import relevance
from driftloop.stages.validate import validate
from tests.pagecheck import HOSTILE, check_page

ROWS = 3000
CHANCE = np.random.default_rng(0)
X = CHANCE.normal(size=(ROWS, 4))
INPUTS = {f"x{place}": X[:, place] for place in range(4)}
NOISE = CHANCE.normal(size=ROWS)
LATE = X[:, 0] + X[:, 1] + NOISE > 0
DAYS = X[:, 0] + 2 * NOISE
TIMES = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(ROWS)]


def checks(target, task=None, spec=None, **columns):
    task = task or (Task.CLASSIFICATION if np.asarray(target).dtype == bool else Task.REGRESSION)
    data = DataSpec.model_validate({"uri": "x", "targetColumn": "y", "minRows": 30} | (spec or {}))
    validated = validate(pa.table(columns | {"y": target}), task=task, data=data)
    return check_rows(validated.table, validated.schema, data)


def told(found, kind, column=None):
    return " ".join(
        finding.text for finding in found.findings if finding.kind is kind and column in (None, finding.column)
    )


def leaks(*args, **kwargs):
    return told(checks(*args, **kwargs), CheckKind.LEAKAGE)


@pytest.mark.parametrize("target", [LATE, DAYS], ids=["classes", "numbers"])
def test_ordinary_columns_are_no_suspects(target):
    assert leaks(target, **INPUTS) == ""


@pytest.mark.parametrize(
    ("target", "leak"),
    [
        (DAYS, DAYS + 0.8 * CHANCE.normal(size=ROWS)),
        (LATE, LATE ^ (CHANCE.random(ROWS) < 0.1)),
        (LATE, np.where(LATE & (CHANCE.random(ROWS) < 0.95), 7.0, np.nan)),
        (LATE, np.where(LATE ^ (CHANCE.random(ROWS) < 0.05), "refunded", "kept")),
    ],
    ids=["noisy number", "noisy copy", "filled in afterwards", "noisy category"],
)
def test_a_planted_column_from_the_future_is_reported(target, leak):
    assert "of the target alone, all other columns together" in leaks(target, **INPUTS, leak=leak)


def test_two_columns_that_tell_the_target_together_are_reported():
    planned = CHANCE.uniform(0, 100, ROWS)
    arrived = planned + 10 * NOISE
    found = checks(arrived - planned > 8, **INPUTS, planned=planned, arrived=arrived)
    assert "together with 'arrived' (their difference)" in told(found, CheckKind.LEAKAGE, "planned")


def test_the_target_of_a_later_row_is_reported_and_so_is_an_unannounced_earlier_one():
    level = np.zeros(ROWS)
    for row in range(1, ROWS):
        level[row] = 0.8 * level[row - 1] + NOISE[row]
    columns = INPUTS | {"t": TIMES, "ahead": np.roll(level, -2), "before": np.roll(level, 1)}
    found = checks(level, spec={"timeColumn": "t"}, **columns)
    assert "is the target of the row 2 rows later: that can't be known yet" in told(found, CheckKind.LEAKAGE, "ahead")
    assert "is the target of the row 1 row earlier" in told(found, CheckKind.LEAKAGE, "before")
    announced = {"timeColumn": "t", "history": [{"column": "y", "lags": [1]}]}
    assert leaks(level, spec=announced, **INPUTS, t=TIMES, y_lag_1=np.roll(level, 1)) == ""


def test_a_date_after_the_event_is_reported():
    closed = [moment + timedelta(days=3) if row % 4 else None for row, moment in enumerate(TIMES)]
    found = checks(LATE, spec={"timeColumn": "t"}, **INPUTS, t=TIMES, closed=closed)
    assert "lies after the row's own time ('t') in 100 % of the rows" in told(found, CheckKind.LEAKAGE, "closed")


def test_rows_that_do_not_answer_are_told():
    for ordered in (False, True):
        spec, columns = ({"timeColumn": "t"}, {"t": TIMES}) if ordered else ({}, {})
        found = checks(CHANCE.random(ROWS) < 0.3, spec=spec, **INPUTS, **columns)
        assert "these data don't answer this problem" in told(found, CheckKind.RELEVANCE)


def test_false_alarms_of_relevance_are_as_rare_as_promised():
    """Of 60 tables of noise, 5 % may have a column that seems to tell: 8 or more happen by chance in 1 % of runs."""
    alarms = 0
    for seed in range(60):
        codes = np.random.default_rng(seed).integers(0, 5, (300, 7))
        columns = tuple(CodedColumn(f"x{place}", codes[:, place], 5) for place in range(6))
        rows = CodedRows(columns, codes[:, 6], codes[:, 6:].astype(float), is_ordered=False, places=np.arange(300))
        alarms += relevance(rows, seed=seed)[1].min() <= 0.05
    assert alarms < 8


def test_telling_columns_are_told_from_mute_ones_in_any_kind():
    text = [f"the parcel came {'late again' if late else 'as promised'} number {row}" for row, late in enumerate(LATE)]
    found = checks(
        LATE,
        day=[TIMES[0] + timedelta(days=float(10 * x)) for x in X[:, 0]],
        kind=np.where(X[:, 1] > 0, "a", "b"),
        flag=X[:, 2] > 0,
        note=text,
        gap=np.where(LATE & (X[:, 3] > 1), np.nan, X[:, 3]),
    )
    p_values = {one.column: one.p_value for one in found.relevance}
    assert max(p_values[name] for name in ("day", "kind", "note", "gap")) <= 0.05
    assert p_values["flag"] > 0.05
    assert "not 'flag'" in told(found, CheckKind.RELEVANCE)


def test_an_hour_of_the_day_tells_of_a_daily_season_and_what_turns_over_does_not_hold():
    hour = np.arange(ROWS) % 24
    season = checks(
        np.sin(hour / 24 * 2 * np.pi) + NOISE, spec={"timeColumn": "t"}, t=TIMES, hour=hour + 0.0, x=X[:, 0]
    )
    assert {one.column for one in season.relevance if one.p_value <= 0.05} == {"hour"}
    turned = np.where(np.arange(ROWS) // 300 % 2, X[:, 0], -X[:, 0]) + 0.3 * NOISE
    found = checks(turned, spec={"timeColumn": "t"}, t=TIMES, x=X[:, 0])
    assert "does not hold over time" in told(found, CheckKind.RELEVANCE)


def test_wrong_labels_are_counted():
    clear = X[:, 0] + np.where(X[:, 1] > 0, 6, 0)
    truth = X[:, 1] > 0
    wrong = CHANCE.random(ROWS) < 0.05
    noisy = checks(truth ^ wrong, clear=clear, x=X[:, 2])
    assert noisy.label_noise == pytest.approx(wrong.mean(), abs=0.01)
    assert "of the targets contradict what the columns clearly say" in told(noisy, CheckKind.QUALITY)
    assert checks(truth, clear=clear, x=X[:, 2]).label_noise == 0
    assert checks(CHANCE.random(ROWS) < 0.5, **INPUTS).label_noise is None
    number = 3 * X[:, 0] + NOISE
    assert checks(np.where(wrong, number + 50, number), x=X[:, 0]).label_noise == pytest.approx(wrong.mean(), abs=0.01)


def test_what_more_rows_bring_is_drawn_on():
    true = [LearningPoint(rows=n, explained=1 - (0.3 + 4 * n**-0.5)) for n in (100, 200, 400, 800)]
    now, later = draw_on(true, (800, 12_800))
    assert now.explained == pytest.approx(0.7 - 4 * 800**-0.5, abs=0.01)
    assert later.explained == pytest.approx(0.7 - 4 * 12_800**-0.5, abs=0.02)
    assert draw_on(true[:2], (800,)) == ()
    flat = [LearningPoint(rows=n, explained=0.4) for n in (100, 200, 400)]
    assert draw_on(flat, (10_000,))[0].explained == pytest.approx(0.4)


def test_few_rows_are_told_with_how_many_are_needed():
    few = {name: values[:150] for name, values in INPUTS.items()}
    found = checks(LATE[:150], **few)
    assert f"150 rows are few for these columns: by rules of thumb a linear model needs {found.rows_needed:,}" in told(
        found, CheckKind.AMOUNT
    )
    assert "are few" not in told(checks(LATE, **INPUTS), CheckKind.AMOUNT)


def test_doubles_and_contradictions_are_counted():
    doubled = {name: np.concatenate([values, values[:90]]) for name, values in INPUTS.items()}
    found = checks(np.concatenate([LATE, LATE[:90]]), **doubled)
    assert "rows that repeat another one in every column: 90 (2.9 %)" in told(found, CheckKind.QUALITY)
    found = checks(np.concatenate([LATE, ~LATE[:90]]), **doubled)
    assert "no model can get 2.9 % of the rows right" in told(found, CheckKind.QUALITY)


def test_values_far_outside_and_stand_ins_for_missing_are_told():
    far = X[:, 0].copy()
    far[:3] = 1000
    stand_in = np.where(CHANCE.random(ROWS) < 0.05, -999.0, X[:, 1])
    found = checks(LATE, far=far, age=stand_in, x=X[:, 2])
    assert "has values far outside: 3 (0.1 %)" in told(found, CheckKind.QUALITY, "far")
    assert "is -999 in" in told(found, CheckKind.QUALITY, "age")
    assert told(found, CheckKind.QUALITY, "x") == ""


def test_groups_of_people_and_new_segments_are_told():
    sex = CHANCE.choice(["f", "m", "x"], ROWS, p=[0.55, 0.43, 0.02])
    shop = np.where(np.arange(ROWS) > 0.8 * ROWS, "new shop", "old shop")
    spec = {"timeColumn": "t", "sensitiveColumns": ["sex", "age"]}
    found = checks(LATE, spec=spec, **INPUTS, t=TIMES, sex=sex, age=X[:, 3] + 40, shop=shop)
    groups = {(group.column, group.group): group for group in found.groups}
    assert groups["sex", "f"].share == pytest.approx(0.55, abs=0.03)
    assert groups["sex", "f"].outcome == pytest.approx(LATE[sex == "f"].mean())
    assert groups["age", "quartile 4"].share == pytest.approx(0.25, abs=0.01)
    assert f"too few to say how a model treats them: x ({(sex == 'x').sum()} rows)" in told(
        found, CheckKind.DIVERSITY, "sex"
    )
    assert "1 categories that only the newest rows have" in told(found, CheckKind.DIVERSITY, "shop")


@pytest.mark.parametrize(
    ("task", "spec", "columns"),
    [
        (Task.CLUSTERING, {"targetColumn": ""}, INPUTS),
        (Task.ANOMALY_DETECTION, {"targetColumn": ""}, INPUTS),
        (Task.ANOMALY_DETECTION, {}, INPUTS | {"y": LATE}),
        (Task.CLASSIFICATION, {}, {"x": X[:40, 0], "y": LATE[:40]}),
        (Task.CLASSIFICATION, {}, {"x": [None] * 300 + [1.0] * 2700, "c": ["a"] + [None] * 2999, "y": LATE}),
        (Task.REGRESSION, {}, {"x": np.where(X[:, 0] > 9, X[:, 0], 0.0) + X[:, 1].round(), "y": DAYS}),
        (Task.CLASSIFICATION, {}, {HOSTILE: [HOSTILE, "b"] * 1500, "x": X[:, 0], "y": np.arange(ROWS) % 90}),
    ],
)
def test_rows_of_any_kind_are_looked_at_and_shown(task, spec, columns):
    data = DataSpec.model_validate({"uri": "x", "targetColumn": "y", "minRows": 30} | spec)
    table = pa.table(columns)
    validated = checked(validate(table, task=task, data=data), data)
    assert validated.report.checks is not None
    check_page(build_quality_page(profile(table, validated, data), "loop"))


def test_the_page_shows_what_was_found():
    data = DataSpec.model_validate({"uri": "x", "targetColumn": "y", "sensitiveColumns": ["sex"]})
    table = pa.table(INPUTS | {"after": DAYS + 0.5 * X[:, 3], "sex": ["f", "m"] * (ROWS // 2), "y": DAYS})
    page = build_quality_page(
        profile(table, checked(validate(table, task=Task.REGRESSION, data=data), data), data), "l"
    )
    text = " ".join(check_page(page).texts)
    for sentence in (
        "May know the answer",
        "What each column tells of the target",
        "What more rows bring",
        "Whom they show",
    ):
        assert sentence in text


def test_equal_rows_are_told_the_same():
    assert checks(LATE, **INPUTS) == checks(LATE, **INPUTS)


def test_two_hundred_thousand_rows_are_looked_at_within_seconds_and_four_times_their_memory():
    rows = 200_000
    chance = np.random.default_rng(1)
    columns = {f"n{place}": chance.normal(size=rows) for place in range(12)}
    columns |= {f"c{place}": chance.choice(["a", "b", "c"], rows) for place in range(4)}
    target = columns["n0"] + chance.normal(size=rows) > 0
    data = DataSpec(uri="x", target_column="y")
    validated = validate(pa.table(columns | {"y": target}), task=Task.CLASSIFICATION, data=data)
    frame = sum(column.nbytes for column in columns.values())
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    began = time.process_time()
    check_rows(validated.table, validated.schema, data)
    peak = tracemalloc.get_traced_memory()[1] + max(pa.total_allocated_bytes() - before, 0)
    tracemalloc.stop()
    assert time.process_time() - began < 8, "usually below 1.5 s"
    assert peak < 3 * frame, "with the rows themselves four times"


def test_known_groups_of_clusters_are_no_target_to_leak_or_to_explain():
    groups = np.where(X[:, 0] > 0, "high", "low")
    found = checks(groups, Task.CLUSTERING, **INPUTS)
    assert found.rows_looked_at == 0
    assert not told(found, CheckKind.LEAKAGE)
