"""Reading of raw columns into plain numbers or categories; the same for the baseline and for live traffic.

Never raises on a bad value: what can't be read becomes missing and is counted, for `checks` to judge.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.spec import DataSchema, Feature, FeatureType, Task
from driftloop.spec.words import decode_vocabulary, share_unknown, words_of

PREDICTION = "prediction"
PROBABILITY = "probability"
_LATEST_SECONDS = 9.2e9
"""Epoch seconds near the year 2261, the last that pandas' nanoseconds reach."""

Numbers: TypeAlias = npt.NDArray[np.float64]
Categories: TypeAlias = npt.NDArray[np.object_]


class ColumnKind(StrEnum):
    """What a column is compared as."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    PRESENCE = "presence"
    """Watched for missing values and repetitions only; a text is there as its hash."""


@dataclass(frozen=True)
class Column:
    """One column of n rows as it is watched."""

    kind: ColumnKind
    cells: Numbers | Categories
    """Shape (n,): float64 with NaN, or `str` with None, where missing or unreadable."""
    unreadable: int = 0
    """Values that are there but aren't of the column's type."""

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which rows have a value, shape (n,)."""
        return self.codes[0] >= 0 if self.kind is ColumnKind.CATEGORICAL else ~np.isnan(self.cells)

    @cached_property
    def known(self) -> npt.NDArray[Any]:
        """The values that are there, in the order of the rows."""
        return self.cells if self.present.all() else self.cells[self.present]

    @cached_property
    def ordered(self) -> npt.NDArray[Any]:
        """The values of a numeric column that are there, sorted."""
        return np.sort(self.known)

    @cached_property
    def codes(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        """Each row's index among the different values, -1 where missing, shape (n,); and these values."""
        codes, values = pd.factorize(self.cells)
        return codes.astype(np.int64), np.asarray(values)


def distinct(ordered: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Return the different values of a sorted sample, and at which place each is first."""
    is_first = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    return ordered[firsts], firsts


def read_features(frame: pd.DataFrame, schema: DataSchema, times: "pd.Series[Any] | None") -> dict[str, Column]:
    """Read the model's inputs; a column that is absent is all missing.

    A date is read as its age in seconds at the row's time, because dates themselves move on forever; without times it
    is watched for missing values only. A text is watched for missing values and repetitions, and by two numbers: how
    many words it has, and which share of them the training texts did not have.
    """
    columns = {}
    for feature in schema.features:
        values = column_of(frame, feature.name)
        match feature.type:
            case FeatureType.NUMERIC:
                columns[feature.name] = _numeric(values, read_numbers(values))
            case FeatureType.DATE:
                columns[feature.name] = _read_dates(values, times)
            case FeatureType.BOOLEAN:
                columns[feature.name] = _categorical(values, read_categories(values, boolean=True))
            case FeatureType.CATEGORICAL:
                columns[feature.name] = _categorical(values, read_categories(values))
            case FeatureType.TEXT:
                columns |= _read_texts(values, feature)
    return columns


def word_count(name: str) -> str:
    """Return the name of the column that has the number of words of a text."""
    return f"words of {name}"


def unknown_words(name: str) -> str:
    """Return the name of the column that has the share of a text's words that are unknown, 0 to 1."""
    return f"unknown words of {name}"


def read_outputs(frame: pd.DataFrame, schema: DataSchema) -> dict[str, Column]:
    """Read the model's answers: `prediction`, and but for numbers and clusters one numeric column per probability.

    Two classes have one `probability`, the last class's; more have `probability.<class>` each, from a list per row.
    """
    prediction = column_of(frame, PREDICTION)
    if schema.task is Task.REGRESSION:
        return {PREDICTION: Column(ColumnKind.NUMERIC, read_numbers(prediction))}
    if schema.task is Task.CLUSTERING:
        return {PREDICTION: Column(ColumnKind.CATEGORICAL, read_classes(prediction, schema))}
    probabilities = read_probabilities(column_of(frame, PROBABILITY), schema)
    names = [PROBABILITY] if probabilities.shape[1] == 1 else [f"{PROBABILITY}.{c}" for c in class_names(schema)]
    outputs = {name: Column(ColumnKind.NUMERIC, values) for name, values in zip(names, probabilities.T, strict=True)}
    return {PREDICTION: Column(ColumnKind.CATEGORICAL, read_classes(prediction, schema)), **outputs}


def read_target(values: "pd.Series[Any]", schema: DataSchema) -> Column:
    """Read labels as the schema's classes or, for regression and rewards, as numbers."""
    if schema.task in (Task.REGRESSION, Task.DECISION):
        return Column(ColumnKind.NUMERIC, read_numbers(values))
    return Column(ColumnKind.CATEGORICAL, read_classes(values, schema))


def column_of(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return a column, all missing where the frame has none of that name."""
    return frame[name] if name in frame else pd.Series([None] * len(frame), index=frame.index, dtype=object)


def read_numbers(values: "pd.Series[Any]") -> Numbers:
    """Return float64, NaN where there is no finite number.

    Texts are parsed, because the log stores a column that mixes numbers and texts as text.
    """
    if values.dtype != np.float64:
        values = pd.to_numeric(values, errors="coerce")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    return numbers if finite.all() else np.where(finite, numbers, np.nan)


def read_categories(values: "pd.Series[Any]", *, boolean: bool = False) -> Categories:
    """Return texts, None where missing; a boolean reads as `true` or `false`, and as None where it is neither."""
    codes, uniques = pd.factorize(values)
    name = _boolean if boolean else category_name
    return np.array([*map(name, uniques), None], dtype=object)[codes]  # the code of a missing value is -1


def read_classes(values: "pd.Series[Any]", schema: DataSchema) -> Categories:
    """Return class names as `class_names` writes them, whatever JSON type the labels or predictions came in."""
    return read_categories(values, boolean=_has_boolean_classes(schema))


def read_probabilities(values: "pd.Series[Any]", schema: DataSchema) -> Numbers:
    """Return shape (n, 1) for two classes, (n, number of classes) for more; NaN where missing."""
    classes = len(schema.target.classes)
    if classes <= 2:  # noqa: PLR2004 - two classes are the special case
        return read_numbers(values)[:, np.newaxis]
    absent = [np.nan] * classes
    rows = [row if row is not None and np.size(row) == classes else absent for row in values]
    return np.array(rows, dtype=np.float64).reshape(-1, classes)


def class_names(schema: DataSchema) -> list[str]:
    """Return the schema's classes as texts, in the order of the probabilities."""
    name = _boolean if _has_boolean_classes(schema) else category_name
    return [name(value) or str(value) for value in schema.target.classes]


def category_name(value: Any) -> str | None:
    """Return the text of a category; a whole number has one text, be it an int or a float."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _boolean(value: Any) -> str | None:
    return {"true": "true", "1": "true", "false": "false", "0": "false"}.get(str(category_name(value)).lower())


def _has_boolean_classes(schema: DataSchema) -> bool:
    return all(isinstance(value, bool) for value in schema.target.classes)


def _read_dates(values: "pd.Series[Any]", times: "pd.Series[Any] | None") -> Column:
    if pd.api.types.is_numeric_dtype(values):
        readable = values.astype(np.float64)
        readable = readable.where(readable.abs() < _LATEST_SECONDS)  # beyond, pandas raises in spite of `coerce`
        dates = pd.to_datetime(readable, unit="s", errors="coerce", utc=True)
    else:
        dates = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    if times is None:
        seconds = np.where(dates.isna(), np.nan, 0.0)
        return Column(ColumnKind.PRESENCE, seconds, _unreadable(values, seconds))
    ages = pd.to_datetime(times, utc=True).reset_index(drop=True) - dates.reset_index(drop=True)
    return _numeric(values, ages.dt.total_seconds().to_numpy())


def _read_texts(values: "pd.Series[Any]", feature: Feature) -> dict[str, Column]:
    """Read a text as its hash and its two numbers; one without words has no share of unknown ones."""
    bits = decode_vocabulary(feature.vocabulary)
    hashes, counts, shares = (np.full(len(values), np.nan) for _ in range(3))
    for row, text in enumerate(values.tolist()):
        if isinstance(text, str) and text.strip():
            words = words_of(text)
            hashes[row], counts[row] = zlib.crc32(text.encode()), len(words)
            if words and feature.vocabulary:
                shares[row] = share_unknown(words, bits)
    return {
        feature.name: Column(ColumnKind.PRESENCE, hashes, _unreadable(values.where(values != ""), hashes)),
        word_count(feature.name): Column(ColumnKind.NUMERIC, counts),
        unknown_words(feature.name): Column(ColumnKind.NUMERIC, shares),
    }


def _numeric(raw: "pd.Series[Any]", values: Numbers) -> Column:
    return Column(ColumnKind.NUMERIC, values, _unreadable(raw, values))


def _categorical(raw: "pd.Series[Any]", values: Categories) -> Column:
    return Column(ColumnKind.CATEGORICAL, values, _unreadable(raw, values))


def _unreadable(raw: "pd.Series[Any]", values: Numbers | Categories) -> int:
    absent = pd.isna(values)
    return int((raw.notna().to_numpy() & absent).sum()) if absent.any() else 0
