import random

from driftloop.reports.dataquality import MOST_COLUMNS, ColumnProfile, Spread, TableProfile, build_quality_page
from tests.pagecheck import HOSTILE, check_page


def column(number, **changes):
    facts = {
        "name": f"{HOSTILE}{number}",
        "kind": "number",
        "role": "input",
        "missing": 0.1,
        "distinct": 10_000,
        "values": HOSTILE,
        "heights": tuple(random.Random(number).random() * 1e6 for _ in range(24)),
        "remarks": (HOSTILE,) * 3,
    }
    return ColumnProfile(**(facts | changes))


def table(columns, **changes):
    facts = {"source": HOSTILE, "rows": 100, "rows_used": 90, "columns": tuple(columns), "target": HOSTILE}
    return TableProfile(**(facts | changes))


def test_five_hundred_columns_of_hostile_values_are_one_small_harmless_page():
    profile = table(
        [column(number) for number in range(500)],
        notes=(HOSTILE,) * 500,
        target_counts=tuple((f"{HOSTILE}{number}", 1) for number in range(10_000)),
    )
    page = check_page(build_quality_page(profile, HOSTILE))
    assert any("<script>" in text for text in page.texts), "it shows as text"
    assert "300 more columns are not shown." in page.texts


def test_of_many_columns_those_with_remarks_are_shown():
    columns = [column(number, name=f"plain-{number}", remarks=()) for number in range(MOST_COLUMNS + 1)]
    page = check_page(build_quality_page(table([*columns, column(0, name="odd", remarks=("is odd",))]), "loop"))
    assert "odd" in page.texts
    assert f"plain-{MOST_COLUMNS}" not in page.texts


def test_a_regression_shows_how_its_target_is_spread():
    html = build_quality_page(table([column(1)], target="price", target_spread=Spread((0, 1, 2), (3, 4))), "loop")
    assert "Target: price" in check_page(html).texts


def test_nothing_to_remark_is_said():
    assert "Nothing is suspicious." in build_quality_page(table([column(1, remarks=())]), "loop")
