"""Charts as inline SVG, drawn by hand: importing a plotting library would cost a run two seconds.

A chart is a frame (two axes) and marks in it; colours are the page's. Every series is told apart by more than colour:
by shape, dashes or a label beside it. Takes numbers and plain text, gives markup.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from driftloop.reports.axes import Axis
from driftloop.reports.markup import name, plain

Tone: TypeAlias = Literal["a", "b", "c", "ref", "good", "warn", "bad", "fault", "none"]
"""Colours of the page: a, b, c tell series apart; `ref` is what something is compared with."""

MOST_POINTS = 400
"""Points of a line or dots of a cloud; more do not show."""


@dataclass(frozen=True)
class Frame:
    """Two axes and the room around them, in pixels of the picture."""

    x: Axis
    y: Axis
    width: int = 440
    height: int = 290
    left: int = 54
    right: int = 16
    top: int = 14
    bottom: int = 42

    def at_x(self, value: float) -> float:
        """Return where a value lies from the left."""
        return self.left + self.x.share(value) * (self.width - self.left - self.right)

    def at_y(self, value: float) -> float:
        """Return where a value lies from the top."""
        return self.height - self.bottom - self.y.share(value) * (self.height - self.top - self.bottom)

    def place(self, x: float, y: float) -> str:
        """Return the coordinates of a point."""
        return f"{self.at_x(x):.1f},{self.at_y(y):.1f}"


def line(frame: Frame, xs: Sequence[float], ys: Sequence[float], tone: Tone = "a", *, dashed: bool = False) -> str:
    """Draw a line through points; a point that is not finite leaves a gap."""
    parts, gap = [], True
    for x, y in _thinned(list(zip(xs, ys, strict=True))):
        if math.isfinite(x) and math.isfinite(y):
            parts.append(("M" if gap else "L") + frame.place(x, y))
            gap = False
        else:
            gap = True
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path class="line {tone}" d="{"".join(parts)}"{dashes}/>' if parts else ""


def band(frame: Frame, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], tone: Tone = "a") -> str:
    """Shade what lies between two lines: an uncertainty."""
    points = _thinned(list(zip(xs, lows, highs, strict=True)))
    if not points:
        return ""
    there = [frame.place(x, high) for x, _, high in points]
    back = [frame.place(x, low) for x, low, _ in reversed(points)]
    return f'<path class="band {tone}" d="M{"L".join(there + back)}Z"/>'


def dots(
    frame: Frame,
    xs: Sequence[float],
    ys: Sequence[float],
    tone: Tone = "a",
    *,
    radius: float = 2.4,
    faint: bool = False,
) -> str:
    """Draw points, evenly chosen where there are many."""
    faintly = " faint" if faint else ""
    marks = "".join(
        f'<circle cx="{frame.at_x(x):.1f}" cy="{frame.at_y(y):.1f}" r="{radius}"/>'
        for x, y in _thinned(list(zip(xs, ys, strict=True)))
        if math.isfinite(x) and math.isfinite(y)
    )
    return f'<g class="dots {tone}{faintly}">{marks}</g>'


def whiskers(frame: Frame, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], tone: Tone = "a") -> str:
    """Draw an upright interval at each x."""
    parts = [
        f"M{frame.place(x, low)}L{frame.place(x, high)}"
        for x, low, high in _thinned(list(zip(xs, lows, highs, strict=True)))
        if math.isfinite(low) and math.isfinite(high)
    ]
    return f'<path class="line thin {tone}" d="{"".join(parts)}"/>' if parts else ""


def histogram(
    frame: Frame, edges: Sequence[float], heights: Sequence[float], tone: Tone = "a", *, outline: bool = False
) -> str:
    """Draw bars between edges (one more than heights), filled, or as an outline to lay over others."""
    parts = [f"M{frame.place(edges[0], 0)}"]
    for low, high, height in zip(edges, edges[1:], heights, strict=False):
        parts.append(f"L{frame.place(low, height)}L{frame.place(high, height)}")
    parts.append(f"L{frame.place(edges[-1], 0)}")
    return f'<path class="{"line" if outline else "bars"} {tone}" d="{"".join(parts)}"/>'


def rule(frame: Frame, *, x: float | None = None, y: float | None = None, label: str = "", tone: Tone = "ref") -> str:
    """Draw a dashed line right across at a value, with its label beside it."""
    if x is not None:
        place = frame.at_x(x)
        bottom = frame.height - frame.bottom
        at_right = place > frame.width * 0.6
        text_x, anchor = (place - 4, "end") if at_right else (place + 4, "start")
        text = f'<text class="{tone}" x="{text_x:.1f}" y="{frame.top + 9}" text-anchor="{anchor}">{name(label)}</text>'
        return f'<path class="rule {tone}" d="M{place:.1f},{frame.top}V{bottom}"/>{text if label else ""}'
    place = frame.at_y(y or 0.0)
    text_y = place - 4 if place > frame.top + 14 else place + 12
    right = frame.width - frame.right
    text = f'<text class="{tone}" x="{right - 2}" y="{text_y:.1f}" text-anchor="end">{name(label)}</text>'
    return f'<path class="rule {tone}" d="M{frame.left},{place:.1f}H{right}"/>{text if label else ""}'


def diagonal(frame: Frame) -> str:
    """Draw the line where both axes agree."""
    low, high = max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high)
    return f'<path class="rule ref" d="M{frame.place(low, low)}L{frame.place(high, high)}"/>' if low < high else ""


def chart(
    title: str,
    frame: Frame,
    marks: Iterable[str],
    *,
    alt: str,
    legend: Sequence[tuple[Tone, str]] = (),
    note: str = "",
) -> str:
    """Return a figure: caption, legend, axes and marks.

    Args:
        title: what the picture shows, plain text.
        frame: its axes.
        marks: what is drawn in it, finished markup.
        alt: what a person sees in it, for those who can't.
        legend: colour and plain name of each series; none for one series.
        note: one plain sentence on how to read it.
    """
    return figure_of(
        title, svg(frame.width, frame.height, _axes(frame) + "".join(marks), alt), legend=legend, note=note
    )


def figure_of(title: str, picture: str, *, legend: Sequence[tuple[Tone, str]] = (), note: str = "") -> str:
    """Put caption, legend and note around a finished picture."""
    keys = "".join(f'<span class="key {tone}"></span>{name(text)} ' for tone, text in legend)
    explained = f'<p class="note">{plain(note)}</p>' if note else ""
    shown = f'<div class="legend">{keys}</div>' if keys else ""
    return f"<figure><figcaption>{plain(title, 120)}</figcaption>{shown}{picture}{explained}</figure>"


def svg(width: float, height: float, content: str, alt: str) -> str:
    """Return a picture that shrinks with its page and never grows beyond its size."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{plain(alt, 300)}">{content}</svg>'
    )


def _axes(frame: Frame) -> str:
    bottom, right = frame.height - frame.bottom, frame.width - frame.right
    parts = []
    for value, text in frame.y.ticks:
        y = frame.at_y(value)
        parts.append(f'<path class="grid" d="M{frame.left},{y:.1f}H{right}"/>')
        parts.append(f'<text x="{frame.left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{plain(text)}</text>')
    for value, text in frame.x.ticks:
        x = frame.at_x(value)
        parts.append(f'<path class="tick" d="M{x:.1f},{bottom}v4"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{plain(text)}</text>')
    parts.append(f'<path class="axis" d="M{frame.left},{bottom}H{right}"/>')
    middle_x, middle_y = (frame.left + right) / 2, (frame.top + bottom) / 2
    if frame.x.label:
        parts.append(
            f'<text class="label" x="{middle_x:.0f}" y="{frame.height - 7}" text-anchor="middle">'
            f"{name(frame.x.label)}</text>"
        )
    if frame.y.label:
        parts.append(
            f'<text class="label" transform="translate(12 {middle_y:.0f}) rotate(-90)" text-anchor="middle">'
            f"{name(frame.y.label)}</text>"
        )
    return "".join(parts)


def _thinned(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(index * step)] for index in range(MOST_POINTS)]
