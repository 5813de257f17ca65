"""Faults and drifts put into a table of traffic: what a replay, or a benchmark, shall find.

Pure: a frame of raw rows and an `Injection` in, a changed copy out; the same seed gives the same rows. Knows nothing of
models and verdicts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.errors import InvalidInputError

NEW_CATEGORY = "never seen before"
"""The value that `new_category` writes."""
_EARLIEST = timedelta(microseconds=1)


class InjectionKind(StrEnum):
    """What is done to the rows of the period; `size` is said for each."""

    MEAN_SHIFT = "mean_shift"
    """A numeric column moves by `size` of its standard deviations."""
    SCALE_SHIFT = "scale_shift"
    """A numeric column spreads `size` times as far around its mean."""
    NULL_BURST = "null_burst"
    """A share `size` of a column's values is missing."""
    UNIT_CHANGE = "unit_change"
    """A numeric column is multiplied by `size`, and `offset` is added: 1000, or 1.8 and 32 for °C to °F."""
    NEW_CATEGORY = "new_category"
    """A share `size` of a categorical column's values is a category that never was."""
    COLUMN_SWAP = "column_swap"
    """Two columns exchange their values."""
    STUCK_SENSOR = "stuck_sensor"
    """A column repeats the last value it had before."""
    FEATURE_PERMUTATION = "feature_permutation"
    """A column's values are shuffled among the rows: each is usual, and belongs to another row."""
    LABEL_SWAP = "label_swap"
    """A share `size` of the labels is replaced by the next class."""
    CLASS_PRIOR = "class_prior"
    """The share of the last class in the target becomes `size`; features given the class stay as they are."""
    DUPLICATED_FEED = "duplicated_feed"
    """A share `size` of the rows comes twice."""
    CONCEPT = "concept"
    """Where a numeric column is above its median the truth changes: a share `size` of the labels turns to the next
    class, or a numeric target moves by `size` of its standard deviations."""


K = InjectionKind
DEFAULT_SIZES = {
    K.MEAN_SHIFT: 1.0,
    K.SCALE_SHIFT: 2.0,
    K.NULL_BURST: 0.5,
    K.UNIT_CHANGE: 1000.0,
    K.NEW_CATEGORY: 0.2,
    K.LABEL_SWAP: 1.0,
    K.CLASS_PRIOR: 0.5,
    K.DUPLICATED_FEED: 1.0,
    K.CONCEPT: 1.0,
}
"""Where none is given; the other kinds have no size."""
SHARES = frozenset({K.NULL_BURST, K.NEW_CATEGORY, K.LABEL_SWAP, K.CLASS_PRIOR, K.DUPLICATED_FEED})
"""Kinds whose size is a share of the rows."""
ON_TARGET = frozenset({K.LABEL_SWAP, K.CLASS_PRIOR, K.CONCEPT})
"""Kinds that need the target, because they change it or choose rows by it."""
COLUMNS_NEEDED = dict.fromkeys(K, 1) | {
    K.COLUMN_SWAP: 2,
    K.LABEL_SWAP: 0,
    K.CLASS_PRIOR: 0,
    K.DUPLICATED_FEED: 0,
}
_NUMERIC = frozenset({K.MEAN_SHIFT, K.SCALE_SHIFT, K.UNIT_CHANGE, K.CONCEPT})


class InjectionError(InvalidInputError):
    """An injection that can't be made, or not into this table."""


@dataclass(frozen=True)
class Injection:
    """One fault or drift of the traffic.

    Between `start` and `end` it is there: at once, or growing over `ramp`, or, with a `period`, in the first half of
    each period. Growing means a smaller size, and for kinds without a size a share of the rows.
    """

    kind: InjectionKind
    columns: tuple[str, ...] = ()
    size: float | None = None
    """In the kind's own unit; None for its usual one."""
    start: datetime | float = 0.5
    """Event time (UTC where it has no zone), or a share of the table's time, 0 to 1."""
    end: datetime | float | None = None
    """As `start`; None for the table's end."""
    ramp: timedelta = timedelta(0)
    """Gradual: time from the start until it is there in full."""
    period: timedelta | None = None
    """Recurring: time from one beginning to the next."""
    offset: float = 0.0
    """For `unit_change`: what is added after the multiplication."""

    def __post_init__(self) -> None:
        needed = COLUMNS_NEEDED[self.kind]
        if len(self.columns) != needed:
            words = {0: "no column", 1: "one column", 2: "two columns"}[needed]
            raise InjectionError(f"The injection '{self.kind}' must have {words}. Got {len(self.columns)}.")
        if self.size is not None and self.kind not in DEFAULT_SIZES:
            raise InjectionError(f"The injection '{self.kind}' has no size. Got {self.size:g}. Leave it out.")
        for name, number in (("size", self.size), ("offset", self.offset)):
            if number is not None and not math.isfinite(number):
                raise InjectionError(
                    f"The {name} of the injection '{self.kind}' must be a finite number. Got {number:g}."
                )
        if self.kind in SHARES and not 0 <= self.effective_size <= 1:
            raise InjectionError(
                f"The size of the injection '{self.kind}' must be a share of the rows, 0 to 1. Got {self.size:g}."
            )
        for name, place in (("start", self.start), ("end", self.end)):
            if isinstance(place, float | int) and not 0 <= place <= 1:
                raise InjectionError(
                    f"The {name} of the injection '{self.kind}' must be a time, or a share of the table's time from 0 "
                    f"to 1. Got {place:g}."
                )
        if self.ramp < timedelta(0) or (self.period is not None and self.period <= timedelta(0)):
            raise InjectionError(f"The ramp and the period of the injection '{self.kind}' must be positive times.")

    @property
    def effective_size(self) -> float:
        """The size, or the kind's usual one; 1 for kinds without."""
        return self.size if self.size is not None else DEFAULT_SIZES.get(self.kind, 1.0)

    def during(self, first: datetime, last: datetime) -> tuple[datetime, datetime]:
        """Return start and end in event time, for traffic from `first` to `last`.

        Raises:
            InjectionError: nothing of the traffic is within.
        """
        start = _moment(self.start, first, last)
        end = last + _EARLIEST if self.end is None else _moment(self.end, first, last)
        if start > last or end <= first:
            raise InjectionError(
                f"The injection '{self.kind}' must lie within the traffic, which goes from {first:%Y-%m-%d %H:%M} to "
                f"{last:%Y-%m-%d %H:%M}. Got {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}. "
                "Correct its start and end, or give them as shares of the time: start=0.5 end=0.7."
            )
        if not start < end:
            raise InjectionError(
                f"The injection '{self.kind}' must end after it starts. "
                f"Got {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}."
            )
        return start, end

    def __str__(self) -> str:
        """Say it in a few words."""
        size = f" {self.size:g}" if self.size is not None else ""
        how = (" gradual" if self.ramp else "") + (" recurring" if self.period else "")
        return f"{self.kind}{' of ' if self.columns else ''}{' and '.join(self.columns)}{size}{how}"


def inject(
    frame: pd.DataFrame, injection: Injection, *, time_column: str, target_column: str | None = None, seed: int = 0
) -> pd.DataFrame:
    """Return a copy of raw rows with the injection in it, in the same order.

    Rows outside its period are as they were. `class_prior` takes the rows it needs from outside the period, and drops
    rows where there are too few; `duplicated_feed` adds rows, each behind the one it repeats.

    Args:
        frame: raw rows, one a prediction.
        injection: what to do.
        time_column: event time: dates, or text that says dates.
        target_column: the truth; only kinds that change it need it.
        seed: of the choice of rows.

    Raises:
        InjectionError: the table lacks a column, or has one of a type that the kind can't change.
    """
    if frame.empty:
        raise InjectionError("The table to inject into must have rows. Got none.")
    _require_columns(frame, injection, time_column, target_column)
    times = pd.to_datetime(frame[time_column], utc=True, format="ISO8601" if _is_text(frame[time_column]) else None)
    strength = _strength(injection, times)
    rng = np.random.default_rng(seed)
    changed = frame.copy()
    if injection.kind is K.CLASS_PRIOR:
        return _set_prior(changed, str(target_column), time_column, injection.effective_size, strength, rng)
    if injection.kind is K.DUPLICATED_FEED:
        copies = 1 + (rng.random(len(frame)) < strength * injection.effective_size).astype(int)
        return changed.take(np.repeat(np.arange(len(frame)), copies))
    if injection.kind in (K.LABEL_SWAP, K.CONCEPT):
        changed[target_column] = _changed_truth(frame, injection, str(target_column), strength, rng)
    elif injection.kind is K.COLUMN_SWAP:
        one, other = injection.columns
        rows = rng.random(len(frame)) < strength
        changed[one] = _put(frame[one], rows, frame[other])
        changed[other] = _put(frame[other], rows, frame[one])
    else:
        (name,) = injection.columns
        changed[name] = _changed_column(frame[name], injection, strength, rng)
    return changed


def _changed_column(
    column: "pd.Series[Any]", injection: Injection, strength: npt.NDArray[np.float64], rng: np.random.Generator
) -> "pd.Series[Any]":
    size = injection.effective_size
    if injection.kind in _NUMERIC:
        values = column.to_numpy(dtype=float, na_value=np.nan)
        finite = values[np.isfinite(values)]
        mean, sd = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 0.0)
        match injection.kind:
            case K.MEAN_SHIFT:
                moved = values + size * strength * sd
            case K.SCALE_SHIFT:
                moved = mean + (values - mean) * (1 + (size - 1) * strength)
            case _:
                rows = rng.random(len(values)) < strength
                moved = np.where(rows, values * size + injection.offset, values)
        return pd.Series(np.where(strength > 0, moved, values), index=column.index)
    chance = strength * (size if injection.kind in SHARES else 1.0)
    rows = rng.random(len(column)) < chance
    match injection.kind:
        case K.NULL_BURST:
            return _put(column, rows, pd.Series([None] * len(column), index=column.index, dtype=object))
        case K.NEW_CATEGORY:
            return _put(column, rows, pd.Series(NEW_CATEGORY, index=column.index, dtype=object))
        case K.FEATURE_PERMUTATION:
            found = np.flatnonzero(rows)
            order = np.arange(len(column))
            order[found] = rng.permutation(found)
            return pd.Series(column.array.take(order), index=column.index)
        case _:  # a stuck sensor
            began = int(np.argmax(strength > 0))
            before = column.iloc[:began].dropna()
            known = before if len(before) else column.iloc[began:].dropna()
            last = known.iloc[-1 if len(before) else 0] if len(known) else None
            return _put(column, rows, pd.Series([last] * len(column), index=column.index))


def _changed_truth(
    frame: pd.DataFrame,
    injection: Injection,
    target: str,
    strength: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> "pd.Series[Any]":
    truth = frame[target]
    there = np.ones(len(frame), dtype=bool)
    if injection.kind is K.CONCEPT:
        values = frame[injection.columns[0]].to_numpy(dtype=float, na_value=np.nan)
        there = values > np.nanmedian(values) if np.isfinite(values).any() else ~there
        if is_regression_target(truth):
            numbers = truth.to_numpy(dtype=float, na_value=np.nan)
            moved = numbers + there * strength * injection.effective_size * float(np.nanstd(numbers))
            return pd.Series(moved, index=truth.index)
    rows = there & (rng.random(len(frame)) < strength * injection.effective_size)
    classes = _classes(truth)
    following = dict(zip(classes, classes[1:] + classes[:1], strict=True))
    return _put(truth, rows, truth.map(following))


def _set_prior(  # noqa: PLR0917 - private, and each says what it is
    frame: pd.DataFrame,
    target: str,
    time_column: str,
    share: float,
    strength: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Let rows of one class stand in the place of others' until the last class has its share in the period."""
    wanted = _classes(frame[target])[-1]
    is_wanted = (frame[target] == wanted).to_numpy(dtype=bool, na_value=False)
    within, labelled = strength > 0, frame[target].notna().to_numpy()
    now = float(is_wanted[within & labelled].mean()) if (within & labelled).any() else share
    more = share >= now
    surplus = ~is_wanted if more else is_wanted
    rate = (share - now) / (1 - now) if more and now < 1 else (now - share) / now if now > 0 else 0.0
    replaced = np.flatnonzero(within & labelled & surplus & (rng.random(len(frame)) < rate * strength))
    donors = rng.permutation(np.flatnonzero(~within & labelled & ~surplus))[: len(replaced)]
    filled, dropped = replaced[: len(donors)], replaced[len(donors) :]
    content = [name for name in frame.columns if name != time_column]
    order = np.arange(len(frame))
    order[filled] = donors
    for name in content:
        frame[name] = pd.Series(frame[name].array.take(order), index=frame.index)
    kept = np.ones(len(frame), dtype=bool)
    # Without a donor a row of the surplus class goes; fewer rows, the same share.
    kept[dropped] = False
    return frame[kept]


def _strength(injection: Injection, times: "pd.Series[pd.Timestamp]") -> npt.NDArray[np.float64]:
    """Return how much of the injection is there in each row, 0 to 1."""
    start, end = injection.during(times.min().to_pydatetime(), times.max().to_pydatetime())
    since = (times - pd.Timestamp(start)).dt.total_seconds().to_numpy()
    within = (since >= 0) & (times < pd.Timestamp(end)).to_numpy()
    strength = within.astype(float)
    if injection.ramp:
        strength *= np.clip(since / injection.ramp.total_seconds(), 0.0, 1.0)
    if injection.period is not None:
        strength *= since % injection.period.total_seconds() < injection.period.total_seconds() / 2
    return strength


def _moment(place: datetime | float, first: datetime, last: datetime) -> datetime:
    if isinstance(place, datetime):
        return place if place.tzinfo else place.replace(tzinfo=UTC)
    return first + place * (last - first) if place < 1 else last + _EARLIEST


def _require_columns(frame: pd.DataFrame, injection: Injection, time_column: str, target_column: str | None) -> None:
    kind = injection.kind
    if time_column not in frame:
        raise InjectionError(
            f"The table must have the time column '{time_column}'. It has {_some(list(frame.columns))}."
        )
    if kind in ON_TARGET:
        if target_column is None or target_column not in frame:
            raise InjectionError(
                f"The injection '{kind}' needs the truth about each row. The table has no target column"
                f"{f' {target_column!r}' if target_column else ''}. Add it, or choose another kind."
            )
        if kind is not K.CONCEPT and is_regression_target(frame[target_column]):
            raise InjectionError(
                f"The injection '{kind}' needs a target of classes. '{target_column}' is numeric. "
                f"Choose '{K.CONCEPT}', or another kind."
            )
    for name in injection.columns:
        if name not in frame:
            raise InjectionError(
                f"The injection '{kind}' must name a column of the table. Got '{name}'. Choose one of "
                f"{_some([n for n in frame.columns if n not in (time_column, target_column)])}."
            )
        is_wrong = kind in _NUMERIC and type_word(frame[name]) != "numeric"
        is_wrong |= kind is K.NEW_CATEGORY and type_word(frame[name]) != "categorical"
        if is_wrong:
            needed = "categorical" if kind is K.NEW_CATEGORY else "numeric"
            fitting = [
                n for n in frame.columns if n not in (time_column, target_column) and type_word(frame[n]) == needed
            ]
            remedy = f"Choose one of {_some(fitting)}." if fitting else "The table has none: choose another kind."
            raise InjectionError(
                f"The injection '{kind}' needs a {needed} column. '{name}' is {type_word(frame[name])}. {remedy}"
            )


def type_word(column: "pd.Series[Any]") -> str:
    """Return what a raw column holds, in a word; a column without any value is `empty`."""
    if column.isna().all():
        return "empty"
    if pd.api.types.is_bool_dtype(column) or set(column.dropna().map(type)) == {bool}:
        return "boolean"
    if pd.api.types.is_numeric_dtype(column):
        return "numeric"
    return "a date" if pd.api.types.is_datetime64_any_dtype(column) else "categorical"


_MOST_CLASSES = 20


def is_regression_target(truth: "pd.Series[Any]") -> bool:
    """Return whether a target is a quantity: numbers, and more of them than classes usually are."""
    return type_word(truth) == "numeric" and truth.nunique() > _MOST_CLASSES


def _classes(truth: "pd.Series[Any]") -> list[object]:
    return sorted(truth.dropna().unique().tolist(), key=lambda value: (str(type(value)), value))


def _put(column: "pd.Series[Any]", rows: npt.NDArray[np.bool_], values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return the column with other values in some rows; it keeps its type where it can hold them."""
    if not rows.any():
        return column
    merged = column.astype(object).where(~rows, values.astype(object))
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        plain = pd.to_numeric(merged, errors="coerce")
        return plain if (plain.isna() == merged.isna()).all() else merged
    if isinstance(column.dtype, pd.CategoricalDtype):
        return merged
    return merged.astype(column.dtype) if merged[rows].notna().all() and _fits(column, values) else merged


def _fits(column: "pd.Series[Any]", values: "pd.Series[Any]") -> bool:
    return column.dtype in (values.dtype, np.dtype(object))


def _is_text(column: "pd.Series[Any]") -> bool:
    return not (pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_numeric_dtype(column))


_SHOWN = 12


def _some(names: Sequence[Any]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more
