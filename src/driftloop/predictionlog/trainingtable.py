"""The table of a retraining: logged predictions under the names of the user's own table, labelled where needed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from driftloop.predictionlog.columns import (
    FEATURE_PREFIX,
    KEY,
    LABEL,
    OUTPUT_PREDICTION,
    OUTPUT_PROPENSITY,
    PREDICTION_ID,
    TIME,
)
from driftloop.spec import DataSpec, Task
from driftloop.spec.problem import NEEDS_TARGET
from driftloop.spec.trainingrows import time_column

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd


def labelled_rows(
    joined: "pd.DataFrame", faulty: Iterable[tuple["datetime", "datetime"]], *, task: Task = Task.CLASSIFICATION
) -> "pd.DataFrame":
    """Return the rows of the joined view to learn from: outside the faulty windows `start <= t < end`, with a label.

    Tasks that learn without a target take rows without a label, too.
    """
    keep = joined[LABEL].notna() if task in NEEDS_TARGET else joined[TIME].notna()
    for start, end in faulty:
        keep &= ~((joined[TIME] >= start) & (joined[TIME] < end))
    return joined[keep]


def training_table(rows: "pd.DataFrame", data: DataSpec) -> "pd.DataFrame":
    """Return rows under the names of the user's own table: features, target, key and time.

    Of a Decision the action that was taken and its propensity, too.

    Rows come in order of time and key, where there are keys: prediction ids are drawn anew by every server, and the
    same traffic must make the same table, and so the same model.
    """
    rows = rows.sort_values([TIME, KEY if data.key_column else PREDICTION_ID], kind="stable")
    features = {c: c.removeprefix(FEATURE_PREFIX) for c in rows.columns if c.startswith(FEATURE_PREFIX)}
    table = rows[list(features)].rename(columns=features)
    if data.target_column:
        table[data.target_column] = rows[LABEL].infer_objects()
    table[time_column(data)] = rows[TIME]
    if data.action_column and data.propensity_column:
        table[data.action_column] = rows[OUTPUT_PREDICTION]
        table[data.propensity_column] = rows[OUTPUT_PROPENSITY]
    if data.key_column:
        table[data.key_column] = rows[KEY]
    return table.reset_index(drop=True)
