"""Charts with one named row per line: bars, pairs of bars, intervals; and the tiny histogram of a table's row."""

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.reports.axes import Axis
from driftloop.reports.charts import Tone, figure_of, svg
from driftloop.reports.markup import name, plain

_WIDTH, _NAMES = 440, 150
_VALUES = 82
_PAIRED_VALUES = 112
"""Room at the end of a row, for a value or for two."""
_NAME_LETTERS = 22
_BAR, _GAP = 13, 9
MOST_ROWS = 40


@dataclass(frozen=True)
class Bar:
    """One row: a name, one value for each series, and what is written at its end."""

    name: str
    values: tuple[float, ...]
    """Not negative; as many as there are series."""
    text: str = ""


@dataclass(frozen=True)
class Interval:
    """One row: a value with its uncertainty, and what is written at its end."""

    name: str
    value: float
    low: float
    high: float
    text: str
    tone: Tone = "a"


def bar_chart(title: str, bars: Sequence[Bar], series: Sequence[tuple[Tone, str]], *, alt: str, note: str = "") -> str:
    """Return a figure of horizontal bars, at most 40 rows; with several series one bar of each in a row."""
    shown = bars[:MOST_ROWS]
    most = max((value for bar in shown for value in bar.values), default=0.0) or 1.0
    thick = _BAR if len(series) == 1 else _BAR - 3
    room = _VALUES if len(series) == 1 else _PAIRED_VALUES
    parts, y = [], 4.0
    for bar in shown:
        height = thick * len(bar.values)
        parts.append(_label(bar.name, y + height / 2))
        for index, (value, (tone, _)) in enumerate(zip(bar.values, series, strict=True)):
            width = max(value, 0.0) / most * (_WIDTH - _NAMES - room)
            top = y + index * thick
            parts.append(
                f'<rect class="bars {tone}" x="{_NAMES}" y="{top:.1f}" width="{width:.1f}" height="{thick - 1}"/>'
            )
        parts.append(_text(bar.text, y + height / 2, x=_WIDTH - room + 8))
        y += height + _GAP
    parts.append(f'<path class="axis" d="M{_NAMES},0V{y - _GAP + 4:.0f}"/>')
    left_out = f"{len(bars) - MOST_ROWS} more are not shown. " if len(bars) > MOST_ROWS else ""
    legend = series if len(series) > 1 else ()
    return figure_of(title, svg(_WIDTH, y, "".join(parts), alt), legend=legend, note=left_out + note)


def interval_chart(
    title: str, rows: Sequence[Interval], axis: Axis, *, alt: str, zero: float | None = None, note: str = ""
) -> str:
    """Return a figure of one dot and whisker per row, at most 40, with a line at the value that means no difference."""
    shown = rows[:MOST_ROWS]
    right = _WIDTH - _VALUES - 12

    def at(value: float) -> float:
        return _NAMES + axis.share(value) * (right - _NAMES)

    row_height = _BAR + _GAP + 2
    bottom = 6 + row_height * len(shown)
    parts = []
    for value, text in axis.ticks:
        parts.append(f'<path class="grid" d="M{at(value):.1f},2V{bottom}"/>')
        parts.append(f'<text x="{at(value):.1f}" y="{bottom + 14}" text-anchor="middle">{plain(text)}</text>')
    if zero is not None:
        parts.append(f'<path class="rule ref" d="M{at(zero):.1f},2V{bottom}"/>')
    for index, row in enumerate(shown):
        y = 6 + row_height * (index + 0.5)
        parts.append(_label(row.name, y))
        parts.append(f'<path class="line {row.tone}" d="M{at(row.low):.1f},{y:.1f}H{at(row.high):.1f}"/>')
        parts.append(
            f'<g class="dots {row.tone}"><circle cx="{at(row.value):.1f}" cy="{y:.1f}" r="4.5"/></g>'
            + _text(row.text, y, x=right + 8)
        )
    height = bottom + 20
    if axis.label:
        parts.append(
            f'<text class="label" x="{(_NAMES + right) / 2:.0f}" y="{bottom + 30}" text-anchor="middle">'
            f"{name(axis.label)}</text>"
        )
        height += 16
    left_out = f"{len(rows) - MOST_ROWS} more are not shown. " if len(rows) > MOST_ROWS else ""
    return figure_of(title, svg(_WIDTH, height, "".join(parts), alt), note=left_out + note)


def tiny_histogram(heights: Sequence[float], alt: str, *, gaps: bool = False) -> str:
    """Return a picture for a cell of a table: bars side by side, apart from each other for categories."""
    if not heights:
        return ""
    width, height = 132.0, 26.0
    most = max(heights) or 1.0
    step = width / len(heights)
    thick = step * 0.8 if gaps else step - (0.6 if step > 3 else 0)  # noqa: PLR2004
    parts = []
    for index, value in enumerate(heights):
        if value > 0:
            tall = max(value / most * height, 1.0)  # what is there is seen
            parts.append(f"M{index * step:.1f},{height:.0f}v-{tall:.1f}h{thick:.1f}v{tall:.1f}z")
    base = f'<path class="grid" d="M0,{height:.0f}H{width:.0f}"/>'
    return svg(width, height + 1, f'{base}<path class="bars a" d="{"".join(parts)}"/>', alt)


def _label(text: str, y: float) -> str:
    shown = plain(text, _NAME_LETTERS)
    whole = f"<title>{name(text)}</title>" if len(text) > _NAME_LETTERS else ""
    return f'<text class="row" x="{_NAMES - 8}" y="{y + 4:.1f}" text-anchor="end">{whole}{shown}</text>'


def _text(text: str, y: float, x: float) -> str:
    return f'<text class="row" x="{x:.0f}" y="{y + 4:.1f}">{plain(text, 18)}</text>' if text else ""
