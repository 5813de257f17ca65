"""Expected changes on a real log: judged as ever, named, and reported again when what was expected is over."""

import pytest

from driftloop.sidecar.verdictjournal import VerdictJournal
from driftloop.spec import Harm, ReportKind, VerdictKind
from tests.loop.conftest import make_verdict
from tests.monitor import traffic
from tests.sidecar.test_evaluator import NOW, Monitored, day, found


def moment(days):
    return f"{traffic.START + days * traffic.DAY:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def monitored(tmp_path):
    monitored = Monitored(tmp_path)
    text = monitored.loop_file.read_text()
    change = f"    expectedChanges: [{{name: Easter, start: '{moment(0.5)}', end: '{moment(2)}'}}]\n"
    monitored.loop_file.write_text(text.rstrip() + "\n" + change)
    return monitored


def test_expected_drift_is_judged_recorded_and_named(monitored):
    monitored.log([day(n, warmer=10.0 * (n in (1, 2))) for n in range(4)], through=4)
    monitored.evaluator().catch_up(NOW)
    judged = monitored.verdicts()
    assert found(judged) == [(0, "Stable"), (1, "CovariateDrift"), (2, "CovariateDrift"), (3, "Stable")]
    assert [v.expected for v in judged if v.kind is ReportKind.INPUTS] == ["", "Easter", "", ""]
    reports = [report.verdict for report in monitored.reports() if report.verdict.kind is ReportKind.INPUTS]
    assert [(v.verdict.value, v.expected) for v in reports] == [
        ("CovariateDrift", "Easter"),
        ("CovariateDrift", ""),
        ("Stable", ""),
    ]


def test_the_name_is_the_same_whenever_one_looks(monitored):
    for number in range(3):
        monitored.log([day(number, warmer=10.0 * (number == 1))], through=number + 1)
        monitored.evaluator().catch_up(NOW)
    assert [v.expected for v in monitored.verdicts() if v.kind is ReportKind.INPUTS] == ["", "Easter", ""]


@pytest.mark.parametrize(
    ("before", "after", "is_news"),
    [
        ({}, {}, False),
        ({"expected": "Easter"}, {"expected": "Easter"}, False),
        ({"expected": "Easter"}, {}, True),
        ({"harm": Harm.HARMLESS}, {"harm": Harm.HARMFUL}, True),
        ({"harm": Harm.HARMLESS}, {"harm": Harm.UNKNOWN}, False),
    ],
)
def test_what_is_news_of_drift_that_lasts(tmp_path, before, after, is_news):
    journal = VerdictJournal(tmp_path, 10)
    drift = make_verdict(1, VerdictKind.COVARIATE_DRIFT, kind=ReportKind.INPUTS)
    journal.append(drift.model_copy(update=before))
    later = make_verdict(2, VerdictKind.COVARIATE_DRIFT, kind=ReportKind.INPUTS).model_copy(update=after)
    assert journal.is_change(later) is is_news
    assert VerdictJournal(tmp_path, 10).is_change(later) is is_news, "the same after a restart"
