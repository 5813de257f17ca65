"""Free text among the columns of a table: how `validate` tells it from names of rows and from categories."""

import statistics

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.spec.words import words_of

FEWEST_WORDS = 3
"""Median of the words in a text that is free; identifiers and categories have fewer."""
_DIFFERENT_SHARE = 0.5
_FEWEST_ROWS = 50
_MOST_LOOKED_AT = 1000


def is_free_text(values: pa.Array) -> bool:
    """Return whether texts, given without missing ones, are free: of several words each, and most of them different.

    Few rows tell no text from a category; a thousand, evenly chosen, are looked at.
    """
    rows = len(values)
    if rows < _FEWEST_ROWS or pc.count_distinct(values).as_py() < _DIFFERENT_SHARE * rows:
        return False
    chosen = values.take(pa.array(range(0, rows, max(rows // _MOST_LOOKED_AT, 1))))
    return statistics.median(_words(text) for text in chosen.to_pylist()) >= FEWEST_WORDS


def _words(text: str) -> int:
    """Count words with letters between spaces: the parts of an identifier are none, be they parted by hyphens."""
    found = sum(any(letter.isalpha() for letter in part) for part in text.split())
    return found if text.isascii() else max(found, sum(len(word) == 1 for word in words_of(text)))
