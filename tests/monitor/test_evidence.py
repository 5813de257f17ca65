"""The page behind a drift report."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from driftloop.monitor.baseline import build_baseline
from driftloop.monitor.engines import SciPyEngine
from driftloop.monitor.evidence import build_evidence_page
from driftloop.monitor.judge import Judge
from driftloop.predictionlog.columns import FEATURE_PREFIX, LABEL, OUTPUT_PREFIX, TIME
from driftloop.spec import (
    Budget,
    DataSchema,
    DriftReport,
    ErrorChange,
    Estimate,
    Feature,
    FeatureType,
    Harm,
    LabelsWithin,
    Power,
    ReportKind,
    Target,
    Task,
    Verdict,
    VerdictKind,
)
from tests.monitor import traffic
from tests.pagecheck import HOSTILE, check_page


def report(verdict: Verdict) -> DriftReport:
    return DriftReport(
        name=f"{verdict.kind}-1", loop="flight-delays", loop_uid="uid", created_at=traffic.START, verdict=verdict
    )


def window(**changes):
    return traffic.as_logged(traffic.rows(500, seed=7).assign(**changes))


def page_of(judge, frame, *, kind=ReportKind.INPUTS, past=()):
    judged = judge.judge_inputs if kind is ReportKind.INPUTS else judge.judge_performance
    verdict = judged(frame, traffic.window_of(frame))
    html = build_evidence_page(report(verdict), frame, judge, past)
    return verdict, check_page(html), html


def test_the_column_that_moved_is_drawn_first_with_how_far_it_moved(judge):
    warm = traffic.rows(500, seed=7)["temp"] + 10
    verdict, page, _ = page_of(judge, window(temp=warm))
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT
    captions = [text for text in page.texts if text.endswith("of the traffic moved")]
    assert captions[0].startswith("temp: ")
    assert len(captions) == sum(test.drifted for test in verdict.features if test.feature != "(all)")
    assert verdict.summary in page.texts


def test_the_note_under_a_number_says_the_same_as_the_verdict(judge):
    warm = traffic.rows(500, seed=7)["temp"] + 10
    verdict, page, _ = page_of(judge, window(temp=warm))
    clause = verdict.summary.split("temp: ")[1].split(".  ")[0].split(" did")[0]
    assert any(clause in text for text in page.texts if text != verdict.summary)


def test_the_distance_over_all_values_stands_under_a_number_whichever_engine(judge, engine):
    _, page, _ = page_of(replace(judge, engine=engine), window(temp=traffic.rows(500, seed=7)["temp"] + 10))
    (told,) = [text for text in page.texts if "Cramér-von Mises" in text and "UA" not in text][:1]
    assert float(told.split("Cramér-von Mises ")[1].split(",")[0].replace(" ", "")) > 10


def test_a_quiet_window_shows_what_moved_most(judge):
    verdict, page, _ = page_of(judge, window())
    assert verdict.verdict is VerdictKind.STABLE
    assert "What moved most, though not enough to count" in page.texts


def test_a_new_category_is_named_new_and_shows_as_text(judge):
    carrier = np.where(np.arange(500) % 3 == 0, HOSTILE, "UA")
    _, page, _ = page_of(judge, window(carrier=carrier))
    assert any(text.startswith("new: <script>") for text in page.texts)


def test_a_broken_feed_shows_the_checks_that_failed(judge):
    verdict, page, _ = page_of(judge, window(temp=np.nan))
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert "Checks that failed" in page.texts
    assert "No row has a value of temp; 100% had." in page.texts


def test_the_performance_of_earlier_windows_is_drawn(judge):
    past = [judge.judge_performance(window(), traffic.window_of(window())) for _ in range(3)]
    _, page, html = page_of(judge, window(), kind=ReportKind.PERFORMANCE, past=past)
    assert "Performance over time" in page.texts
    assert "in 4 windows" in html


def test_a_window_of_nothing_is_a_page(judge):
    frame = window()[:0]
    verdict, page, _ = page_of(judge, frame)
    assert verdict.verdict is VerdictKind.NOT_ENOUGH_DATA
    assert "Not enough data for a verdict" in page.texts


@pytest.mark.parametrize("task", [Task.REGRESSION, Task.CLASSIFICATION])
def test_other_tasks_have_pages_too(task):
    random = np.random.default_rng(0)
    classes = ("a", "b", "c") if task is Task.CLASSIFICATION else ()
    schema = DataSchema(
        task=task,
        target=Target(name="y", classes=classes),
        features=(Feature(name="x", type=FeatureType.NUMERIC, nullable=False, minimum=-5, maximum=5),),
    )
    answers = random.choice(classes, 900) if classes else random.normal(size=900)
    outputs = pd.DataFrame({"prediction": answers})
    if classes:
        outputs["probability"] = random.dirichlet([1, 1, 1], 900).tolist()
    rows = pd.DataFrame({"x": random.normal(size=900), "y": answers})
    baseline = build_baseline(
        rows, rows, outputs, schema, metric="accuracy" if classes else "r2", metric_value=0.5, metric_standard_error=0.1
    )
    frame = outputs.add_prefix(OUTPUT_PREFIX).assign(
        **{FEATURE_PREFIX + "x": rows["x"] + 3, TIME: traffic.START, LABEL: answers}
    )
    judge = Judge("v1", schema, baseline, traffic.MONITORING, SciPyEngine())
    verdict, page, _ = page_of(judge, frame, kind=ReportKind.PERFORMANCE)
    assert any(text.startswith("x: ") for text in page.texts)
    assert verdict.features


def test_five_hundred_columns_with_ten_thousand_categories_are_one_small_page():
    rows, columns = 400, 500
    random = np.random.default_rng(0)
    names = [f"{HOSTILE}{number}" for number in range(columns)]
    schema = DataSchema(
        task=Task.REGRESSION,
        target=Target(name="y"),
        features=tuple(Feature(name=name, type=FeatureType.CATEGORICAL, nullable=True) for name in names),
    )
    known = pd.DataFrame({name: ["usual"] * rows for name in names})
    outputs = pd.DataFrame({"prediction": random.normal(size=rows)})
    baseline = build_baseline(known, known, outputs, schema, metric="r2", metric_value=0.5, metric_standard_error=0.1)
    many = {f"{HOSTILE}-{number}": 1 for number in range(10_000)}
    first = baseline.features[0].model_copy(update={"counts": many, "present": 10_000})
    baseline = baseline.model_copy(update={"features": (first, *baseline.features[1:])})
    frame = pd.concat(
        [
            pd.DataFrame({FEATURE_PREFIX + name: [f"{HOSTILE}{row}" for row in range(rows)] for name in names}),
            outputs.add_prefix(OUTPUT_PREFIX).assign(**{TIME: traffic.START}),
        ],
        axis=1,
    )
    judge = Judge("v1", schema, baseline, traffic.MONITORING, SciPyEngine())
    _, page, _ = page_of(judge, frame)
    assert any("<script>" in text for text in page.texts)


def judged_by_all(judge):
    """A verdict that has everything to show, with the rows it is about."""
    frame = window()
    verdict = judge.judge_performance(frame, traffic.window_of(frame))
    performance = verdict.performance.model_copy(
        update={
            "metrics": {"accuracy": 0.7, "recall": 0.4},
            "maturity": (LabelsWithin(delay_seconds=3600, share=0.5), LabelsWithin(delay_seconds=7200, share=0.83)),
        }
    )
    more = {
        "verdict": VerdictKind.COVARIATE_DRIFT,
        "harm": Harm.HARMLESS,
        "performance": performance,
        "power": Power(rows=500, probability=0.9, shift_sd=0.2, shift_share=0.08),
        "budget": Budget(asked=1, carried=2.5, reasons=("The reference is shorter than a week.",), spent=0.01),
        "estimate": Estimate(metric="roc_auc", method="CBPE", value=0.8, standard_error=0.01, reference=0.81),
        "errors": ErrorChange(since=traffic.START, before=0.2, after=0.3, statistic=20.0, threshold=10.0, changed=True),
        "expected": "winter timetable",
        "silent_writers": ("monitor-1",),
    }
    return verdict.model_copy(update=more), frame


def test_the_page_says_how_sure_it_is_and_what_the_alarm_may_cost(judge):
    verdict, frame = judged_by_all(judge)
    html = build_evidence_page(report(verdict), frame, judge)
    text = " ".join(check_page(html).texts)
    assert "500 rows would have shown a shift of 0.2 sd (8 % of the traffic) with probability 0.9." in text
    assert "2.5 in 30 days: more than asked" in text
    assert "The reference is shorter than a week." in text
    assert "1 % of one alarm" in text


def test_the_page_shows_the_metric_with_and_without_labels_and_when_they_arrive(judge):
    verdict, frame = judged_by_all(judge)
    html = build_evidence_page(report(verdict), frame, judge)
    text = " ".join(check_page(html).texts)
    assert "estimated 0.8" in html
    assert "On the same rows: accuracy 0.7, recall 0.4." in text
    assert "The mean error rose from 0.2 to 0.3, most likely since 2026-03-02 00:00 UTC" in text
    assert "83 % of labels arrive within 2 hours." in text
    assert "This change was expected: winter timetable. It starts no run." in text
    assert "not heard of for too long were monitor-1" in text


def test_harmless_drift_reads_differently_from_harmful_drift(judge):
    verdict, frame = judged_by_all(judge)
    pages = [
        check_page(build_evidence_page(report(found), frame, judge)).texts
        for found in (verdict, verdict.model_copy(update={"harm": Harm.HARMFUL}))
    ]
    assert "The inputs moved, and the answers don't suffer" in pages[0]
    assert "The inputs moved, and the answers suffer" in pages[1]
