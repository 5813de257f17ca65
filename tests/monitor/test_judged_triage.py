"""Triage of real evidence: traffic through the judge."""

import numpy as np
import pytest

from driftloop.spec import ReportKind, VerdictKind
from tests.monitor import traffic
from tests.monitor.test_evidence import page_of


def judged(judge, table, kind=ReportKind.INPUTS):
    frame = traffic.as_logged(table)
    judge_it = judge.judge_inputs if kind is ReportKind.INPUTS else judge.judge_performance
    return judge_it(frame, traffic.window_of(frame))


def test_exchanged_labels_are_a_data_fault(judge):
    table = traffic.rows(500, seed=2)
    verdict = judged(judge, table.assign(label=~table["label"]), ReportKind.PERFORMANCE)
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert "The labels 'false' and 'true' look exchanged" in verdict.summary


def test_a_reversed_concept_is_no_exchange_of_labels(judge):
    verdict = judged(judge, traffic.rows(500, seed=2, concept=-1.0), ReportKind.PERFORMANCE)
    assert verdict.verdict is VerdictKind.CONCEPT_DRIFT


def test_other_class_frequencies_are_prior_shift_though_the_inputs_of_the_class_come_along(judge):
    rows = traffic.rows(8000, seed=3)
    late = rows["label"]
    index = np.sort(np.concatenate([np.flatnonzero(late)[:350], np.flatnonzero(~late)[:150]]))
    assert judged(judge, rows.iloc[index], ReportKind.PERFORMANCE).verdict is VerdictKind.PRIOR_SHIFT


def test_a_column_that_moved_in_one_category_names_it_in_verdict_and_page(judge):
    table = traffic.rows(500, seed=2)
    warm = table["temp"] + 16 * (table["carrier"] == "DL")
    verdict, page, _ = page_of(judge, traffic.as_logged(table.assign(temp=warm)))
    assert verdict.verdict is VerdictKind.COVARIATE_DRIFT
    assert verdict.segment.values == "carrier is DL"
    assert verdict.segment.message in page.texts


def test_values_that_miss_in_one_category_name_it(judge):
    table = traffic.rows(500, seed=2)
    verdict = judged(judge, table.assign(temp=table["temp"].where(table["carrier"] != "DL")))
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert "It is worst where carrier is DL" in verdict.summary


def test_another_unit_within_the_range_seen_is_a_data_fault(judge):
    table = traffic.rows(500, seed=2)
    verdict = judged(judge, table.assign(temp=table["temp"] * 1.609344))
    assert verdict.verdict is VerdictKind.DATA_FAULT
    assert "miles became km?" in verdict.summary


@pytest.mark.parametrize("kind", list(ReportKind))
def test_verdict_and_segment_do_not_depend_on_the_order_of_rows(judge, kind):
    table = traffic.rows(500, seed=2, concept=0.5)
    table["temp"] += 8 * (table["carrier"] == "DL")
    shuffled = table.sample(frac=1, random_state=0)
    one, other = judged(judge, table, kind), judged(judge, shuffled, kind)
    assert one.verdict is other.verdict
    assert one.segment == other.segment
