"""The file between `transform` and `train`: numbers and targets of the training and validation rows.

Light, so that a stage that only needs the training target, such as `resample`, loads neither pandas nor the numbers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Matrices:
    """What candidates are fitted and tuned on. X: shape (n_rows, n_columns); y: shape (n_rows,)."""

    train_x: npt.NDArray[np.float64]
    train_y: npt.NDArray[Any]
    """Classes or numbers."""
    validation_x: npt.NDArray[np.float64]
    validation_y: npt.NDArray[Any]

    def save(self, path: Path) -> None:
        """Write to one file."""
        with path.open("wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Matrices":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**arrays)


def load_train_target(path: Path) -> npt.NDArray[Any]:
    """Read the training target alone from what `Matrices.save` wrote, shape (n_rows,)."""
    with np.load(path, allow_pickle=False) as arrays:
        target: npt.NDArray[Any] = arrays["train_y"]
    return target
