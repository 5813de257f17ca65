"""Which verdict a loop's status shows."""

from dataclasses import dataclass

from driftloop.operator.status import newest_verdict
from driftloop.spec import ReportKind, VerdictKind
from tests.loop.conftest import make_verdict


@dataclass(frozen=True)
class Champion:
    version: str = "aaaaaaaaaaaa"


@dataclass(frozen=True)
class State:
    champion: Champion | None = Champion()


def test_a_drift_of_performance_is_shown_though_the_next_windows_inputs_are_judged_already():
    drift = make_verdict(1, VerdictKind.CONCEPT_DRIFT)
    calm = make_verdict(2, kind=ReportKind.INPUTS)
    assert newest_verdict(State(), [drift, calm]) == drift


def test_a_drift_that_has_passed_is_shown_no_more():
    drift, over = make_verdict(1, VerdictKind.CONCEPT_DRIFT), make_verdict(2)
    calm = make_verdict(3, kind=ReportKind.INPUTS)
    assert newest_verdict(State(), [drift, over, calm]) == calm


def test_verdicts_on_another_model_are_not_shown():
    other = make_verdict(1, VerdictKind.CONCEPT_DRIFT, version="bbbbbbbbbbbb")
    assert newest_verdict(State(), [other]) is None
