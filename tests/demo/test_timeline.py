"""The demo's table and picture say what happened."""

from datetime import timedelta
from html.parser import HTMLParser

from driftloop.demo.picture import write_page
from driftloop.demo.timeline import COLUMNS, FinalComparison, TimelineRow, decisions_in
from driftloop.loop.history import Promoted, RunHeld, RunStarted, model_of
from driftloop.spec import Window
from tests.loop.conftest import START, WEEK, make_result


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


class Page(HTMLParser):
    """Collects tags, their outside references and texts."""

    def __init__(self):
        super().__init__()
        self.tags, self.references, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_page_holds_picture_and_table_and_needs_nothing_from_outside(tmp_path):
    rows = [row(0), row(1, performance="PriorShift"), row(2, "v2", score=None), row(3, "v2")]
    path = write_page(rows, final(), tmp_path / "timeline.html")
    page = Page()
    page.feed(path.read_text())
    assert "svg" in page.tags
    assert page.references == []
    assert set(COLUMNS) <= set(page.texts)
    assert page.tags.count("tr") == 1 + len(rows)
    assert path.stat().st_size < 2_000_000
