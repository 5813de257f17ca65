"""The demo's table and picture say what happened."""

from datetime import timedelta

from driftloop.demo.timeline import FinalComparison, TimelineRow, build_page, decisions_in
from driftloop.loop.history import Promoted, RunHeld, RunStarted, model_of
from driftloop.spec import Window
from tests.loop.conftest import START, WEEK, make_result
from tests.loop.test_timeline import verdict
from tests.pagecheck import check_page


def row(week, champion="v1", performance="Stable", score=0.7):
    start = START + week * WEEK
    return TimelineRow(start, start + WEEK, 2100, "Stable", performance, "", champion, score, 0.65)


def final():
    return FinalComparison("August 2013", 28756, "v2", START, 0.70, 0.65, 0.04, 0.06)


def test_a_decision_stands_with_the_window_it_answers():
    run = RunStarted(at=START + WEEK + timedelta(days=1), run_key="k", number=2, reason="drift", data_uri="x")
    promoted = Promoted(at=run.at, model=model_of(run, make_result("k")), reason="better")
    held = RunHeld(at=START + 2 * WEEK, run_key="h", reason="10 labelled rows of the 20 needed; drift")
    entries = [run, promoted, held]
    assert decisions_in(entries, Window(start=START, end=START + WEEK, rows=0)) == ["retrain v2", "promote v2"]
    later = Window(start=START + WEEK, end=START + 2 * WEEK, rows=0)
    assert decisions_in(entries, later) == ["held back: 10 labelled rows of the 20 needed"]


def test_the_gain_is_the_difference():
    assert abs(final().difference - 0.05) < 1e-12


def test_the_page_tells_the_gain_and_shows_the_first_model_beside_the_champion():
    rows = [row(0), row(1, performance="PriorShift"), row(2, "v2", score=None), row(3, "v2")]
    verdicts = [verdict(week) for week in range(4)]
    page = check_page(build_page([], verdicts, {}, rows, final()))
    assert "the first model, never retrained" in " ".join(page.texts)
    assert any("a gain of +0.050" in text for text in page.texts)
