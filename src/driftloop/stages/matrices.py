"""The file between `transform` and `train`: numbers and targets of the training and validation rows.

Light, so that a stage that only needs the training target, such as `resample`, loads neither pandas nor the numbers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_ARRAYS = ("train_x", "train_y", "validation_x", "validation_y")
_COLUMNS, _ROWS = "columns", "train_rows"


class MatrixColumnKind(StrEnum):
    """What the numbers of a matrix column are."""

    NUMBER = "number"
    """Continuous: numbers, parts of dates, shares of the target."""
    ONE_HOT = "one-hot"
    """1 where the feature is of one category, else 0."""
    ORDINAL = "ordinal"
    """A category's place in the alphabet."""
    BOOLEAN = "boolean"
    """0 or 1: a boolean feature, or a flag that cleaning raises."""
    TEXT = "text"
    """Weight of a word, or of a combination of words."""
    COMPONENT = "component"
    """A combination of several features."""


@dataclass(frozen=True)
class MatrixColumn:
    """One column of the matrix."""

    name: str
    feature: str
    """The input that it comes from; empty for one of several inputs."""
    kind: MatrixColumnKind


@dataclass(frozen=True)
class Matrices:
    """What candidates are fitted and tuned on. X: shape (n_rows, n_columns); y: shape (n_rows,).

    The training rows are those that `clean` left.
    """

    train_x: npt.NDArray[np.float64]
    train_y: npt.NDArray[Any]
    """Classes or numbers."""
    validation_x: npt.NDArray[np.float64]
    validation_y: npt.NDArray[Any]
    columns: tuple[MatrixColumn, ...] = ()
    """What the columns are, in order; empty where a test made the matrices."""
    train_rows: npt.NDArray[np.int64] | None = None
    """Positions of these rows among all training rows, rising; None for all of them."""

    @property
    def groups(self) -> Mapping[str, Sequence[int]]:
        """Positions of the one-hot columns of each feature that has some."""
        groups: dict[str, list[int]] = {}
        for position, column in enumerate(self.columns):
            if column.kind is MatrixColumnKind.ONE_HOT:
                groups.setdefault(column.feature, []).append(position)
        return groups

    def save(self, path: Path) -> None:
        """Write to one file."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays[_COLUMNS] = np.array(json.dumps([asdict(column) for column in self.columns]))
        if self.train_rows is not None:
            arrays[_ROWS] = self.train_rows
        with path.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Matrices":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                **{name: arrays[name] for name in _ARRAYS},
                columns=_read_columns(arrays[_COLUMNS].item()),
                train_rows=arrays.get(_ROWS),
            )


def load_matrix_columns(path: Path) -> tuple[MatrixColumn, ...]:
    """Read alone what the columns are from what `Matrices.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return _read_columns(arrays[_COLUMNS].item())


def _read_columns(text: str) -> tuple[MatrixColumn, ...]:
    return tuple(
        MatrixColumn(column["name"], column["feature"], MatrixColumnKind(column["kind"])) for column in json.loads(text)
    )


def load_train_target(path: Path) -> npt.NDArray[Any]:
    """Read the training target alone from what `Matrices.save` wrote, shape (n_rows,)."""
    with np.load(path, allow_pickle=False) as arrays:
        target: npt.NDArray[Any] = arrays["train_y"]
    return target
