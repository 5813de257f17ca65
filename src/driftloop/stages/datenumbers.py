"""What a date tells a model, as numbers. Part of `transform`; functions that a model file may name."""

import numpy as np
import numpy.typing as npt
import pandas as pd

DAYS_PER_WEEK = 7
SECONDS_PER_DAY = 86_400
_DAYS_PER_YEAR = 365.2425
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""
PARTS = ("days since 1970", "day of the year", "weekday", "hour")
CYCLES = (
    "days since 1970",
    *(f"{wave} of the {cycle}" for cycle in ("year", "week", "day") for wave in ("sine", "cosine")),
)


def date_parts(dates: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return what a date tells: days since 1970, day of the year, weekday (Monday 0) and hour of the day.

    Args:
        dates: epoch seconds, shape (n_rows, n_dates).

    Returns:
        Shape (n_rows, 4 * n_dates): each part of all dates.
    """
    return np.hstack(_parts(dates))


def date_cycles(dates: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return days since 1970, and sine and cosine of year, week and day, so that December lies beside January.

    Args:
        dates: epoch seconds, shape (n_rows, n_dates).

    Returns:
        Shape (n_rows, 7 * n_dates): each number of all dates.
    """
    days, day_of_year, weekday, hour = _parts(dates)
    parts = [days]
    for turn in (day_of_year / _DAYS_PER_YEAR, (weekday + hour / 24) / DAYS_PER_WEEK, hour / 24):
        parts += [np.sin(2 * np.pi * turn), np.cos(2 * np.pi * turn)]
    return np.hstack(parts)


def _parts(dates: pd.DataFrame) -> tuple[npt.NDArray[np.float64], ...]:
    seconds = np.asarray(dates, dtype=np.float64)
    days = np.floor(seconds / SECONDS_PER_DAY)
    midnights = days.astype(np.int64).astype("datetime64[D]")
    day_of_year = (midnights - midnights.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    weekday = (days + _EPOCH_WEEKDAY) % DAYS_PER_WEEK
    hour = (seconds - days * SECONDS_PER_DAY) / 3600
    return days, day_of_year, weekday, hour
