"""What a window of live traffic is called."""

from dataclasses import replace

import numpy as np
import pytest

from driftloop.spec import MonitoringSpec, ReportKind, Verdict, VerdictKind
from tests.monitor import traffic


def judged(judge, table, **changes):
    frame = traffic.as_logged(table.assign(**changes))
    return judge.judge_inputs(frame, traffic.window_of(frame))


def performance_of(judge, table, **changes):
    frame = traffic.as_logged(table.assign(**changes))
    return judge.judge_performance(frame, traffic.window_of(frame))


@pytest.fixture
def table():
    return traffic.rows(500, seed=2)


def drifted(verdict):
    return {drift.feature for drift in verdict.features if drift.drifted} - {"(all)"}


def test_usual_traffic_is_stable(judge, table):
    verdict = judged(judge, table)
    assert verdict.verdict is VerdictKind.STABLE
    tested = {*traffic.SCHEMA.feature_names, "prediction", "probability", "(all)"}
    assert {drift.feature for drift in verdict.features} == tested
    assert [f.effect_size for f in verdict.features] == sorted((f.effect_size for f in verdict.features), reverse=True)
    assert "500 rows by 6 tests" in verdict.summary


def test_a_verdict_survives_its_file(judge, table):
    for verdict in (judged(judge, table), performance_of(judge, table), performance_of(judge, table, label=True)):
        assert Verdict.model_validate_json(verdict.model_dump_json(by_alias=True)) == verdict


def test_a_moved_number_is_covariate_drift_and_the_summary_says_how_far(judge, table):
    verdict = judged(judge, table, temp=table["temp"] + 10)
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT
    assert drifted(verdict) == {"temp"}
    assert "temp: " in verdict.summary
    assert "% of the values lie above" in verdict.summary


def test_a_moved_category_is_covariate_drift(judge, table):
    verdict = judged(judge, table, carrier=table["carrier"].replace("UA", "AA"))
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT
    assert "carrier: 0% of the rows are UA" in verdict.summary


def test_two_categories_are_compared_exactly_by_their_odds(judge, table, engine):
    both = {}
    for name, watch in (("SciPy", judge), (engine.name, replace(judge, engine=engine))):
        verdict = judged(watch, table, night=np.arange(500) % 2 == 0)
        both[name] = {drift.feature: (drift.test, round(drift.statistic, 5)) for drift in verdict.features}
        assert "night" in drifted(verdict)
    assert both["SciPy"]["night"] == both[engine.name]["night"]
    test, odds = both["SciPy"]["night"]
    assert test == "Fisher"
    assert odds == pytest.approx(0.5 / 0.5 / (0.3 / 0.7), rel=0.15)
    assert both["SciPy"]["carrier"][0] == "ChiSquare"


def test_a_third_category_of_two_is_compared_by_chi_square(table):
    both_known = table.assign(carrier=np.where(table["carrier"] == "AA", "UA", table["carrier"]))
    watch = traffic.judge_of(traffic.baseline_of(both_known))
    assert {d.feature: d.test for d in judged(watch, both_known).features}["carrier"] == "Fisher"
    assert {d.feature: d.test for d in judged(watch, table).features}["carrier"] == "ChiSquare"


def test_older_bookings_are_covariate_drift_though_dates_always_move_on(judge, table):
    assert judged(judge, table).verdict is VerdictKind.STABLE
    assert drifted(judged(judge, table, booked=table["booked"] - traffic.DAY * 40)) == {"booked"}


def test_moved_predictions_alone_are_prior_shift(judge, table):
    verdict = judged(judge, table, prediction=True, probability=0.9)
    assert verdict.verdict is VerdictKind.PRIOR_SHIFT
    assert drifted(verdict) == {"prediction", "probability"}


def test_a_difference_below_the_smallest_effect_is_no_drift(baseline, table):
    monitoring = traffic.MONITORING.model_copy(update={"min_effect_size": 0.9})
    assert judged(traffic.judge_of(baseline, monitoring=monitoring), table, temp=table["temp"] + 10).verdict is (
        VerdictKind.STABLE
    )


def test_one_missing_value_does_not_turn_the_test_off(judge, table, engine, baseline):
    temperatures = table["temp"] + 10
    temperatures[3] = np.nan
    verdict = judged(traffic.judge_of(baseline, engine), table, temp=temperatures)
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT


def test_a_column_without_values_is_a_data_fault_and_the_others_are_still_judged(baseline, table, engine):
    verdict = judged(traffic.judge_of(baseline, engine), table, temp=None)
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert [check.check for check in verdict.checks if not check.passed] == ["column"]
    assert {drift.feature for drift in verdict.features} >= {"carrier", "night", "booked"}
    assert "judge temp" in verdict.summary


def test_a_column_absent_from_the_log_is_a_data_fault(judge, table):
    frame = traffic.as_logged(table).drop(columns=["feature.temp", "feature.carrier"])
    verdict = judge.judge_inputs(frame, traffic.window_of(frame))
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert {check.feature for check in verdict.checks if not check.passed} == {"temp", "carrier"}


def test_answers_absent_from_the_log_crash_nothing(judge, table):
    frame = traffic.as_logged(table).drop(columns=["output.prediction", "output.probability"])
    assert judge.judge_inputs(frame, traffic.window_of(frame)).verdict is VerdictKind.STABLE
    assert judge.judge_performance(frame, traffic.window_of(frame)).verdict is VerdictKind.NOT_ENOUGH_DATA


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_new_categories_crash_nothing_and_never_disable_the_test(judge, table, share, engine, baseline):
    new = table["carrier"].mask(np.arange(len(table)) < share * len(table), "ZZ")
    verdict = judged(traffic.judge_of(baseline, engine), table, carrier=new)
    assert any(check.check == "new_category" and "'ZZ'" in check.message for check in verdict.checks)
    assert verdict.verdict is (VerdictKind.STABLE if share < 0.1 else VerdictKind.DATA_FAULT)
    assert ("carrier" in drifted(verdict)) is (share > 0.1)


def test_few_rows_are_not_judged(judge, table):
    for verdict in (judged(judge, table[:199]), performance_of(judge, table[:199])):
        assert verdict.verdict is VerdictKind.NOT_ENOUGH_DATA
        assert "199 predictions" in verdict.summary


def test_usual_performance_holds(judge, table):
    verdict = performance_of(judge, table)
    assert verdict.verdict is VerdictKind.STABLE
    assert verdict.kind is ReportKind.PERFORMANCE
    assert verdict.window.labelled_rows == 500
    assert verdict.performance.standard_error > 0


def test_worse_answers_on_stable_inputs_are_concept_drift(judge):
    verdict = performance_of(judge, traffic.rows(500, seed=2, concept=0.0))
    assert verdict.verdict is VerdictKind.CONCEPT_DRIFT
    assert verdict.performance.dropped


def test_worse_answers_on_moved_inputs_are_a_performance_drop(judge):
    table = traffic.rows(500, seed=2, concept=0.0)
    assert performance_of(judge, table, temp=table["temp"] + 10).verdict is VerdictKind.PERFORMANCE_DROP


def test_worse_answers_on_a_broken_feed_are_a_data_fault(judge):
    assert performance_of(judge, traffic.rows(500, seed=2, concept=0.0), temp=None).verdict is VerdictKind.DATA_FAULT


def test_a_moved_label_rate_with_answers_as_good_as_ever_is_prior_shift(judge):
    verdict = performance_of(judge, traffic.rows(500, seed=2, rarity=3.0))
    assert verdict.verdict is VerdictKind.PRIOR_SHIFT
    assert drifted(verdict) == {"late"}
    assert "late: " in verdict.summary


def test_one_class_of_labels_is_said_not_judged(judge, table):
    verdict = performance_of(judge, table, label=False)
    assert verdict.verdict is VerdictKind.NOT_ENOUGH_DATA
    assert verdict.performance.value is None
    assert "too few of one class" in verdict.summary


def test_labels_for_half_of_the_smallest_window_are_enough(judge, table):
    label = table["label"].astype(object)
    few, enough = (label.where(np.arange(len(table)) < count, None) for count in (99, 100))
    assert performance_of(judge, table, label=few).verdict is VerdictKind.NOT_ENOUGH_DATA
    assert performance_of(judge, table, label=enough).verdict is VerdictKind.STABLE


@pytest.mark.parametrize("written", [str, float, int, lambda value: str(value).lower()])
def test_labels_are_the_schemas_classes_whatever_their_json_type(judge, table, written):
    plain = performance_of(judge, table)
    other = performance_of(judge, table, label=table["label"].map(written), prediction=table["prediction"].map(written))
    assert other.performance == plain.performance


def test_the_budget_is_shared_by_all_tests_of_a_window(judge, table):
    thresholds = {drift.feature: drift.threshold for drift in judged(judge, table).features}
    # 1 in 30 days, daily windows, half for drift, of that 0.9 for 4 inputs and 2 outputs.
    assert thresholds["temp"] == pytest.approx(1 / 30 / 2 * 0.9 / 6)
    assert thresholds["(all)"] == pytest.approx(1 / 30 / 2 * 0.1)


def test_a_generous_budget_makes_no_evidence_of_chance(baseline, table):
    generous = MonitoringSpec.model_validate(
        {**traffic.MONITORING.to_dict(), "falseAlarmBudget": {"max": 1000, "per": "1d"}}
    )
    found = judged(traffic.judge_of(baseline, monitoring=generous), table).features
    assert max(drift.threshold for drift in found) < 0.05
