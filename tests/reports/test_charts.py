import re

from driftloop.reports import charts
from driftloop.reports.axes import number_axis
from driftloop.reports.bars import MOST_ROWS, Bar, Interval, bar_chart, interval_chart, tiny_histogram
from driftloop.reports.charts import Frame
from driftloop.reports.lanes import Lane, Mark, Span, lane_chart
from driftloop.reports.page import render_page
from tests.pagecheck import HOSTILE, check_page

NAN = float("nan")


def frame(values=(0.0, 1.0)):
    return Frame(number_axis("x", values), number_axis("y", values))


def test_a_gap_in_the_numbers_is_a_gap_in_the_line():
    drawn = charts.line(frame(), [0, 0.25, 0.5, 1], [0, 1, NAN, 1])
    assert drawn.count("M") == 2
    assert drawn.count("L") == 1


def test_many_points_are_thinned_and_the_ends_are_kept():
    xs = [index / 9999 for index in range(10_000)]
    drawn = charts.dots(frame(), xs, xs)
    assert drawn.count("<circle") == charts.MOST_POINTS
    centres = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    assert (centres[0], centres[-1]) == (frame().at_x(0.0), frame().at_x(1.0))


def test_what_lies_beyond_an_axis_is_drawn_at_its_end():
    assert frame().at_x(7.0) == frame().at_x(1.0)


def test_up_is_more():
    assert frame().at_y(1.0) < frame().at_y(0.0)


def test_charts_of_nothing_and_of_hostile_names_are_valid():
    axis = number_axis(HOSTILE, [])
    empty = Frame(axis, axis)
    marks = (
        charts.line(empty, [], []),
        charts.band(empty, [], [], []),
        charts.dots(empty, [NAN], [NAN]),
        charts.whiskers(empty, [0.0], [NAN], [NAN]),
        charts.rule(empty, x=0.5, label=HOSTILE),
        charts.rule(empty, y=0.5, label=HOSTILE),
        charts.diagonal(empty),
    )
    page = render_page(
        HOSTILE,
        charts.chart(HOSTILE, empty, marks, alt=HOSTILE, legend=(("a", HOSTILE),), note=HOSTILE),
        bar_chart(HOSTILE, [Bar(HOSTILE, (0.0,), HOSTILE)], (("a", HOSTILE),), alt=HOSTILE),
        bar_chart("none", [], (("a", "rows"),), alt="nothing"),
        interval_chart(HOSTILE, [Interval(HOSTILE, 0.0, 0.0, 0.0, HOSTILE)], axis, alt=HOSTILE, zero=0.0),
        lane_chart(
            HOSTILE,
            axis,
            [Lane(HOSTILE, [Span(0, 1, "a", HOSTILE, HOSTILE)], [Mark(0, "a", HOSTILE, HOSTILE)] * 3)],
            alt=HOSTILE,
            legend=(),
        ),
        tiny_histogram((0.0, 0.0), HOSTILE),
    )
    check_page(page)


def test_rows_beyond_the_limit_are_counted():
    drawn = bar_chart("many", [Bar(str(row), (1.0,)) for row in range(MOST_ROWS + 7)], (("a", "x"),), alt="x")
    assert drawn.count("<rect") == MOST_ROWS
    assert "7 more are not shown" in drawn


def test_a_rare_value_is_seen_beside_a_frequent_one():
    assert tiny_histogram((1e9, 1.0), "x").count("v-") == 2


def test_marks_at_the_same_moment_stand_beside_each_other():
    axis = number_axis("", [0.0, 100.0])
    drawn = lane_chart(
        "x", axis, [Lane("l", marks=[Mark(50, "a", "R", "run"), Mark(50, "a", "P", "up")])], alt="x", legend=()
    )
    first, second = (float(x) for x in re.findall(r'cx="([\d.]+)"', drawn))
    assert second - first > 16
