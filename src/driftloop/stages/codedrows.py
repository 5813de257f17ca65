"""Rows as whole numbers: every column cut into at most 17 kinds of values. What the checks of `validate` are made of.

No model is made of it. Loads neither pandas nor scikit-learn.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.spec import DataSchema, FeatureType
from driftloop.spec.words import words_of
from driftloop.stages.rowcodes import encode_values

MOST_ROWS = 10_000
"""Rows, evenly chosen, that are looked at: figures to within one per cent, within a second."""
_BINS = 15
_TARGET_BINS = 8
_WORDS = 40
_FAR_OUT = 3.0
"""Interquartile ranges."""
_FEWEST_WORD_ROWS = 20
Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CodedColumn:
    """One column, or one word of a free text."""

    name: str
    codes: Codes
    """0 where a value is missing, shape (n_rows,)."""
    size: int
    """One more than the greatest code there can be."""


@dataclass(frozen=True)
class CodedRows:
    """Rows and their target; in order of time where there is one."""

    columns: tuple[CodedColumn, ...]
    target_codes: Codes
    """Class, or one of 8 bins of a number."""
    target: Numbers
    """What is to be explained, shape (n_rows, n_outputs): one column a class, or the number."""
    is_ordered: bool
    places: Codes
    """Positions of the rows in the table."""

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.places)


def code_rows(table: pa.Table, schema: DataSchema) -> CodedRows | None:
    """Code a table of `validate`; None without a target.

    Args:
        table: rows, at most `MOST_ROWS` of which are chosen evenly.
        schema: what its columns are.
    """
    if not schema.target.name:
        return None
    places = np.flatnonzero(pc.is_valid(table.column(schema.target.name)).to_numpy())
    if schema.time_column:
        times = table.column(schema.time_column).cast(pa.int64()).to_numpy()
        places = places[np.argsort(times[places], kind="stable")]
    if len(places) > MOST_ROWS:
        places = places[np.linspace(0, len(places) - 1, MOST_ROWS).astype(np.int64)]
    chosen = table.take(pa.array(places))
    columns: list[CodedColumn] = []
    for feature in schema.features:
        column = chosen.column(feature.name).combine_chunks()
        if feature.type is FeatureType.TEXT:
            columns += _code_words(feature.name, column)
        elif feature.type in (FeatureType.NUMERIC, FeatureType.DATE):
            columns.append(code_numbers(feature.name, as_numbers(column)))
        else:
            columns.append(_code_categories(feature.name, column))
    target = chosen.column(schema.target.name).combine_chunks()
    if schema.target.classes:
        codes = encode_values(target)
        outputs = np.eye(codes.max(initial=0) + 1)[codes]
    else:
        numbers = as_numbers(target)
        codes, outputs = code_numbers("", numbers, _TARGET_BINS).codes - 1, _tamed(numbers)[:, None]
    return CodedRows(tuple(columns), codes, outputs, bool(schema.time_column), places)


def as_numbers(column: pa.Array) -> Numbers:
    """Return float64, NaN where missing; times in seconds."""
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64()), 1e6)
    values: Numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def code_numbers(name: str, values: Numbers, bins: int = _BINS) -> CodedColumn:
    """Cut numbers into bins of about equal frequency; equal values share one."""
    known = values[np.isfinite(values)]
    if not len(known):
        return CodedColumn(name, np.zeros(len(values), dtype=np.int64), 1)
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="lower"))
    codes = np.searchsorted(edges, values, side="left") + 1
    return CodedColumn(name, np.where(np.isfinite(values), codes, 0).astype(np.int64), len(edges) + 2)


def _code_categories(name: str, column: pa.Array) -> CodedColumn:
    codes = encode_values(column) + 1
    counts = np.bincount(codes)
    counts[0] = 0
    frequent = np.argsort(-counts, kind="stable")[:_BINS]
    rank = np.full(len(counts), _BINS + 1)
    rank[frequent] = np.arange(1, len(frequent) + 1)
    rank[0] = 0
    return CodedColumn(name, rank[codes].astype(np.int64), min(len(counts), _BINS + 2))


def _code_words(name: str, column: pa.Array) -> list[CodedColumn]:
    texts = [set(words_of(text.lower())) if text else set() for text in column.to_pylist()]
    counts = Counter(word for words in texts for word in words)
    rows = len(texts)
    telling = [word for word, count in counts.most_common() if _FEWEST_WORD_ROWS <= count <= rows - _FEWEST_WORD_ROWS]
    return [
        CodedColumn(name, np.array([word in words for words in texts], dtype=np.int64), 2) for word in telling[:_WORDS]
    ]


def _tamed(values: Numbers) -> Numbers:
    """Pull in values far out (Tukey's fences), so that a few rows don't make the picture."""
    low, high = np.quantile(values, (0.25, 0.75))
    reach = _FAR_OUT * (high - low)
    if reach == 0:  # more than half of the values are one
        low, high = np.quantile(values, (0.005, 0.995))
    return np.clip(values, low - reach, high + reach)
