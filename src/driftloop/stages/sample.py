"""Fewer rows: what `data.sample` asks of the stage `collect`, and the stage `sample` of a proof of concept.

That stage takes each class in its share and covers the whole period, between `validate` and `split` in the feasibility
pipeline; its rows come in the order of time where there is a time column.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, Task
from driftloop.spec.data import SampleSpec
from driftloop.stages.rowcodes import encode_values

MOST_ROWS = 5000
"""Rows that a proof of concept learns from: enough to tell a signal from noise, few enough for a coffee break."""


class SingletonsError(InvalidInputError):
    """Values of which there is one row can't keep their share."""

    def __init__(self, column: str, singletons: int, example: object) -> None:
        super().__init__(
            f"The column '{column}' of 'data.sample.by' must have at least two rows of each value, to keep its share. "
            f"There is one row of {singletons:,} values, such as {example!r}. Group rare values, sample by another "
            "column, or leave 'by' out."
        )


class TooManyStrataError(InvalidInputError):
    """There are more values than rows to take."""

    def __init__(self, column: str, values: int, rows: int) -> None:
        super().__init__(
            f"The 'data.sample.rows' must be at least the number of values of '{column}' ('by'), to have each. "
            f"Got {rows:,} rows for {values:,} values. Take more rows, or sample by another column."
        )


def draw(table: pa.Table, spec: SampleSpec) -> pa.Table:
    """Return the rows that `data.sample` asks for, in their order; all where there are fewer.

    Raises:
        SingletonsError: a value of the column `by` has a single row.
        TooManyStrataError: it has more values than there are rows to take.
    """
    if table.num_rows <= spec.rows:
        return table
    random = np.random.default_rng(spec.random_state)
    if spec.by is None:
        return table.take(pa.array(np.sort(random.permutation(table.num_rows)[: spec.rows])))
    column = table.column(spec.by)
    codes = encode_values(column) + 1  # a missing value is a value, too
    present, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
    singletons = np.flatnonzero(counts == 1)
    if len(singletons):
        example = column[int(np.flatnonzero(codes == singletons[0])[0])].as_py()
        raise SingletonsError(spec.by, len(singletons), example)
    if len(present) > spec.rows:
        raise TooManyStrataError(spec.by, len(present), spec.rows)
    order = random.permutation(table.num_rows)
    order = order[np.argsort(codes[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    wanted = _apportion(counts, spec.rows)
    chosen = [order[start : start + number] for start, number in zip(starts, wanted, strict=True)]
    return table.take(pa.array(np.sort(np.concatenate(chosen))))


def _apportion(counts: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    """Share out rows in proportion, at least one each; by largest remainders (Hare and Niemeyer)."""
    exact = counts * (rows / counts.sum())
    given: npt.NDArray[np.int64] = np.maximum(np.floor(exact).astype(np.int64), 1)
    while given.sum() < rows:
        by_remainder = np.argsort(given - exact, kind="stable")
        given[by_remainder[: rows - given.sum()]] += 1
    while given.sum() > rows:  # the ones that were given to the rarest
        reducible = np.flatnonzero(given > 1)
        by_excess = reducible[np.argsort(exact[reducible] - given[reducible], kind="stable")]
        given[by_excess[: given.sum() - rows]] -= 1
    return given


def sample(table: pa.Table, schema: DataSchema, *, most_rows: int = MOST_ROWS, seed: int) -> pa.Table:
    """Return at most `most_rows` rows, or one a class if that is more."""
    return table.take(pa.array(choose_rows(table, schema, most_rows, seed=seed)))


def choose_rows(table: pa.Table, schema: DataSchema, most_rows: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Choose rows by position: of each class its share; evenly over time where there is a time column, else at random.

    In the order of time where there is a time column, else in that of the table.
    """
    rows = table.num_rows
    order = np.arange(rows)
    if schema.time_column:
        order = np.argsort(table.column(schema.time_column).cast(pa.int64()).to_numpy(), kind="stable")
    if rows <= most_rows:
        return order
    codes = np.zeros(rows, dtype=np.int64)
    if schema.task is Task.CLASSIFICATION:
        labels = table.column(schema.target.name).combine_chunks()
        codes = labels.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    generator = np.random.default_rng(seed)
    chosen = []
    for code in np.unique(codes):
        places = np.flatnonzero(codes[order] == code)
        wanted = max(int(len(places) * most_rows / rows), 1)
        if schema.time_column:
            chosen.append(places[np.linspace(0, len(places) - 1, wanted).astype(np.int64)])
        else:
            chosen.append(generator.permutation(places)[:wanted])
    taken: npt.NDArray[np.int64] = order[np.sort(np.concatenate(chosen))]
    return taken
