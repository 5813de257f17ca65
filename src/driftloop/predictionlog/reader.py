"""The reading side of the prediction log: committed predictions, and predictions joined with the truth.

Used by the sidecar's evaluator for windows, and by the controller for the rows a retraining learns from. It never sees
what is not committed, and never writes. Every view is a function of the records in it: in which order, how often and by
which writer they came, and how files hold them, makes no difference.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.predictionlog.columns import (
    FIXED_COLUMNS,
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
from driftloop.predictionlog.scan import PROMISED, OnDamage, Stretch, scan
from driftloop.predictionlog.segments import (
    LABELS,
    PREDICTIONS,
    Commit,
    View,
    date_folders,
    read_commits,
    segments_of,
    view_of,
)

if TYPE_CHECKING:
    import pandas as pd

MATURITY_STEPS = 10
"""Ages at which the share of labelled predictions is told, up to the expected delay."""
_TYPED_ALWAYS = FIXED_COLUMNS - {LABEL}


@dataclass(frozen=True, slots=True)
class LabelMaturity:
    """How far the truth about a stretch of predictions is known."""

    predictions: int = 0
    labelled: int = 0
    waiting: int = 0
    """Without a label, and younger than the expected delay."""
    overdue: int = 0
    """Without a label, and older than that."""
    contradicted: int = 0
    """Labelled predictions for which different labels came; the rules say which holds."""
    unknown_labels: int = 0
    """Labels since the stretch began that belong to none of its predictions (yet, or any more)."""
    by_age: tuple[tuple[timedelta, float], ...] = ()
    """Share of predictions that had a label at an age, among those that reached it."""


class PredictionLogReader:
    """Reads the log under `root`; a log that does not exist yet is empty.

    Raises (all methods):
        LogDamagedError: a file of the log can't be read.
        NewerFormatError: a newer driftloop wrote one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def commits(self) -> dict[str, Commit]:
        """Return what each writer has published last."""
        return read_commits(self._root)

    def complete_through(self, heard_since: datetime | None = None) -> datetime | None:
        """Return the event time before which every writer has committed everything; None while one has said nothing.

        Args:
            heard_since: wall-clock time; writers whose last sign of life is older are not waited for. With no writer
                alive the answer is None.
        """
        return complete_through(self.commits(), heard_since)

    def counts(self) -> LogCounts:
        """Return how much is committed, over all writers."""
        return sum((commit.counts for commit in self.commits().values()), LogCounts())

    def view(self) -> View:
        """Return the state of the log now: later reads with it see the same records."""
        return view_of(self.commits())

    def files(self, kind: str, start: datetime | None = None, end: datetime | None = None) -> list[Path]:
        """Return the Parquet files that hold the committed records, for tools that read Parquet.

        They hold what was sent: duplicates too. The list holds until the next compaction.
        """
        view = self.view()
        folders = date_folders(self._root, kind, start, end)
        return [segment.path for _, folder in folders for segment in segments_of(folder, view)]

    def predictions(
        self,
        start: datetime,
        end: datetime,
        model_version: str | None = None,
        *,
        view: View | None = None,
        columns: Sequence[str] | None = None,
        on_time: bool = False,
    ) -> "pd.DataFrame":
        """Return the predictions with `start <= time < end`, each id once, ordered by time and prediction id.

        Of records with one prediction id the earliest holds, of several at that time the one whose content comes first
        in alphabetical order.

        Args:
            start: first event time.
            end: event time behind the last.
            model_version: only this version's.
            view: state of the log; None for now.
            columns: features and outputs to read, with their prefixes; None for all.
            on_time: leave out records that were committed when their writer had promised to be complete through `end`.

        Returns:
            Columns `prediction_id, key, time, model_version, feature.<name>..., output.<name>...`; numbers float64
            (NaN for null), booleans bool (object with None when there are nulls), strings object, times UTC.
        """
        stretch = Stretch(start, end, on_time=on_time)
        table = self._predictions(self.view() if view is None else view, stretch, columns)
        if model_version is not None:
            table = table.filter(pc.equal(table[MODEL_VERSION], model_version))
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def count_on_time(self, start: datetime, end: datetime, *, view: View, on_damage: OnDamage | None = None) -> int:
        """Return the number of predictions with `start <= time < end`, as `predictions` with `on_time` gives them."""
        rows: int = self._predictions(view, Stretch(start, end, on_time=True), (), on_damage).num_rows
        return rows

    def newest_on_time(
        self, start: datetime, end: datetime, *, view: View, on_damage: OnDamage | None = None
    ) -> datetime | None:
        """Return the last event time with `start <= time < end`, as `predictions` with `on_time` gives it, or None."""
        tables = scan(
            self._root, PREDICTIONS, view, Stretch(start, end, on_time=True), columns=[TIME], on_damage=on_damage
        )
        return max((pc.max(table[TIME]).as_py() for table in tables if table.num_rows), default=None)

    def model_versions(self, start: datetime, end: datetime, *, view: View, on_damage: OnDamage) -> list[str]:
        """Return which versions predicted, by name."""
        stretch = Stretch(start, end, on_time=True)
        tables = scan(self._root, PREDICTIONS, view, stretch, columns=[MODEL_VERSION], on_damage=on_damage)
        return sorted({version for table in tables for version in pc.unique(table[MODEL_VERSION]).to_pylist()})

    def first_on_time(
        self,
        start: datetime,
        end: datetime,
        *,
        duration: timedelta,
        view: View,
        on_damage: OnDamage | None = None,
    ) -> datetime | None:
        """Return the earliest event time with `start <= time < end` that opens a window, or None.

        A record that was committed when its writer had promised to be complete through the end of its stretch (one
        `duration` after `start`, or a multiple) opens none: whoever looked earlier has not seen it.
        """
        length = duration // timedelta(microseconds=1)
        for day, _ in date_folders(self._root, PREDICTIONS, start, end):
            midnight = datetime.combine(day, time.min, UTC)
            stretch = Stretch(max(start, midnight), min(end, midnight + timedelta(days=1)))
            tables = scan(self._root, PREDICTIONS, view, stretch, columns=[TIME, PROMISED], on_damage=on_damage)
            first: list[datetime] = []
            for table in tables:
                times, promised = (table[name].cast(pa.int64()) for name in (TIME, PROMISED))
                number = pc.divide(pc.subtract(times, pa.scalar(start, TIMESTAMP).cast(pa.int64())), length)
                ends = pc.add(pa.scalar(start + duration, TIMESTAMP).cast(pa.int64()), pc.multiply(number, length))
                on_time = table.filter(pc.fill_null(pc.less(promised, ends), fill_value=True))
                if on_time.num_rows:
                    first.append(pc.min(on_time[TIME]).as_py())
            if first:
                return min(first)
        return None

    def joined(
        self,
        start: datetime,
        end: datetime,
        *,
        labelled_by: datetime | None = None,
        view: View | None = None,
        label_view: View | None = None,
        columns: Sequence[str] | None = None,
        on_time: bool = False,
    ) -> "pd.DataFrame":
        """Return the predictions with `start <= time < end` and the truth about them.

        A label counts for predictions made at or before its time. One given by prediction id goes before one given by
        key; of several, the last by time holds, and of those the last in alphabetical order.

        Args:
            start: first event time.
            end: event time behind the last.
            labelled_by: leave out labels with a later time.
            view: state of the log; None for now.
            label_view: state of the log as far as labels go; None for `view`.
            columns: features and outputs to read, with their prefixes; None for all.
            on_time: leave out predictions that were committed when their writer had promised to be complete through
                `end`, and labels committed when it had through `labelled_by`.

        Returns:
            The columns of `predictions`, then `label` and `label_time`, both null where the truth is not known.
        """
        view = self.view() if view is None else view
        table = self._predictions(view, Stretch(start, end, on_time=on_time), columns)
        stretch = Stretch(start, labelled_by, until_included=True, on_time=on_time)
        labels = self._labels(view if label_view is None else label_view, table, stretch)
        predictions: pd.DataFrame = table.to_pandas()
        return _join(predictions, labels)

    def label_maturity(
        self, start: datetime, end: datetime, *, now: datetime, expected_delay: timedelta
    ) -> LabelMaturity:
        """Return how far the truth about the predictions with `start <= time < end` is known at event time `now`."""
        view = self.view()
        table = self._predictions(view, Stretch(start, end), ())
        known_by_now = Stretch(start, now, until_included=True)
        labels = self._labels(view, table, known_by_now)
        joined = _join(table.to_pandas(), labels)
        known = joined[LABEL].notna()
        age = now - joined[TIME]
        delays, contradicted = _delays(joined[known], labels)
        by_age = []
        for step in range(1, MATURITY_STEPS + 1):
            at = expected_delay * step / MATURITY_STEPS
            old_enough = age >= at
            if old_enough.any():
                in_time = (delays <= at) & old_enough[known]
                by_age.append((at, int(in_time.sum()) / int(old_enough.sum())))
        return LabelMaturity(
            predictions=len(joined),
            labelled=int(known.sum()),
            waiting=int((~known & (age < expected_delay)).sum()),
            overdue=int((~known & (age >= expected_delay)).sum()),
            contradicted=contradicted,
            unknown_labels=self._count_labels(view, known_by_now) - len(labels),
            by_age=tuple(by_age),
        )

    def _predictions(
        self,
        view: View,
        stretch: Stretch,
        columns: Sequence[str] | None,
        on_damage: OnDamage | None = None,
    ) -> pa.Table:
        empty = empty_prediction_table()
        names = None if columns is None else [*empty.column_names, *columns]
        tables = scan(self._root, PREDICTIONS, view, stretch, columns=names, on_damage=on_damage)
        table = in_order(_unite([empty, *tables]))
        table = table.sort_by([(TIME, "ascending"), (PREDICTION_ID, "ascending")])
        return _each_once(table)

    def _labels(self, view: View, predictions: pa.Table, stretch: Stretch) -> "pd.DataFrame":
        """Return the labels that are about one of the predictions, the one that holds last."""
        ids, keys = (pc.unique(predictions[name].combine_chunks()) for name in (PREDICTION_ID, KEY))

        def about_them(table: pa.Table) -> pa.Table:
            by_id, by_key = (
                pc.is_in(table[name], value_set=values, skip_nulls=True)
                for name, values in ((PREDICTION_ID, ids), (KEY, keys))
            )
            return table.filter(pc.or_(by_id, by_key))

        tables = scan(self._root, LABELS, view, stretch, select=about_them)
        frame: pd.DataFrame = _unite([empty_label_table(), *tables]).to_pandas()
        tied = frame.duplicated([PREDICTION_ID, KEY, LABEL_TIME], keep=False)
        order = frame.assign(content="")
        order.loc[tied, "content"] = [json.dumps(value) for value in frame.loc[tied, LABEL].tolist()]
        order = order.sort_values([LABEL_TIME, "content"], kind="stable", ignore_index=True)
        return order.drop(columns="content")

    def _count_labels(self, view: View, stretch: Stretch) -> int:
        tables = scan(self._root, LABELS, view, stretch, columns=[LABEL_TIME])
        return sum(table.num_rows for table in tables)


def complete_through(commits: Mapping[str, Commit], heard_since: datetime | None) -> datetime | None:
    """Return the event time before which every live writer has committed everything; who said goodbye has."""
    live = [
        commit
        for commit in commits.values()
        if not commit.ended and (heard_since is None or (commit.heartbeat and commit.heartbeat >= heard_since))
    ]
    known = [commit.complete_through for commit in live if commit.complete_through is not None]
    return min(known) if known and len(known) == len(live) else None


def _unite(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables below each other; a column without any value has no type to insist on."""
    return unite([_untyped_where_empty(table) for table in tables])


def _untyped_where_empty(table: pa.Table) -> pa.Table:
    for number, name in enumerate(table.column_names):
        if name not in _TYPED_ALWAYS and 0 < table.num_rows == table[name].null_count:
            table = table.set_column(number, name, pa.nulls(table.num_rows))
    return table


def _each_once(table: pa.Table) -> pa.Table:
    """Keep one row per prediction id of a table in order of time."""
    ids = table[PREDICTION_ID]
    if len(pc.unique(ids)) == table.num_rows:
        return table
    frame = table.select([PREDICTION_ID, TIME]).to_pandas()
    repeated = frame.duplicated(PREDICTION_ID, keep=False)
    content = [""] * len(frame)
    for row in repeated.index[repeated]:
        content[row] = _content(table.slice(row, 1).to_pylist()[0])
    kept = frame.assign(content=content).sort_values([TIME, "content"], kind="stable").drop_duplicates(PREDICTION_ID)
    return table.take(pa.array(sorted(kept.index)))


def _content(row: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if value is not None}, sort_keys=True, default=str)


def _join(predictions: "pd.DataFrame", labels: "pd.DataFrame") -> "pd.DataFrame":
    by_id = _last_label(labels, PREDICTION_ID, predictions)
    by_key = _last_label(labels, KEY, predictions)
    found = by_id[LABEL_TIME].notna()
    joined = predictions.assign(
        **{column: by_id[column].where(found, by_key[column]) for column in (LABEL, LABEL_TIME)}
    )
    return joined.assign(**{LABEL: joined[LABEL].infer_objects()})


def _last_label(labels: "pd.DataFrame", by: str, predictions: "pd.DataFrame") -> "pd.DataFrame":
    """Return label and label time for each prediction, null where no label found by column `by` counts for it."""
    last = labels.dropna(subset=[by]).drop_duplicates(by, keep="last").set_index(by)[[LABEL, LABEL_TIME]]
    found = last.reindex(predictions[by]).set_index(predictions.index)
    # The last label by time is too old for a prediction only if all its labels are.
    return found.where(found[LABEL_TIME] >= predictions[TIME])


def _delays(labelled: "pd.DataFrame", labels: "pd.DataFrame") -> "tuple[pd.Series[Any], int]":
    """Return for each prediction the time to its first label, and how many predictions have labels that differ."""
    import pandas as pd

    values: dict[tuple[str, Any], list[tuple[Any, Any]]] = {}
    for row in labels.itertuples(index=False):
        name = (KEY, row.key) if row.prediction_id is None else (PREDICTION_ID, row.prediction_id)
        values.setdefault(name, []).append((row.label_time, row.label))
    delays, contradicted = [], 0
    for row in labelled.itertuples(index=False):
        known = values.get((PREDICTION_ID, row.prediction_id), []) + values.get((KEY, row.key), [])
        counting = [(moment, str(label)) for moment, label in known if moment >= row.time]
        delays.append(min(moment for moment, _ in counting) - row.time)
        contradicted += len({label for _, label in counting}) > 1
    return pd.Series(delays, index=labelled.index, dtype="timedelta64[us]"), contradicted
