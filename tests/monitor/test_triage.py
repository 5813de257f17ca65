"""What the evidence of a window adds up to: one test per rule, on evidence made by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from driftloop.monitor.labelshift import LabelShift
from driftloop.monitor.triage import Evidence, triage
from driftloop.spec import (
    CheckResult,
    ErrorChange,
    Estimate,
    FeatureDrift,
    Harm,
    Performance,
    Power,
    ReportKind,
    Segment,
    VerdictKind,
)


def drift(feature, *, drifted=True, effect=0.3, moved="", windows=1, p_value=1e-6):
    return FeatureDrift(
        feature=feature,
        test="KolmogorovSmirnov",
        statistic=effect,
        p_value=p_value if drifted else 0.5,
        threshold=1e-4,
        effect_size=effect,
        drifted=drifted,
        moved=moved,
        windows=windows,
    )


def estimate(value=0.75, error=0.005, *, changed=False):
    return Estimate(metric="roc_auc", method="CBPE", value=value, standard_error=error, reference=0.75, changed=changed)


def performance(value=0.75, error=0.005, *, dropped=False):
    return Performance(metric="roc_auc", value=value, standard_error=error, reference=0.75, dropped=dropped)


def errors(before=0.2, after=0.3, *, changed=True):
    since = datetime(2026, 3, 2, 4, tzinfo=UTC) if changed else None
    return ErrorChange(since=since, before=before, after=after, statistic=20, threshold=10, changed=changed)


HELD = drift("temp", drifted=False, effect=0.02), drift("dewp", drifted=False, effect=0.01)
QUIET = Evidence(rows=400, inputs=HELD, outputs=[drift("prediction", drifted=False)])
MOVED = replace(QUIET, inputs=[drift("temp", moved="62% of the values lie above 31, 20% did"), HELD[1]])
BROKEN = CheckResult(
    check="unit", feature="temp", passed=False, observed=1, limit=0, message="temp looks like °F, it was °C."
)
LABEL = drift("late", moved="60% of the rows are true, 20% were")
PRIOR, CASES = LabelShift(by_prior=True, by_cases=False), LabelShift(by_prior=False, by_cases=True)
ODDS = LabelShift(by_prior=False, by_cases=False, by_odds=True)
NEITHER = LabelShift(by_prior=False, by_cases=False)
TORN = drift("temp ~ dewp"), drift("humid ~ temp")


def judged(evidence, kind=ReportKind.INPUTS):
    return triage(evidence, kind)


def labelled(evidence, found, **more):
    return triage(replace(evidence, performance=found, **more), ReportKind.PERFORMANCE)


def test_nothing_moved_is_stable_and_the_summary_says_what_would_have_been_seen():
    power = Power(rows=400, probability=0.9, shift_sd=0.2, shift_share=0.08)
    verdict, harm, summary = judged(replace(QUIET, power=power))
    assert (verdict, harm) == (VerdictKind.STABLE, None)
    assert "A shift of 0.2 sd would have been seen with probability 0.9." in summary


def test_a_failed_check_is_a_data_fault_whatever_else_moved():
    evidence = replace(MOVED, checks=[BROKEN], estimate=estimate(0.5, changed=True))
    verdict, harm, summary = judged(evidence)
    assert (verdict, harm) == (VerdictKind.DATA_FAULT, None)
    assert "temp looks like °F" in summary


@pytest.mark.parametrize(
    ("found", "harm"),
    [
        (None, Harm.UNKNOWN),
        (estimate(0.65, changed=True), Harm.HARMFUL),
        (estimate(0.75, 0.005), Harm.HARMLESS),
        (estimate(0.75, 0.03), Harm.UNKNOWN),
        (estimate(0.735, 0.005), Harm.UNKNOWN),
        (estimate(None, None), Harm.UNKNOWN),
    ],
)
def test_moved_inputs_harm_as_far_as_the_estimate_tells(found, harm):
    verdict, found_harm, summary = judged(replace(MOVED, estimate=found))
    assert (verdict, found_harm) == (VerdictKind.COVARIATE_DRIFT, harm)
    assert "temp: 62% of the values lie above 31, 20% did" in summary


def test_the_columns_that_moved_are_ranked_and_the_rest_is_counted():
    inputs = [drift(f"x{number}", effect=number / 10) for number in range(1, 6)]
    _, _, summary = judged(replace(QUIET, inputs=inputs))
    assert summary.index("x5") < summary.index("x4") < summary.index("x3")
    assert "x2" not in summary
    assert "(and 2 more)" in summary


def test_a_drift_that_took_several_windows_to_show_says_so():
    _, _, summary = judged(replace(QUIET, inputs=[drift("temp", windows=4)]))
    assert "over the last 4 windows" in summary


def test_columns_that_no_longer_go_together_are_a_data_fault_and_the_common_one_is_named():
    verdict, _, summary = judged(replace(QUIET, pairs=TORN))
    assert verdict is VerdictKind.DATA_FAULT
    assert "the values of temp look shuffled" in summary


def test_columns_that_go_together_otherwise_because_one_moved_are_no_fault():
    assert judged(replace(MOVED, pairs=TORN))[0] is VerdictKind.COVARIATE_DRIFT


def test_one_torn_pair_of_columns_that_held_is_a_fault_though_others_moved():
    evidence = replace(MOVED, pairs=[*TORN, drift("wind ~ gust")])
    assert judged(evidence)[0] is VerdictKind.DATA_FAULT


def test_predictions_that_moved_alone_are_prior_shift():
    assert judged(replace(QUIET, outputs=[drift("prediction")]))[0] is VerdictKind.PRIOR_SHIFT


def test_inputs_that_moved_only_together_are_unknown_unless_predictions_moved_or_the_estimate_fell():
    evidence = replace(QUIET, joint=drift("(all)"))
    assert judged(evidence)[:2] == (VerdictKind.UNKNOWN, None)
    also = replace(evidence, outputs=[drift("prediction")])
    assert judged(also)[:2] == (VerdictKind.COVARIATE_DRIFT, Harm.UNKNOWN)
    fallen = replace(evidence, estimate=estimate(0.6, changed=True))
    assert judged(fallen)[:2] == (VerdictKind.COVARIATE_DRIFT, Harm.HARMFUL)


def test_a_worse_estimate_without_any_move_is_unknown():
    assert judged(replace(QUIET, estimate=estimate(0.6, changed=True)))[0] is VerdictKind.UNKNOWN


def test_labels_that_say_it_holds_are_stable():
    assert labelled(QUIET, performance())[:2] == (VerdictKind.STABLE, None)


@pytest.mark.parametrize(("error", "harm"), [(0.005, Harm.HARMLESS), (0.03, Harm.UNKNOWN)])
def test_moved_inputs_with_a_metric_that_holds_are_harmless_where_it_is_measured_well(error, harm):
    assert labelled(MOVED, performance(error=error))[:2] == (VerdictKind.STABLE, harm)


def test_a_drop_on_moved_inputs_is_a_performance_drop_that_says_where():
    segment = Segment(
        feature="carrier", values="carrier is UA", rows=90, share=0.2, effect=0.1, message="Worst where carrier is UA."
    )
    verdict, harm, summary = labelled(MOVED, performance(0.6, dropped=True), segment=segment)
    assert (verdict, harm) == (VerdictKind.PERFORMANCE_DROP, Harm.HARMFUL)
    assert "Worst where carrier is UA." in summary


@pytest.mark.parametrize("more", [{}, {"label": LABEL}, {"label": LABEL, "label_shift": NEITHER}])
def test_a_drop_on_inputs_that_held_is_concept_drift(more):
    assert labelled(QUIET, performance(0.6, dropped=True), **more)[0] is VerdictKind.CONCEPT_DRIFT


def test_errors_that_rose_on_inputs_that_held_are_concept_drift_since_then():
    verdict, _, summary = labelled(QUIET, performance(), errors=errors())
    assert verdict is VerdictKind.CONCEPT_DRIFT
    assert summary.startswith("The mean error rose from 0.2 to 0.3 since 2026-03-02 04:00")


def test_errors_that_fell_are_no_alarm():
    assert labelled(QUIET, performance(), errors=errors(0.3, 0.2))[0] is VerdictKind.STABLE


@pytest.mark.parametrize("evidence", [QUIET, MOVED])
def test_a_drop_that_the_class_frequencies_explain_is_prior_shift(evidence):
    found = labelled(evidence, performance(0.6, dropped=True), label=LABEL, label_shift=PRIOR)
    assert found[0] is VerdictKind.PRIOR_SHIFT


@pytest.mark.parametrize(
    ("evidence", "shift", "verdict"),
    [
        (QUIET, None, VerdictKind.PRIOR_SHIFT),
        (QUIET, ODDS, VerdictKind.PRIOR_SHIFT),
        (QUIET, NEITHER, VerdictKind.CONCEPT_DRIFT),
        (QUIET, CASES, VerdictKind.STABLE),
        (MOVED, ODDS, VerdictKind.STABLE),
        (MOVED, NEITHER, VerdictKind.STABLE),
        (MOVED, PRIOR, VerdictKind.PRIOR_SHIFT),
        (MOVED, CASES, VerdictKind.STABLE),
        (MOVED, None, VerdictKind.STABLE),
    ],
)
def test_labels_that_moved_are_prior_shift_unless_other_cases_explain_them(evidence, shift, verdict):
    assert labelled(evidence, performance(), label=LABEL, label_shift=shift)[0] is verdict


@pytest.mark.parametrize("evidence", [QUIET, MOVED])
def test_exchanged_labels_are_a_data_fault_and_named(evidence):
    shift = LabelShift(by_prior=False, by_cases=False, exchanged=("false", "true"))
    verdict, _, summary = labelled(evidence, performance(0.25, dropped=True), label=LABEL, label_shift=shift)
    assert verdict is VerdictKind.DATA_FAULT
    assert "The labels 'false' and 'true' look exchanged" in summary


@pytest.mark.parametrize("more", [{"checks": [BROKEN]}, {"pairs": TORN}])
def test_a_drop_on_a_broken_feed_is_a_data_fault(more):
    found = labelled(replace(QUIET, **more), performance(0.5, dropped=True), errors=errors())
    assert found[0] is VerdictKind.DATA_FAULT
