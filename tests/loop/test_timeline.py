"""The timeline page tells what the ledger and the verdicts say."""

from datetime import timedelta

import pytest

from driftloop.loop.history import (
    Promoted,
    Quarantined,
    Rejected,
    RolledBack,
    RunFinished,
    RunHeld,
    RunStarted,
    Started,
    model_of,
)
from driftloop.loop.timeline import MOST_WINDOWS, Beside, Story, build_timeline_page
from driftloop.spec import Performance, ReportKind, VerdictKind
from tests.loop.conftest import START, WEEK, make_result, make_verdict
from tests.pagecheck import HOSTILE, check_page

KINDS = list(VerdictKind)


def verdict(week, found=VerdictKind.STABLE, *, value=0.7, **changes):
    performance = Performance(
        metric="roc_auc", value=value, standard_error=0.01, reference=0.72, dropped=found is VerdictKind.CONCEPT_DRIFT
    )
    return make_verdict(week, found, **changes).model_copy(update={"performance": performance})


def run(number, at=START):
    return RunStarted(at=at, run_key=f"k{number}", number=number, reason=HOSTILE, data_uri="x")


def model(number, digest="a"):
    return model_of(run(number), make_result(f"k{number}", digest=digest * 64))


def entries():
    later = START + 2 * WEEK
    return [
        Started(at=START, driftloop_version="0"),
        run(1),
        RunFinished(at=START, run_key="k1", result=make_result("k1")),
        Promoted(at=START, model=model(1), reason="first"),
        Quarantined(at=START + WEEK, window_start=START, window_end=START + WEEK, reason=HOSTILE),
        RunHeld(at=START + WEEK, run_key="h", reason="cooldown"),
        run(2, later),
        RunFinished(at=later, run_key="k2", error=HOSTILE),
        Rejected(at=later, run_key="k2", reason=HOSTILE),
        Promoted(at=later, model=model(3, "b"), reason="better"),
        RolledBack(at=later + WEEK, model=model(1), reason=HOSTILE),
    ]


def test_every_entry_that_matters_is_told_with_its_reason():
    page = check_page(build_timeline_page(Story("flights", entries(), [verdict(week) for week in range(5)])))
    for told in (
        "Training of v2 began",
        "A run failed",
        "A challenger was turned down",
        "v3 was promoted",
        "Rolled back to v1",
        "A retraining was held back",
        "Rows of 2013-03-01 00:00 to 2013-03-08 00:00 are kept out of training",
    ):
        assert told in page.texts


def test_which_model_served_when_is_one_stretch_for_each_change():
    html = build_timeline_page(Story("flights", entries(), [verdict(week) for week in range(5)]))
    assert html.count("serves</title>") == 3
    assert [text for text in check_page(html).texts if text in ("v1", "v3")].count("v1") >= 2


def test_each_alarm_leads_to_its_evidence():
    alarm = verdict(1, VerdictKind.CONCEPT_DRIFT)
    key = (alarm.kind, alarm.model_version, alarm.window.start)
    story = Story("flights", entries(), [verdict(0), alarm], {key: "monitor/reports/performance-1.html"})
    page = check_page(build_timeline_page(story))
    assert page.references == ["monitor/reports/performance-1.html"] * 2, "from the picture and from the table"
    assert "1 alarms" in page.texts


def test_a_loop_without_a_verdict_has_a_page():
    page = check_page(build_timeline_page(Story(HOSTILE, [], [])))
    assert "No window has been judged yet." in page.texts


def test_a_verdict_is_told_apart_by_its_sign_too():
    verdicts = [verdict(week, kind) for week, kind in enumerate(KINDS)]
    page = check_page(build_timeline_page(Story("flights", [], verdicts)))
    assert {"F", "I", "L", "C", "P"} <= set(page.texts)


def test_a_line_beside_is_named():
    beside = Beside("never retrained", [(START + timedelta(days=3), 0.6), (START + timedelta(days=10), 0.61)])
    page = check_page(
        build_timeline_page(Story("flights", [], [verdict(0), verdict(1)], beside=beside, lede="Gain: 0.1."))
    )
    assert "never retrained" in page.texts
    assert "Gain: 0.1." in page.texts


@pytest.mark.parametrize("kind", ReportKind)
def test_years_of_hourly_windows_are_one_small_page_of_the_newest(kind):
    verdicts = [verdict(week, KINDS[week % len(KINDS)], kind=kind) for week in range(20_000 // 7)]
    verdicts = [v.model_copy(update={"summary": HOSTILE}) for v in verdicts]
    held = [RunHeld(at=START + week * WEEK, run_key=f"h{week}", reason=HOSTILE) for week in range(3000)]
    html = build_timeline_page(Story("flights", [*entries(), *held], verdicts))
    check_page(html)
    newest = verdicts[-1].window.start
    assert f"{newest:%Y-%m-%d}" in html
    assert html.count(f"<title>{KINDS[1]}") <= MOST_WINDOWS
