"""Lanes under one time axis: stretches and marks, each with a sign that tells it without its colour."""

from collections.abc import Sequence
from dataclasses import dataclass

from driftloop.reports.axes import Axis
from driftloop.reports.charts import Tone, figure_of, svg
from driftloop.reports.markup import name, plain

WIDTH, LEFT, RIGHT = 1000, 96, 18
"""Shared with the chart above the lanes, so that times stand below each other."""
_HEIGHT, _GAP = 22, 9
_MARK = 8.5
_LETTER_WIDTH = 7
_SIGN_ROOM = 11


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds since the epoch."""

    start: float
    end: float
    tone: Tone
    sign: str
    """Written on it where there is room; a stretch without one is drawn faintly."""
    told: str
    """What it is, in plain words."""
    href: str = ""
    """Where more is told."""


@dataclass(frozen=True)
class Mark:
    """A moment, in seconds since the epoch."""

    at: float
    tone: Tone
    sign: str
    """One letter."""
    told: str


@dataclass(frozen=True)
class Lane:
    """One row of the picture."""

    name: str
    spans: Sequence[Span] = ()
    marks: Sequence[Mark] = ()


def lane_chart(
    title: str, axis: Axis, lanes: Sequence[Lane], *, alt: str, legend: Sequence[tuple[Tone, str]], note: str = ""
) -> str:
    """Return a figure of lanes below each other over a time axis."""
    parts, y = [], 4.0
    for lane in lanes:
        parts.append(
            f'<text class="row" x="{LEFT - 10}" y="{y + 15:.0f}" text-anchor="end">{plain(lane.name, 14)}</text>'
        )
        parts += [_span(axis, span, y) for span in lane.spans]
        last = float("-inf")
        for mark in lane.marks:
            last = min(max(_at(axis, mark.at), last + 2 * _MARK + 1), WIDTH - RIGHT)
            parts.append(_mark(mark, last, y))
        y += _HEIGHT + _GAP
    parts.append(f'<path class="axis" d="M{LEFT},{y:.0f}H{WIDTH - RIGHT}"/>')
    for value, text in axis.ticks:
        x = _at(axis, value)
        parts.append(f'<path class="tick" d="M{x:.1f},{y:.0f}v4"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.0f}" text-anchor="middle">{plain(text)}</text>')
    return figure_of(title, svg(WIDTH, y + 22, "".join(parts), alt), legend=legend, note=note)


def _at(axis: Axis, seconds: float) -> float:
    return LEFT + axis.share(seconds) * (WIDTH - LEFT - RIGHT)


def _span(axis: Axis, span: Span, y: float) -> str:
    start = _at(axis, span.start)
    width = max(_at(axis, span.end) - start - 1, 0.8)
    sign = ""
    if span.sign and width >= max(_SIGN_ROOM, _LETTER_WIDTH * len(span.sign)):
        middle = start + width / 2
        sign = f'<text class="sign" x="{middle:.1f}" y="{y + 15:.0f}" text-anchor="middle">{name(span.sign)}</text>'
    drawn = (
        f'<g class="{span.tone}"><title>{plain(span.told, 160)}</title>'
        f'<rect class="bars{"" if span.sign else " quiet"}" x="{start:.1f}" y="{y:.0f}" width="{width:.1f}" '
        f'height="{_HEIGHT}" rx="2"/>{sign}</g>'
    )
    return f'<a href="{plain(span.href)}">{drawn}</a>' if span.href else drawn


def _mark(mark: Mark, x: float, y: float) -> str:
    return (
        f'<g class="{mark.tone}"><title>{plain(mark.told, 160)}</title>'
        f'<circle class="bars" cx="{x:.1f}" cy="{y + _HEIGHT / 2:.1f}" r="{_MARK}"/>'
        f'<text class="sign" x="{x:.1f}" y="{y + 15:.0f}" text-anchor="middle">{name(mark.sign)}</text></g>'
    )
