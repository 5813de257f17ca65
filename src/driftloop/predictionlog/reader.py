"""The reading side of the prediction log: committed predictions, and predictions joined with the truth.

Used by the sidecar's evaluator for windows, and by the controller for the rows a retraining learns from. It never sees
what is not committed, and never writes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from driftloop.predictionlog.columns import (
    KEY,
    LABEL,
    LABEL_TIME,
    MODEL_VERSION,
    PREDICTION_ID,
    TIME,
    TIMESTAMP,
    empty_label_table,
    empty_prediction_table,
    in_order,
    unite,
)
from driftloop.predictionlog.records import LogCounts
from driftloop.predictionlog.segments import LABELS, PREDICTIONS, Commit, committed_segments, read_commits

if TYPE_CHECKING:
    import pandas as pd


class PredictionLogReader:
    """Reads the log under `root`; a log that does not exist yet is empty."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def complete_through(self) -> datetime | None:
        """Return the event time before which every writer has committed everything; None before the first commit."""
        times = [commit.complete_through for commit in read_commits(self._root).values()]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def counts(self) -> LogCounts:
        """Return how much is committed, over all writers."""
        return sum((commit.counts for commit in read_commits(self._root).values()), LogCounts())

    def predictions(self, start: datetime, end: datetime, model_version: str | None = None) -> "pd.DataFrame":
        """Return the predictions with `start <= time < end`, each id once, ordered by time and prediction id.

        Returns:
            Columns `prediction_id, key, time, model_version, feature.<name>..., output.<name>...`; numbers float64
            (NaN for null), booleans bool (object with None when there are nulls), strings object, times UTC.
        """
        return self._predictions(read_commits(self._root), start, end, model_version)

    def joined(self, start: datetime, end: datetime, *, labelled_by: datetime | None = None) -> "pd.DataFrame":
        """Return the predictions with `start <= time < end` and the truth about them.

        A label counts for predictions made at or before its time. One given by prediction id goes before one given by
        key; of several, the last by time holds.

        Args:
            start: first event time.
            end: event time behind the last.
            labelled_by: leave out labels with a later time.

        Returns:
            The columns of `predictions`, then `label` and `label_time`, both null where the truth is not known.
        """
        commits = read_commits(self._root)
        predictions = self._predictions(commits, start, end)
        labels = self._labels(commits, start, labelled_by)
        by_id = _last_label(labels, PREDICTION_ID, predictions)
        by_key = _last_label(labels, KEY, predictions)
        found = by_id[LABEL_TIME].notna()
        joined = predictions.assign(
            **{column: by_id[column].where(found, by_key[column]) for column in (LABEL, LABEL_TIME)}
        )
        return joined.assign(**{LABEL: joined[LABEL].infer_objects()})

    def _predictions(
        self, commits: dict[str, Commit], start: datetime, end: datetime, model_version: str | None = None
    ) -> "pd.DataFrame":
        def wanted(table: pa.Table) -> pa.Table:
            mask = pc.and_(pc.greater_equal(table[TIME], _stamp(start)), pc.less(table[TIME], _stamp(end)))
            if model_version is not None:
                mask = pc.and_(mask, pc.equal(table[MODEL_VERSION], model_version))
            return table.filter(mask)

        paths = committed_segments(self._root, PREDICTIONS, commits, start, end)
        table = _read(paths, empty_prediction_table(), wanted)
        table = in_order(table).sort_by([(TIME, "ascending"), (PREDICTION_ID, "ascending")])
        frame: pd.DataFrame = table.to_pandas()
        # A batch that was sent twice is one prediction.
        return frame.drop_duplicates(PREDICTION_ID, ignore_index=True)

    def _labels(self, commits: dict[str, Commit], since: datetime, labelled_by: datetime | None) -> "pd.DataFrame":
        def wanted(table: pa.Table) -> pa.Table:
            mask = pc.greater_equal(table[LABEL_TIME], _stamp(since))
            if labelled_by is not None:
                mask = pc.and_(mask, pc.less_equal(table[LABEL_TIME], _stamp(labelled_by)))
            return table.filter(mask)

        paths = committed_segments(self._root, LABELS, commits, since, labelled_by)
        frame: pd.DataFrame = _read(paths, empty_label_table(), wanted).to_pandas()
        # Stable: of two labels with one time the one that was written later holds.
        return frame.sort_values(LABEL_TIME, kind="stable", ignore_index=True)


def _read(paths: Sequence[Path], empty: pa.Table, wanted: Callable[[pa.Table], pa.Table]) -> pa.Table:
    # One thread: segments are small, and several processes share the machine with the model server.
    return unite([empty, *(wanted(pq.read_table(path, partitioning=None, use_threads=False)) for path in paths)])


def _last_label(labels: "pd.DataFrame", by: str, predictions: "pd.DataFrame") -> "pd.DataFrame":
    """Return label and label time for each prediction, null where no label found by column `by` counts for it."""
    last = labels.dropna(subset=[by]).drop_duplicates(by, keep="last").set_index(by)[[LABEL, LABEL_TIME]]
    found = last.reindex(predictions[by]).set_index(predictions.index)
    # The last label by time is too old for a prediction only if all its labels are.
    return found.where(found[LABEL_TIME] >= predictions[TIME])


def _stamp(time: datetime) -> pa.Scalar:
    return pa.scalar(time, TIMESTAMP)
