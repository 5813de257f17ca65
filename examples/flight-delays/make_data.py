"""Writes flights.parquet: the flights that left New York in January and February 2013, with the weather before each."""

from datetime import UTC, datetime
from pathlib import Path

from driftloop.demo.flights import between, load_flights

table = between(load_flights(), datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
table.to_parquet(Path(__file__).with_name("flights.parquet"))
