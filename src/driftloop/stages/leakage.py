"""Columns that know the answer: too good alone, together with one other, from later rows, or from after the event.

Part of the checks of `validate`. It suspects; a person decides. Loads neither pandas nor scikit-learn.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftloop.reports.markup import percent
from driftloop.spec import DataSchema, DataSpec, FeatureType
from driftloop.spec.datachecks import CheckKind, DataFinding
from driftloop.stages.codedrows import CodedRows, Numbers, as_numbers, code_numbers
from driftloop.stages.history import lag_name, mean_name
from driftloop.stages.roughmodel import RoughModel

_DOMINANT = ((0.5, 3.0), (0.6, 1.5))
"""Explained shares from which one column may be too good, if it explains so many times what all others do together."""
_PAIR = 0.95
"""Explained share from which two columns together tell the target, if neither does alone."""
_PAIR_GAIN = 0.2
_MOST_PAIRED = 24
_PAIR_ROWS = 2_000
_SHIFTS = (1, 2, 3, -1, -2, -3)
_SAME = 0.98
_LATER = 0.5
"""Share of rows whose date lies after the row's own time, from which that is told."""
_FEWEST_ROWS = 50
_NEWEST_ROWS = 20_000
"""In which a target of other rows is looked for; neighbours must stay neighbours."""


def find_leaks(
    table: pa.Table, schema: DataSchema, data: DataSpec, coded: CodedRows, model: RoughModel
) -> Iterator[DataFinding]:
    """Yield what is suspicious.

    Args:
        table: validated rows.
        schema: what they are.
        data: says which columns were made of earlier rows on purpose.
        coded: the rows as numbers.
        model: of the coded columns.
    """
    if coded.rows < _FEWEST_ROWS:
        return
    own = {lag_name(h.column, lag) for h in data.history for lag in h.lags}
    own |= {mean_name(h.column, window) for h in data.history for window in h.windows}
    inputs = [feature for feature in schema.features if feature.type in (FeatureType.NUMERIC, FeatureType.DATE)]
    places = pa.array(coded.places)
    numbers = {feature.name: as_numbers(table.column(feature.name).take(places).combine_chunks()) for feature in inputs}
    told = set()
    for finding in (
        *_shifted_targets(table, schema, own),
        *_dominant(model, own),
        *_later_dates(table, schema),
    ):
        told.add(finding.column)
        yield finding
    yield from _pairs({name: values for name, values in numbers.items() if name not in told | own}, coded)


def _dominant(model: RoughModel, own: set[str]) -> Iterator[DataFinding]:
    """Suspect a column that explains most of the target although all others together explain little."""
    alone = model.explained_by_each()
    for place in np.flatnonzero(alone >= min(least for least, _ in _DOMINANT)):
        name = model.columns[place].name
        if name in own:
            continue
        others = max(model.explained(without=(int(place),)), 0.0) if len(model.columns) > 1 else 0.0
        if any(alone[place] >= least and alone[place] >= times * others for least, times in _DOMINANT):
            text = (
                f"explains {percent(alone[place])} of the target alone, all other columns together {percent(others)}: "
                "make sure that its value is known before the answer is"
            )
            yield DataFinding(kind=CheckKind.LEAKAGE, column=name, text=text)


def _shifted_targets(table: pa.Table, schema: DataSchema, own: set[str]) -> Iterator[DataFinding]:
    """Find columns that are the target of a later or an earlier row."""
    if not schema.time_column:
        return
    target = table.column(schema.target.name).combine_chunks()
    order = pc.sort_indices(table.column(schema.time_column))[-_NEWEST_ROWS:]
    wanted = target.take(order)
    for feature in schema.features:
        column = table.column(feature.name).combine_chunks().take(order)
        if feature.name in own or not _comparable(column.type, wanted.type):
            continue
        for shift in _SHIFTS:
            mine, theirs = (column[:-shift], wanted[shift:]) if shift > 0 else (column[-shift:], wanted[:shift])
            share = _equal_share(mine, theirs)
            if share is None or share < _SAME:
                continue
            row = f"{abs(shift)} row{'s' if abs(shift) > 1 else ''}"
            text = (
                f"is the target of the row {row} later: that can't be known yet"
                if shift > 0
                else f"is the target of the row {row} earlier: make sure that it is known by then"
            )
            yield DataFinding(kind=CheckKind.LEAKAGE, column=feature.name, text=text)
            break


def _comparable(one: pa.DataType, other: pa.DataType) -> bool:
    numbers = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
    return one.equals(other) or all(any(check(kind) for check in numbers) for kind in (one, other))


def _equal_share(mine: pa.Array, theirs: pa.Array) -> float | None:
    """Return the share of equal values beyond what the most frequent one makes likely; None where little is known."""
    if not mine.type.equals(theirs.type):
        mine, theirs = (values.cast(pa.float64(), safe=False) for values in (mine, theirs))
    known = pc.and_(pc.is_valid(mine), pc.is_valid(theirs))
    mine, theirs = mine.filter(known), theirs.filter(known)
    if len(mine) < _FEWEST_ROWS:
        return None
    most = pc.max(pc.value_counts(theirs).field("counts")).as_py() / len(theirs)
    same = pc.mean(pc.equal(mine, theirs)).as_py()
    return (same - most) / (1 - most) if most < 1 else None


def _later_dates(table: pa.Table, schema: DataSchema) -> Iterator[DataFinding]:
    if not schema.time_column:
        return
    times = table.column(schema.time_column)
    for feature in schema.features:
        if feature.type is not FeatureType.DATE:
            continue
        later = pc.mean(pc.greater(table.column(feature.name), times)).as_py()
        if later is not None and later >= _LATER:
            text = (
                f"lies after the row's own time ('{schema.time_column}') in {percent(later)} of the rows: a plan may, "
                "what happened later can't be known"
            )
            yield DataFinding(kind=CheckKind.LEAKAGE, column=feature.name, text=text)


def _pairs(numbers: Mapping[str, Numbers], coded: CodedRows) -> Iterator[DataFinding]:
    """Suspect two columns whose difference, sum or ratio tells the target although neither does alone."""
    names = list(numbers)[:_MOST_PAIRED]
    rows = np.linspace(0, coded.rows - 1, min(_PAIR_ROWS, coded.rows)).astype(np.int64)
    target = coded.target[rows]
    values = {name: numbers[name][rows] for name in names}
    alone = {name: _explained(values[name], target) for name in names}
    for one, other in combinations(names, 2):
        for what, combined in (
            ("difference", values[one] - values[other]),
            ("sum", values[one] + values[other]),
            ("ratio", _ratio(values[one], values[other])),
        ):
            share = _explained(combined, target)
            if share >= _PAIR and share - max(alone[one], alone[other]) >= _PAIR_GAIN:
                text = f"tells the target together with '{other}' (their {what}): are both known before the answer is?"
                yield DataFinding(kind=CheckKind.LEAKAGE, column=one, text=text)
                break


def _ratio(one: Numbers, other: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(other != 0, one / other, np.nan)


def _explained(values: Numbers, target: Numbers) -> float:
    """Return the share of the target's variance between fine bins of the values, each counted without its own row."""
    coded = code_numbers("", values, bins=64)
    counts = np.bincount(coded.codes, minlength=coded.size)
    sums = np.stack([np.bincount(coded.codes, weights=column, minlength=coded.size) for column in target.T], axis=1)
    of_row = counts[coded.codes][:, None]
    mean = target.mean(axis=0)
    others = np.where(of_row > 1, (sums[coded.codes] - target) / np.maximum(of_row - 1, 1), mean)
    spread = ((target - mean) ** 2).sum()
    return 1 - float(((target - others) ** 2).sum() / spread) if spread else 0.0
