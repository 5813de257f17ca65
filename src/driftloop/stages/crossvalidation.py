"""The score of the selected configuration over folds, where few test rows leave it unsure; for `evaluate`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftloop.algorithms.metrics import Answers, score
from driftloop.spec import DataSchema
from driftloop.stages.judgements import CrossValidation
from driftloop.stages.table import encode_target, read_target

FEW_TEST_ROWS = 1000
"""With fewer, the test score alone is rough, and fitting a few more times is cheap."""
FEW_ROWS = 1000
"""With fewer, the folds are drawn twice."""
FOLDS = 5
_FEWEST_ROWS = 50


def cross_validate(
    rows: pa.Table,
    schema: DataSchema,
    fit_and_answer: Callable[[pa.Table, pa.Table], Answers],
    *,
    metric: str,
    seed: int,
) -> CrossValidation | None:
    """Return the scores over folds; None where the rows are too few to be parted.

    With a time column each fold is judged by what was learned from older rows alone; classes keep their shares.

    Args:
        rows: training and validation rows.
        schema: of those rows.
        fit_and_answer: fits the whole chain on rows and answers others.
        metric: the loop's metric.
        seed: of the folds.
    """
    if rows.num_rows < _FEWEST_ROWS:
        return None
    method, folds = _folds(rows, schema, seed)
    truth = encode_target(read_target(rows, schema), schema)
    scores = []
    for fitted, judged in folds:
        if schema.target.classes and len(np.unique(truth[fitted])) < len(schema.target.classes):
            continue
        answers = fit_and_answer(rows.take(pa.array(fitted)), rows.take(pa.array(judged)))
        value = score(metric, truth[judged], answers)
        if np.isfinite(value):
            scores.append(value)
    if len(scores) < 2:  # noqa: PLR2004 - one has no spread
        return None
    return CrossValidation(
        method=f"{method}, {len(scores)} fits",
        scores=tuple(scores),
        mean=float(np.mean(scores)),
        standard_deviation=float(np.std(scores, ddof=1)),
    )


def _folds(rows: pa.Table, schema: DataSchema, seed: int) -> tuple[str, Iterator[tuple[npt.NDArray[np.int64], Any]]]:
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, TimeSeriesSplit

    if schema.time_column:
        order = np.argsort(rows.column(schema.time_column).cast(pa.int64()).to_numpy(), kind="stable")
        parts = TimeSeriesSplit(FOLDS).split(order)
        return f"{FOLDS} folds in the order of time", ((order[old], order[new]) for old, new in parts)
    repeats = 2 if rows.num_rows < FEW_ROWS else 1
    labels = read_target(rows, schema)
    told = f"{FOLDS} folds{', drawn twice' if repeats > 1 else ''}"
    if schema.target.classes and np.unique(labels, return_counts=True)[1].min() >= FOLDS:
        stratified = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=seed)
        return f"{told}, each with the classes in their shares", stratified.split(np.zeros(len(labels)), labels)
    plain = RepeatedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=seed)
    return told, plain.split(np.zeros(len(labels)))
