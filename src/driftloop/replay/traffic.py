"""The traffic of a replay: rows as clients sent them, with their truth and when it became known.

Recorded traffic comes from a prediction log, other traffic from a table. Rows stay raw: whatever is injected happens to
them before a model sees them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from driftloop.errors import InvalidInputError
from driftloop.monitor.windows import floor
from driftloop.predictionlog import PredictionLogReader
from driftloop.predictionlog.columns import FEATURE_PREFIX, KEY, LABEL, LABEL_TIME, MODEL_VERSION, OUTPUT_PREFIX, TIME
from driftloop.replay.injections import Injection, InjectionError, inject
from driftloop.spec import DataSpec
from driftloop.spec.trainingrows import time_column

LABEL_DELAY = "log.label_delay"
"""Column of the time from a prediction to its label; missing where there is no label."""
_SECOND = timedelta(seconds=1)
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoTrafficError(InvalidInputError):
    """There is nothing to replay."""


@dataclass(frozen=True)
class Traffic:
    """Rows in order of event time, under the names of the user's table, with `LABEL_DELAY`."""

    rows: pd.DataFrame
    time: str
    """Name of the event time's column."""
    target: str
    """Name of the truth's column; the rows need not have it."""
    key: str | None
    tenures: tuple[tuple[datetime, str], ...]
    """Which model version answers from when on."""
    recorded: pd.DataFrame | None = None
    """Recorded model version and outputs, row by row, of traffic that nothing was injected into."""
    complete_through: datetime | None = None
    """Event time up to which a log is complete; None where only the rows tell."""

    @property
    def first(self) -> datetime:
        """Time of the first row."""
        moment: datetime = self.rows[self.time].iloc[0].to_pydatetime()
        return moment

    @property
    def last(self) -> datetime:
        """Time of the last row."""
        moment: datetime = self.rows[self.time].iloc[-1].to_pydatetime()
        return moment

    def with_injections(self, injections: Sequence[Injection], seed: int) -> "Traffic":
        """Return the traffic with everything injected, one after the other.

        Raises:
            InjectionError: one does not fit the rows.
        """
        if not injections:
            return self
        periods = [injection.during(self.first, self.last) for injection in injections]
        rows = self.rows
        for number, (injection, (start, end)) in enumerate(zip(injections, periods, strict=True)):
            # Shares of time mean the same for all, though one of them may drop the first row or the last.
            dated = replace(injection, start=start, end=end)
            inputs = {*rows.columns} - {self.time, self.target, self.key, LABEL_DELAY}
            for name in injection.columns:
                if name not in inputs:
                    problem = f"must name a column of the table. Got '{name}'."
                    if name in (self.time, self.target, self.key):
                        problem = f"must change an input of the model. '{name}' is none."
                    choice = ", ".join(sorted(inputs))
                    raise InjectionError(f"The injection '{injection.kind}' {problem} Choose one of {choice}.")
            rows = inject(rows, dated, time_column=self.time, target_column=self.target, seed=seed + number)
        return replace(self, rows=rows, recorded=None)

    def in_whole_windows(self, duration: timedelta, *, at_start: bool) -> "Traffic":
        """Return the traffic without the window that its end only begins to fill, and, if asked, the first such one.

        Raises:
            NoTrafficError: there is no whole window.
        """
        start = floor(self.first + duration - timedelta(microseconds=1), duration) if at_start else self.first
        # The last row of a whole window comes a little before its end.
        end = floor(self.complete_through or self.last + duration / 50, duration)
        times = self.rows[self.time]
        keep = (times >= start) & (times < end)
        if not keep.any():
            raise NoTrafficError(
                f"The traffic must fill at least one window of {duration} (spec.monitoring.window.duration). It goes "
                f"from {self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M}. Shorten the window, or add rows."
            )
        return replace(self, rows=self.rows[keep], recorded=None if self.recorded is None else self.recorded[keep])


def recorded_traffic(log: Path, data: DataSpec) -> Traffic:
    """Return everything that a prediction log holds.

    Raises:
        NoTrafficError: there is nothing in it.
        LogDamagedError: a file of the log can't be read.
    """
    reader = PredictionLogReader(log)
    joined = reader.joined(_EPOCH, _END_OF_TIME)
    if joined.empty:
        raise NoTrafficError(
            f"The prediction log '{log}' must hold predictions. Got none. Send some to the model's server, or replay a "
            "table: driftloop replay TABLE -f LOOP_FILE"
        )
    time = time_column(data)
    features = [name for name in joined.columns if name.startswith(FEATURE_PREFIX)]
    rows = joined[features].rename(columns=lambda name: name.removeprefix(FEATURE_PREFIX))
    rows[time] = joined[TIME]
    rows[data.target_column] = joined[LABEL].infer_objects()
    rows[LABEL_DELAY] = joined[LABEL_TIME] - joined[TIME]
    if data.key_column:
        rows[data.key_column] = joined[KEY]
    outputs = [name for name in joined.columns if name.startswith(OUTPUT_PREFIX)]
    first_seen = joined.drop_duplicates(MODEL_VERSION)
    return Traffic(
        rows,
        time,
        data.target_column,
        data.key_column,
        tuple(zip(map(pd.Timestamp.to_pydatetime, first_seen[TIME]), first_seen[MODEL_VERSION], strict=True)),
        recorded=joined[[MODEL_VERSION, *outputs]],
        complete_through=reader.complete_through(),
    )


def table_traffic(path: Path, data: DataSpec, label_delay: timedelta, version: str) -> Traffic:
    """Return the rows of a table, CSV or Parquet, read as training reads it; its truth becomes known after a delay.

    Raises:
        NoTrafficError: there is no row with a time.
        InvalidInputError: it can't be read, or has no time.
    """
    from driftloop.stages.collect import read_files

    if data.time_column is None:
        raise InvalidInputError(
            "A replay of a table must know when each row happened, and spec.data.timeColumn names no column. Add it to "
            "the ModelLoop file."
        )
    if not path.is_file():
        raise NoTrafficError(
            f"The traffic to replay must be a table (CSV or Parquet), a workspace or a prediction log. '{path}' is "
            "none of them. Name a file, or a folder such as .driftloop/NAME."
        )
    rows = read_files([path], str(path)).to_pandas()
    if data.time_column not in rows:
        raise InvalidInputError(
            f"The table '{path}' must have the time column '{data.time_column}' (spec.data.timeColumn). Its columns "
            f"are {', '.join(map(str, rows.columns))}. Rename one of them."
        )
    try:
        times = pd.to_datetime(rows[data.time_column], utc=True)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"The time column '{data.time_column}' of '{path}' must hold dates or times. Got a value that can't be "
            f"read so: {error}. Correct it."
        ) from error
    rows = rows.assign(**{data.time_column: times.dt.as_unit("us")})[times.notna()]
    if rows.empty:
        raise NoTrafficError(f"The table '{path}' must have rows with a time in '{data.time_column}'. Got none.")
    rows = rows.sort_values(data.time_column, kind="stable", ignore_index=True)
    is_known = rows[data.target_column].notna() if data.target_column in rows else pd.Series(False, index=rows.index)
    rows[LABEL_DELAY] = pd.Series(pd.Timedelta(label_delay), index=rows.index).where(is_known)
    return Traffic(rows, data.time_column, data.target_column, data.key_column, ((_EPOCH, version),))
