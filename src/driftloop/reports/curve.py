"""The learning curve as inline SVG: score by number of rows, with the levels it is held against."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 520, 240, 58, 16, 44
_TICKS = 5


def learning_curve(
    sizes: Sequence[int], scores: Sequence[float], *, error: float, metric: str, levels: Mapping[str, float]
) -> str:
    """Return the figure.

    Args:
        sizes: rows, rising; on a logarithmic axis.
        scores: of these rows.
        error: standard error of the scores, drawn as whiskers.
        metric: name of the score.
        levels: values to compare with, by name.
    """
    values = [*scores, *levels.values(), *(value - error for value in scores), *(value + error for value in scores)]
    low, high = min(values), max(values)
    low, high = low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1)
    first, last = np.log(sizes[0]), np.log(sizes[-1])

    def x(size: float) -> float:
        return _LEFT + _WIDTH * float((np.log(size) - first) / ((last - first) or 1))

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (high - value) / (high - low)

    marks = [
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in np.linspace(low, high, _TICKS)
    ]
    for name, value in levels.items():
        marks.append(
            f'<line x1="{_LEFT}" y1="{y(value):.1f}" x2="{_LEFT + _WIDTH}" y2="{y(value):.1f}" stroke="currentColor" '
            f'stroke-dasharray="4" opacity=".5"/><text x="{_LEFT + 6}" y="{y(value) - 4:.1f}">'
            f"{escape(name)} {value:.3g}</text>"
        )
    for size, value in zip(sizes, scores, strict=True):
        marks.append(
            f'<line x1="{x(size):.1f}" y1="{y(value - error):.1f}" x2="{x(size):.1f}" y2="{y(value + error):.1f}" '
            f'stroke="currentColor"/><circle cx="{x(size):.1f}" cy="{y(value):.1f}" r="4" fill="currentColor"/>'
            f'<text x="{x(size):.1f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{size:,}</text>'
        )
    points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, scores, strict=True))
    width, height = _LEFT + _WIDTH + 40, _TOP + _HEIGHT + _BOTTOM
    return (
        f'<figure><figcaption>Learning curve</figcaption><svg width="{width}" height="{height}" role="img" '
        f'viewBox="0 0 {width} {height}" aria-label="{escape(metric)} by training rows">'
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" '
        'stroke="currentColor" opacity=".3"/>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"/>{"".join(marks)}'
        f'<text x="{_LEFT + _WIDTH / 2}" y="{height - 8}" text-anchor="middle">training rows '
        f"({escape(metric)} on the validation rows, with its standard error)</text></svg></figure>"
    )
