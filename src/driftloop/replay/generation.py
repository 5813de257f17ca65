"""Traffic without change, as long as one likes: days of a table, drawn at random and laid over each other.

A day keeps its hours, its rows their order, and where the table has enough days its place in the week: season and
autocorrelation within a day stay. By what else the days differ, they differ in random order: a trend is gone.
"""

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from driftloop.replay.traffic import NoTrafficError, Traffic

_DAY = timedelta(days=1)
_DAYS_A_MONTH = 30
_FEWEST_DAYS = _WEEK = 7
_FEWEST_OF_A_KIND = 3


def generate(traffic: Traffic, *, months: float, rows_per_hour: float | None, version: str, seed: int) -> Traffic:
    """Return traffic of so many months of 30 days, which begins on the day after the given one ends.

    Where more rows are asked for than a day has, several days are laid over each other; then rows are dropped at random
    down to the rate.

    Args:
        traffic: what is drawn from.
        months: length.
        rows_per_hour: on average over the day; None for the given traffic's.
        version: the model version that answers.
        seed: of the choice.

    Raises:
        NoTrafficError: the given traffic has too few days to draw from.
    """
    times = traffic.rows[traffic.time]
    midnights = times.dt.floor("D")
    days = [np.flatnonzero(midnights == day) for day in midnights.unique()[1:-1]]  # the first and the last may be cut
    if len(days) < _FEWEST_DAYS:
        raise NoTrafficError(
            f"Generated traffic must have at least {_FEWEST_DAYS} whole days to draw from. The table has {len(days)}. "
            "Replay it as it is, or add rows."
        )
    rng = np.random.default_rng(seed)
    usual = float(np.mean([len(day) for day in days])) / 24
    rate = rows_per_hour or usual
    layers = max(math.ceil(rate / usual), 1)
    start = (midnights.iloc[-1] + _DAY).to_pydatetime()
    taken, moved = [], []
    weekdays = np.array([times.iloc[day[0]].weekday() for day in days])
    fits = np.bincount(weekdays, minlength=_WEEK).min() >= max(layers, _FEWEST_OF_A_KIND)
    decks: dict[int, list[int]] = {}
    for number in range(round(months * _DAYS_A_MONTH)):
        kind = (start + number * _DAY).weekday() if fits else 0
        if len(deck := decks.get(kind, [])) < layers:  # no day comes again before all were drawn
            deck = rng.permutation(np.flatnonzero(weekdays == kind) if fits else len(days)).tolist()
        drawn, decks[kind] = deck[:layers], deck[layers:]
        rows = np.concatenate([days[index] for index in drawn])
        rows = rows[rng.random(len(rows)) < rate / (usual * layers)]
        taken.append(rows)
        moved.append(_on_day(times.iloc[rows], midnights.iloc[rows], start + number * _DAY))
    table = traffic.rows.take(np.concatenate(taken)).reset_index(drop=True)
    table[traffic.time] = pd.concat(moved, ignore_index=True)
    if traffic.key:
        table[traffic.key] = [f"generated-{number}" for number in range(len(table))]
    table = table.sort_values(traffic.time, kind="stable", ignore_index=True)
    if table.empty:
        raise NoTrafficError("Generated traffic must have rows. Got none. Raise --months or --rows-per-hour.")
    return replace(traffic, rows=table, tenures=((start, version),), recorded=None, complete_through=None)


def _on_day(
    times: "pd.Series[pd.Timestamp]", midnights: "pd.Series[pd.Timestamp]", day: datetime
) -> "pd.Series[pd.Timestamp]":
    return pd.Timestamp(day) + (times - midnights)
