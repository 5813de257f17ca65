"""Whom the rows show: groups of people and segments that are rare, absent of late, or only there of late.

Part of the checks of `validate`.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.reports.markup import percent
from driftloop.spec import DataSchema, DataSpec, FeatureType
from driftloop.spec.datachecks import CheckKind, DataFinding, GroupShare
from driftloop.stages.codedrows import as_numbers, code_numbers
from driftloop.stages.rowcodes import encode_values
from driftloop.stages.split import TRAIN_SHARE

FEWEST_ROWS = 100
"""Fewer rows of a group: about fifteen of them judge a model, and no figure of it means anything."""
_LEAST_SHARE = 0.05
_MOST_GROUPS = 20
_MOST_NAMED = 3
_QUARTILES = 4


def group_shares(table: pa.Table, schema: DataSchema, data: DataSpec) -> tuple[GroupShare, ...]:
    """Return the groups of the sensitive columns, the largest first; numbers and dates in quartiles."""
    shares: list[GroupShare] = []
    for name in data.sensitive_columns:
        if name in table.column_names:
            labels, codes = _groups(table.column(name).combine_chunks())
            shares += _shares(name, labels, codes, table, schema)
    return tuple(shares)


def find_gaps(table: pa.Table, schema: DataSchema, groups: tuple[GroupShare, ...]) -> Iterator[DataFinding]:
    """Yield groups of people that are too few, and segments that only the newest rows have."""
    for name in dict.fromkeys(group.column for group in groups):
        rare = [group for group in groups if group.column == name and group.rows < FEWEST_ROWS]
        small = [group for group in groups if group.column == name and group.share < _LEAST_SHARE and group not in rare]
        if rare:
            named = _named([f"{group.group} ({group.rows:,} rows)" for group in rare])
            text = f"has groups of fewer than {FEWEST_ROWS} rows, too few to say how a model treats them: {named}"
            yield DataFinding(kind=CheckKind.DIVERSITY, column=name, text=text)
        if small:
            named = _named([f"{group.group} ({percent(group.share)})" for group in small])
            text = f"has groups of less than {percent(_LEAST_SHARE)} of the rows: {named}"
            yield DataFinding(kind=CheckKind.DIVERSITY, column=name, text=text, is_warning=False)
    if schema.time_column:
        yield from _segments_over_time(table, schema)


def _segments_over_time(table: pa.Table, schema: DataSchema) -> Iterator[DataFinding]:
    """Find categories that no training row has: the rows are parted by time."""
    times = table.column(schema.time_column or "").cast(pa.int64()).to_numpy()
    is_new = times > np.quantile(times, TRAIN_SHARE)
    for feature in schema.features:
        if feature.type is not FeatureType.CATEGORICAL:
            continue
        codes = encode_values(table.column(feature.name))
        known = codes >= 0
        size = codes.max(initial=0) + 1
        old = np.bincount(codes[known & ~is_new], minlength=size)
        new = np.bincount(codes[known & is_new], minlength=size)
        share = new[old == 0].sum() / max(new.sum(), 1)
        if share >= _LEAST_SHARE:
            text = (
                f"has {int(((old == 0) & (new > 0)).sum()):,} categories that only the newest rows have, "
                f"{percent(float(share))} of them: a model learns nothing of these"
            )
            yield DataFinding(kind=CheckKind.DIVERSITY, column=feature.name, text=text)


def _groups(column: pa.Array) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return names of groups, and the group of each row; the last one is of the missing values."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_timestamp(column.type):
        coded = code_numbers("", as_numbers(column), _QUARTILES)
        return ["missing", *(f"quartile {place}" for place in range(1, coded.size))], coded.codes
    encoded = column.dictionary_encode()
    return ["missing", *map(str, encoded.dictionary.to_pylist())], encode_values(encoded) + 1


def _shares(
    name: str, labels: list[str], codes: npt.NDArray[np.int64], table: pa.Table, schema: DataSchema
) -> list[GroupShare]:
    counts = np.bincount(codes, minlength=len(labels))
    outcomes: list[float | None] = [None] * len(labels)
    if schema.target.name:
        target = table.column(schema.target.name).combine_chunks()
        values = (
            (encode_values(target) == _code_of_last(target, schema)).astype(np.float64)
            if schema.target.classes
            else as_numbers(target)
        )
        known = np.isfinite(values)
        sums = np.bincount(codes[known], weights=values[known], minlength=len(labels))
        of = np.bincount(codes[known], minlength=len(labels))
        outcomes = [float(total / rows) if rows else None for total, rows in zip(sums, of, strict=True)]
    order = [place for place in np.argsort(-counts, kind="stable") if counts[place]][:_MOST_GROUPS]
    return [
        GroupShare(
            column=name,
            group=labels[place],
            rows=int(counts[place]),
            share=float(counts[place] / len(codes)),
            outcome=outcomes[place],
        )
        for place in order
    ]


def _code_of_last(target: pa.Array, schema: DataSchema) -> int:
    values: list[object] = target.dictionary_encode().dictionary.to_pylist()
    return values.index(schema.target.classes[-1])


def _named(items: list[str]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(items[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
