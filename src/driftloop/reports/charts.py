"""Small charts as inline SVG. Drawn by hand: importing a plotting library would cost a run two seconds."""

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

_SIZE, _MARGIN = 260, 46
_TICKS = 5
_MOST_DOTS = 800


def line_chart(title: str, x_name: str, y_name: str, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return a figure of one line, with the diagonal as a guide; both axes show 0 to 1."""
    points = " ".join(f"{_place(x, 0, 1):.1f},{_place(y, 0, 1, down=True):.1f}" for x, y in zip(xs, ys, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="2"/>'
    return _figure(title, x_name, y_name, (0, 1), line)


def scatter_chart(
    title: str, x_name: str, y_name: str, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]
) -> str:
    """Return a figure of at most 800 dots, evenly chosen, with the diagonal as a guide; both axes show the same."""
    step = max(len(xs) // _MOST_DOTS, 1)
    low, high = float(min(np.min(xs), np.min(ys))), float(max(np.max(xs), np.max(ys)))
    dots = "".join(
        f'<circle cx="{_place(x, low, high):.1f}" cy="{_place(y, low, high, down=True):.1f}" r="2" '
        'fill="var(--accent)" opacity=".4"/>'
        for x, y in zip(xs[::step], ys[::step], strict=True)
    )
    return _figure(title, x_name, y_name, (low, high), dots)


def _figure(title: str, x_name: str, y_name: str, limits: tuple[float, float], marks: str) -> str:
    low, high = limits
    ticks = []
    for value in np.linspace(low, high, _TICKS):
        x, y = _place(value, low, high), _place(value, low, high, down=True)
        ticks.append(f'<text x="{x:.1f}" y="{_SIZE + _MARGIN + 14}" text-anchor="middle">{value:.3g}</text>')
        ticks.append(f'<text x="{_MARGIN - 5}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    width, height = _SIZE + _MARGIN + 20, _SIZE + _MARGIN + 38
    middle = _SIZE / 2 + _MARGIN
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
        f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_SIZE}" height="{_SIZE}" fill="none" stroke="var(--line)"/>'
        f'<line x1="{_MARGIN}" y1="{_MARGIN + _SIZE}" x2="{_MARGIN + _SIZE}" y2="{_MARGIN}" stroke="var(--line)" '
        f'stroke-dasharray="4"/>{marks}{"".join(ticks)}'
        f'<text x="{middle}" y="{height - 6}" text-anchor="middle">{escape(x_name)}</text>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 10}">{escape(y_name)}</text></svg></figure>'
    )


def _place(value: float, low: float, high: float, *, down: bool = False) -> float:
    share = (value - low) / ((high - low) or 1)
    return _MARGIN + _SIZE * (1 - share if down else share)
