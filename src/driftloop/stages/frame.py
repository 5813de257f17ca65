"""The model's own table: one reading of raw columns into types, shared by training, serving and verification.

Rows of a file and rows of a request become the same frame here, so that a model sees in serving what it saw in
training. It fills and drops nothing, and must not import scikit-learn.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from driftloop.errors import InvalidInputError
from driftloop.spec import DataSchema, Feature, FeatureType
from driftloop.spec.pseudonyms import pseudonym

_Column: TypeAlias = "Sequence[Any] | pd.Series[Any]"

_TYPE_NAMES = {
    FeatureType.NUMERIC: "numbers",
    FeatureType.CATEGORICAL: "texts",
    FeatureType.TEXT: "texts",
    FeatureType.BOOLEAN: "true or false",
    FeatureType.DATE: "dates in ISO 8601, or epoch seconds",
}


class MissingColumnsError(InvalidInputError):
    """Columns that the model needs are not in the table."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"The table must have every input column of the model. Missing: {', '.join(map(repr, names))}. Add them."
        )


class ColumnTypeError(InvalidInputError):
    """The values of a column can't be read as the type the model was trained with."""

    def __init__(self, feature: Feature, reason: Exception) -> None:
        super().__init__(
            f"The column '{feature.name}' must hold {_TYPE_NAMES[feature.type]} ({feature.type}). "
            f"Got a value that can't be read so: {reason}. Correct the values."
        )


def to_model_frame(columns: Mapping[str, Sequence[Any]], schema: DataSchema) -> pd.DataFrame:
    """Return the model's frame of plain columns, e.g. those of a request.

    Shape (n_rows, n_features) in the schema's order: numeric as float64; categorical as object of `str`, None where
    missing; text as object of `str`, empty where missing; boolean as float64 0, 1 or NaN; date as float64 seconds since
    the epoch (UTC where no zone is given) or NaN. Other columns are ignored.

    Raises:
        MissingColumnsError: an input column is absent.
        ColumnTypeError: a value can't be read as its column's type.
    """
    return pd.DataFrame(_read_columns(columns, schema), columns=schema.feature_names, copy=False)


def frame_to_model_frame(frame: pd.DataFrame, schema: DataSchema) -> pd.DataFrame:
    """Return the model's frame of a table, as `to_model_frame` does, vectorised and with the table's index."""
    return pd.DataFrame(_read_columns(frame, schema), index=frame.index, columns=schema.feature_names, copy=False)


def to_request_columns(frame: pd.DataFrame, schema: DataSchema) -> dict[str, list[Any]]:
    """Return a table's input columns as a request carries them: plain JSON values, None where missing, dates as text.

    The inverse of `to_model_frame`, for samples and replays. Raises as `frame_to_model_frame` does.
    """
    arrays = _read_columns(frame, schema)
    return {
        feature.name: [_request_value(value, feature.type) for value in arrays[feature.name].tolist()]
        for feature in schema.features
    }


def _request_value(value: Any, kind: FeatureType) -> Any:
    if kind in (FeatureType.CATEGORICAL, FeatureType.TEXT):
        return value
    if math.isnan(value):
        return None
    if kind is FeatureType.BOOLEAN:
        return bool(value)
    return datetime.fromtimestamp(value, UTC).isoformat() if kind is FeatureType.DATE else value


def _read_columns(
    columns: Mapping[str, Sequence[Any]] | pd.DataFrame, schema: DataSchema
) -> dict[str, npt.NDArray[Any]]:
    missing = [name for name in schema.feature_names if name not in columns]
    if missing:
        raise MissingColumnsError(missing)
    arrays = {}
    for feature in schema.features:
        try:
            values = _READERS[feature.type](columns[feature.name])
            arrays[feature.name] = _hashes(values) if feature.is_hashed else values
        except (TypeError, ValueError, OverflowError) as error:
            raise ColumnTypeError(feature, error) from error
    return arrays


def _numbers(values: _Column) -> npt.NDArray[np.float64]:
    if isinstance(values, pd.Series):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _booleans(values: _Column) -> npt.NDArray[np.float64]:
    numbers = _numbers(values)
    odd = numbers[~(np.isnan(numbers) | (numbers == 0) | (numbers == 1))]
    if odd.size:
        raise ValueError(f"{odd[0]} is neither 0 nor 1")
    return numbers


def _categories(values: _Column) -> npt.NDArray[np.object_]:
    if isinstance(values, pd.Series):
        codes, uniques = pd.factorize(values)
        names = np.array([*map(_category, uniques), None], dtype=object)  # the code of a missing value is -1
        return names[codes]
    names = np.empty(len(values), dtype=object)
    names[:] = [_category(value) for value in values]
    return names


def _hashes(values: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    hashed = np.empty(len(values), dtype=object)
    hashed[:] = [None if value is None else pseudonym(value) for value in values]
    return hashed


def _texts(values: _Column) -> npt.NDArray[np.object_]:
    texts = _categories(values)
    texts[pd.isna(texts)] = ""
    return texts


def _category(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 - NaN and NaT alone differ from themselves
        return None
    if isinstance(value, float | np.floating) and value == int(value):
        return str(int(value))  # a column of whole numbers turns to floats as soon as one is missing
    return str(value)


def _dates(values: _Column) -> npt.NDArray[np.float64]:
    if isinstance(values, pd.Series):
        if pd.api.types.is_datetime64_any_dtype(values):
            since_epoch = pd.to_datetime(values, utc=True).dt.as_unit("us")
            return np.where(values.isna(), np.nan, since_epoch.astype("int64") / 1e6)
        if pd.api.types.is_numeric_dtype(values):
            return _numbers(values)
    return np.array([_epoch_seconds(value) for value in values], dtype=np.float64)


def _epoch_seconds(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif value is None or value is pd.NA or value != value:  # noqa: PLR0124 - NaN and NaT alone differ from themselves
        return float("nan")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


_READERS: dict[FeatureType, Callable[[Any], npt.NDArray[Any]]] = {
    FeatureType.NUMERIC: _numbers,
    FeatureType.CATEGORICAL: _categories,
    FeatureType.TEXT: _texts,
    FeatureType.BOOLEAN: _booleans,
    FeatureType.DATE: _dates,
}
