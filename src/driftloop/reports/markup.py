"""Values from data as text that a page can carry: escaped, printable, and no longer than a person reads.

Column names and categories are written by strangers. Whatever they hold shows as text.
"""

import math
import re
from html import escape

LONGEST_NAME = 48
NOTHING = "-"
"""Stands where there is no number."""
_ELLIPSIS = "…"
# What XML forbids, and the marks that turn the direction of the text after them around.
_UNPRINTABLE = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_LARGE, _SMALL = 1000, 1e-3


def plain(value: object, most: int | None = None) -> str:
    """Return a value as escaped text, cut after so many characters.

    >>> plain("<script>"), plain("abcdef", most=4)
    ('&lt;script&gt;', 'abc…')
    """
    text = _UNPRINTABLE.sub("\ufffd", str(value))
    if most is not None and len(text) > most:
        text = text[: most - 1] + _ELLIPSIS
    return escape(text)


def name(value: object) -> str:
    """Return the name of a column, category or class as escaped text that fits a label."""
    return plain(value, LONGEST_NAME)


def figure(value: float) -> str:
    """Return a number as people write it: four significant digits, thousands apart.

    >>> figure(1234567.0), figure(0.12345), figure(3.0), figure(1e-7), figure(float("nan"))
    ('1,234,567', '0.1235', '3', '1e-07', '-')
    """
    if not math.isfinite(value):
        return NOTHING
    if abs(value) >= _LARGE and abs(value) < 1e15:  # noqa: PLR2004 - beyond, the digits mean nothing
        return f"{value:,.0f}"
    if value == int(value):
        return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.3g}"  # noqa: PLR2004
    return f"{value:.4g}" if abs(value) >= _SMALL else f"{value:.2g}"


def percent(share: float) -> str:
    """Return a share as a percentage; what is there is never shown as nothing.

    >>> percent(0.5), percent(0.0123), percent(0.00001), percent(0.99999), percent(0.0)
    ('50 %', '1.2 %', '< 0.1 %', '> 99.9 %', '0 %')
    """
    if not math.isfinite(share):
        return NOTHING
    if 0 < share < 0.001:  # noqa: PLR2004
        return "< 0.1 %"
    if 0.999 < share < 1:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
