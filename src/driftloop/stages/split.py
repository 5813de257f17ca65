"""Fourth stage: rows to fit on, rows to tune on, rows that judge once. It looks at no value but target and time."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, Task

TRAIN_SHARE, VALIDATION_SHARE = 0.7, 0.15
"""The rest, as many as validate, is for the test."""


class MissingClassError(InvalidInputError):
    """A class does not occur in one of the parts."""

    def __init__(self, label: object, part: str, by_time: bool) -> None:
        cause = "the parts follow one another in time" if by_time else "the class is too rare"
        super().__init__(
            f"The {part} rows must hold every class of the target. There is no {label!r}: {cause}. "
            "Collect rows of it over the whole period, or merge it with another class."
        )


class TooFewMomentsError(InvalidInputError):
    """Rows of few moments can't be parted by time."""

    def __init__(self, time_column: str, part: str, moments: int) -> None:
        super().__init__(
            f"The rows must be of enough moments to be parted by '{time_column}', because rows of one moment stay "
            f"together. Got {moments}, and no {part} rows. Collect rows over a longer time, or note their time more "
            "finely."
        )


@dataclass(frozen=True)
class Splits:
    """Three tables without a row in common."""

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    trained_through: datetime | None
    """Newest time in `train`; None without a time column."""


def split(table: pa.Table, schema: DataSchema, *, seed: int) -> Splits:
    """Part the rows 70 : 15 : 15.

    With a time column the oldest rows train and the newest test; rows of one moment are never parted. Without: at
    random, each class in the same shares.

    Raises:
        MissingClassError: a part lacks a class.
        TooFewMomentsError: a part has no rows.
    """
    if schema.time_column:
        parts = _by_time(table, schema.time_column)
    else:
        codes = np.zeros(table.num_rows, dtype=np.int64)
        if schema.task is Task.CLASSIFICATION:
            labels = table.column(schema.target.name).combine_chunks()
            codes = labels.dictionary_encode().indices.to_numpy(zero_copy_only=False)
        parts = _at_random(codes, seed)
    train, validation, test = (table.take(pa.array(rows)) for rows in parts)
    named = {"training": train, "validation": validation, "test": test}
    for name, part in named.items():
        if schema.time_column and not part.num_rows:
            moments = pc.count_distinct(table.column(schema.time_column)).as_py()
            raise TooFewMomentsError(schema.time_column, name, moments)
    if schema.task is Task.CLASSIFICATION:
        for name, part in named.items():
            present = set(pc.unique(part.column(schema.target.name)).to_pylist())
            for label in schema.target.classes:
                if label not in present:
                    raise MissingClassError(label, name, by_time=bool(schema.time_column))
    trained_through = pc.max(train.column(schema.time_column)).as_py() if schema.time_column else None
    return Splits(train=train, validation=validation, test=test, trained_through=trained_through)


def _by_time(table: pa.Table, time_column: str) -> list[npt.NDArray[np.int64]]:
    times = table.column(time_column).cast(pa.int64()).to_numpy()
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    cuts = [
        int(np.searchsorted(ordered, ordered[int(share * len(ordered))]))
        for share in (TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE)
    ]
    return np.split(order, cuts)


def _at_random(codes: npt.NDArray[np.int64], seed: int) -> list[npt.NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    parts: list[list[npt.NDArray[np.int64]]] = [[], [], []]
    for code in np.unique(codes):
        rows = generator.permutation(np.flatnonzero(codes == code))
        cuts = [round(TRAIN_SHARE * len(rows)), round((TRAIN_SHARE + VALIDATION_SHARE) * len(rows))]
        for part, chosen in zip(parts, np.split(rows, cuts), strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]
