"""Stage `sample`: fewer rows for a proof of concept, each class in its share and the whole period covered.

Between `validate` and `split` in the feasibility pipeline. Rows stay in their order, with a time column in that of
time.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.spec import DataSchema

MOST_ROWS = 5000
"""Rows that a proof of concept learns from: enough to tell a signal from noise, few enough for a coffee break."""


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
    if schema.target.classes:
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
