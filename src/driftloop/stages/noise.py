"""Noise in the training rows: unsteady numbers of ordered rows, and labels that look wrong. Part of `clean`.

Both look at training rows only; a request is taken as it is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, PreparationSpec
from driftloop.stages.filling import evenly

WINDOW = 5
"""Rows of the running median: a row and the four before it, none after it."""
FOLDS = 5
MOST_ROWS_FITTED = 10_000
"""Rows of a fold, evenly chosen, that the models of the label filter are fitted on."""


def smooth(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Replace numbers by their running median over rows in the order of time; missing ones stay missing."""
    smoothed = frame[list(names)].rolling(WINDOW, min_periods=1).median().where(frame[list(names)].notna())
    return frame.assign(**{name: smoothed[name] for name in names})


def doubtful_labels(
    cleaned: pd.DataFrame, labels: npt.NDArray[Any], schema: DataSchema, *, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which labels three kinds of models contradict, each fitted on other folds: a consensus filter.

    Brodley and Friedl 1999, "Identifying mislabeled training data": a linear model, nearest neighbours and trees err in
    different ways; a row is doubted only where all three do. Everything, the encoding too, is fitted on the other
    folds.

    Args:
        cleaned: filled training rows.
        labels: their classes, shape (n_rows,).
        schema: types of the features.
        seed: of folds and trees.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    from driftloop.stages.transform import fit_transformer

    rarest = int(np.unique(labels, return_counts=True)[1].min())
    doubted = np.ones(len(labels), dtype=bool)
    folds = StratifiedKFold(min(FOLDS, max(rarest, 2)), shuffle=True, random_state=seed)
    with threadpool_limits(limits=1):
        for others, held in folds.split(labels, labels):
            fitted = others[evenly(len(others), MOST_ROWS_FITTED)]
            prepared = fit_transformer(cleaned.iloc[fitted], labels[fitted], schema, PreparationSpec(), seed=seed)
            asked = prepared.transformer.transform(cleaned.iloc[held])
            for model in (
                LogisticRegression(max_iter=200),
                KNeighborsClassifier(min(5, len(fitted))),
                RandomForestClassifier(100, min_samples_leaf=2, random_state=seed),
            ):
                doubted[held] &= model.fit(prepared.matrix, labels[fitted]).predict(asked) != labels[held]
    return doubted
